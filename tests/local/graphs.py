"""Graphs, written shortly."""

from __future__ import annotations

from typing import Any


def code(program: str, **metadata: Any) -> dict[str, Any]:
    """Return a code node."""
    return {"type": "code", "metadata": {"code": program, **metadata}}


def graph(nodes: dict[str, Any], *edges: str, **more: Any) -> dict[str, Any]:
    """Return a graph; an edge is written ``"a b"``."""
    return {"nodes": nodes, "edges": [edge.split() for edge in edges], **more}
