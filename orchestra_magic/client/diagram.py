"""The picture of a workflow: drawn here, from the graph or from the server's Mermaid text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..views import diagram as view
from ..views.diagram import Picture


@dataclass(frozen=True)
class Diagram:
    """A picture that shows itself in a notebook.

    Examples
    --------
    >>> orchestra.diagram("workflow-id").save("workflow.svg")  # doctest: +SKIP
    """

    picture: Picture
    mermaid: str
    """The picture as Mermaid text: the server's own where it gave one."""

    @classmethod
    def from_graph(cls, graph: Mapping[str, Any], mermaid: str = "") -> Diagram:
        """Make one from a workflow's graph."""
        picture = view.from_graph(graph)
        return cls(picture, mermaid or view.to_mermaid(picture))

    @classmethod
    def from_mermaid(cls, text: str) -> Diagram:
        """Make one from Mermaid text."""
        return cls(view.from_mermaid(text), text)

    @property
    def svg(self) -> str:
        """The picture as SVG that needs nothing else."""
        return view.svg(self.picture)

    def save(self, path: str | Path) -> Path:
        """Write the SVG to a file and return its path."""
        target = Path(path)
        target.write_text(self.svg, encoding="utf-8")
        return target

    def __repr__(self) -> str:
        return f"<Diagram of {len(self.picture.nodes)} nodes>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": view.text(self.picture), "text/html": view.img(self.picture)}
