"""A graph from a cell, a file or a variable, to a server that takes uploads."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..client.inputs import parse
from ..errors import OrchestraUsageError
from . import namespace
from .body import CELL_LINE, read_file

if TYPE_CHECKING:
    from ..client.orchestra import Orchestra
    from ..client.workflow import Workflow


def upload(orchestra: Orchestra, options: Namespace, cell: str | None, variables: Mapping[str, Any]) -> Workflow:
    """Give the server the graph that a cell holds, or else the file or variable that the line names.

    A graph that was written in the cell is trusted: its author presses the key. For one from a file the code
    in it is trusted only if someone says so.

    Raises
    ------
    OrchestraUsageError, OrchestraInputError
        If there is no graph, or nobody said whether its code is trusted. Nothing was sent.
    """
    if cell is not None and cell.strip():
        graph, name = unwrapped(parse(cell, first_line=CELL_LINE))
        return orchestra.upload(graph, name=options.source or name, trusted=True)
    if cell is not None:
        other = f"%orchestra_upload {options.source or 'FILE'}"
        raise OrchestraUsageError(f"The cell is empty: write the graph below its first line; a file goes by `{other}`.")
    if options.source is None:
        raise OrchestraUsageError("There is no graph: write it in the cell, or name a file or a $variable.")
    found = namespace.expanded(options.source, variables, "FILE")
    if isinstance(found, Mapping):
        return orchestra.upload(found, name=options.name, trusted=True)
    graph, name = unwrapped(read_file(str(found), "FILE"))
    trusted = options.trust if options.trust is not None else not has_code(graph) or _asked(str(found))
    return orchestra.upload(graph, name=options.name or name or Path(str(found)).stem, trusted=trusted)


def unwrapped(said: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    """Return the bare graph and the name, if one stands beside it, as in a list of workflows."""
    inner = said.get("graph")
    return (inner, said.get("name")) if isinstance(inner, Mapping) and "nodes" not in said else (said, None)


def has_code(graph: Mapping[str, Any]) -> bool:
    """Whether a graph has a node whose code would run."""
    nodes = graph.get("nodes")
    found = nodes.values() if isinstance(nodes, Mapping) else ()
    return any(isinstance(node, Mapping) and node.get("type") == "code" for node in found)


def _asked(file: str) -> bool:
    """Ask whether the code of a file may run; where nobody can be asked, say how to answer."""
    try:
        said = input(f"{file} holds code that will run as you, on the server. Do you trust it? [y/N] ")
    except (EOFError, OSError, NotImplementedError):
        raise OrchestraUsageError(
            f"{file} holds code. Say --trust if it may run as you, or --no-trust for a sandbox; nothing was sent."
        ) from None
    return said.strip().lower() in {"y", "yes"}
