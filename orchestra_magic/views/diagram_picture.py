"""A workflow as it is drawn: named nodes of some kind, and the edges between them."""

from __future__ import annotations

from dataclasses import dataclass

from .diagram_lettering import one_line

__all__ = ["KINDS", "Edge", "Node", "Picture", "sentinel", "whole"]

KINDS = {
    "start": "start",
    "end": "end",
    "model": "model",
    "code": "code",
    "conditional": "condition",
    "knowledge_retrieval": "knowledge",
    "integration": "integration",
}
"""The kinds of nodes that have a look of their own, and the word for each."""

_SENTINELS = {"START": "start", "END": "end", "__start__": "start", "__end__": "end"}


@dataclass(frozen=True)
class Node:
    """One step of a workflow, or where it starts or ends."""

    name: str
    kind: str = ""
    """A key of `KINDS`; anything else is drawn as a plain node."""
    description: str = ""

    @property
    def title(self) -> str:
        """The name as it is shown."""
        return one_line(self.name) or "(no name)"

    @property
    def word(self) -> str:
        """The word for the kind."""
        return KINDS.get(self.kind) or one_line(self.kind).replace("_", " ") or "step"


@dataclass(frozen=True)
class Edge:
    """The way from one node to another, by their names."""

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True)
class Picture:
    """What is drawn.

    Examples
    --------
    >>> Picture((Node("START", "start"), Node("hi", "model")), (Edge("START", "hi"),)).nodes[1].word
    'model'
    """

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()


def sentinel(name: str) -> str:
    """Tell the kind that a name alone says: "start", "end" or ""."""
    return _SENTINELS.get(name, "")


def whole(picture: Picture) -> Picture:
    """Complete a picture: a node for each name, each once, START first and END last, no edge twice.

    Examples
    --------
    >>> [node.name for node in whole(Picture(edges=(Edge("a", "b"), Edge("a", "b")))).nodes]
    ['a', 'b']
    """
    nodes: dict[str, Node] = {}
    for node in picture.nodes:
        nodes.setdefault(node.name, node)
    for edge in picture.edges:
        for name in (edge.source, edge.target):
            nodes.setdefault(name, Node(name, sentinel(name)))
    place = {"start": 0, "end": 2}
    ordered = sorted(nodes.values(), key=lambda node: place.get(node.kind, 1))
    return Picture(tuple(ordered), tuple(dict.fromkeys(picture.edges)))
