"""The body of a cell: text, or a file, becomes the inputs of a run."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ..client.inputs import parse
from ..client.substitution import substitute
from ..errors import OrchestraUsageError

Format = Literal["auto", "yaml", "json"]

CELL_LINE = 2
"""The body begins below the ``%%`` line, which a user counts too."""


def inputs(options: argparse.Namespace, cell: str | None, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that a cell or ``--file`` gives, with ``$name`` replaced unless ``--raw``.

    Raises
    ------
    OrchestraInputError, OrchestraUsageError
        Nothing was sent.
    """
    if options.file is None:
        said = parse(cell or "", format=options.format, first_line=CELL_LINE)
    elif cell and cell.strip():
        raise OrchestraUsageError("The inputs stand in the cell and in --file. Take one of the two; nothing was sent.")
    else:
        said = read_file(options.file, "--file", options.format)
    return said if options.raw else substitute(said, namespace)


def read_file(name: str, option: str, form: Format = "auto") -> dict[str, Any]:
    """Return the mapping that a YAML or JSON file holds.

    Raises
    ------
    OrchestraInputError, OrchestraUsageError
        If it is none, or cannot be read.
    """
    path = Path(name).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise OrchestraUsageError(f"{option} {name}: {error.strerror}. Nothing was sent.") from None
    except UnicodeDecodeError:
        raise OrchestraUsageError(f"{option} {name} is not UTF-8 text. Nothing was sent.") from None
    is_json = form == "auto" and path.suffix.lower() == ".json"
    return parse(text, format="json" if is_json else form)
