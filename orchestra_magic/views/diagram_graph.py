"""A picture from a workflow's graph. The graph is a server's: nothing in it is taken for granted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .diagram_picture import Edge, Node, Picture, sentinel, whole
from .words import line

__all__ = ["from_graph"]

_DETAILS = {
    "model": ("model",),
    "knowledge_retrieval": ("knowledge_base", "query"),
    "integration": ("integration", "url"),
}
"""What says more of a node than its kind does, where it has no description of its own."""
_NO_DESCRIPTION = re.compile(r"(?i)\s*((model|code|conditional|knowledge[ _]retrieval|integration)([ _]node)?)?\s*")
"""What the editor fills in."""
_OPERATORS = {"==": "=", "!=": "≠", ">=": "≥", "<=": "≤", "in": "contains", "not in": "does not contain"}


def from_graph(graph: Mapping[str, Any]) -> Picture:
    """Make a picture of a graph; members that are missing or of another form are left out.

    Examples
    --------
    >>> graph = {"nodes": {"hi": {"type": "model"}}, "edges": [["START", "hi"], ["hi", "END"]]}
    >>> [(edge.source, edge.target) for edge in from_graph(graph).edges]
    [('START', 'hi'), ('hi', 'END')]
    """
    graph = _mapping(graph)
    found = dict(_nodes(graph.get("nodes")))
    nodes = [_node(name, fields) for name, fields in found.items()]
    edges = list(_edges(graph.get("edges")))
    edges += _entry_and_finish(graph, found, edges)
    for name, fields in found.items():
        if fields.get("type") == "conditional":
            edges = _with_conditions(name, _mapping(fields.get("metadata")), edges)
    return whole(Picture(tuple(nodes), tuple(edges)))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _nodes(nodes: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield name and fields; the nodes are an object, or a list of objects with a name."""
    if isinstance(nodes, Mapping):
        for name, fields in nodes.items():
            yield str(name), _mapping(fields)
    for fields in map(_mapping, _items(nodes)):
        name = fields.get("name") or fields.get("id")
        if isinstance(name, str | int):
            yield str(name), fields


def _node(name: str, fields: Mapping[str, Any]) -> Node:
    kind = fields.get("type")
    kind = kind if isinstance(kind, str) else ""
    metadata = _mapping(fields.get("metadata"))
    description = metadata.get("description") or fields.get("description")
    if isinstance(description, str) and not _NO_DESCRIPTION.fullmatch(description):
        return Node(name, sentinel(name) or kind, description)
    details = (metadata.get(key) for key in _DETAILS.get(kind, ()))
    detail = next((each for each in details if isinstance(each, str) and each), "")
    return Node(name, sentinel(name) or kind, detail)


def _edges(edges: object) -> Iterator[Edge]:
    """Yield the edges, which are pairs of names, or objects that name their ends."""
    for edge in _items(edges):
        if isinstance(edge, Mapping):
            ends = [edge.get("source", edge.get("from")), edge.get("target", edge.get("to")), edge.get("label")]
        else:
            ends = _items(edge)
        if len(ends) > 1 and all(isinstance(end, str | int) for end in ends[:2]):
            label = ends[2] if len(ends) > 2 and isinstance(ends[2], str) else ""
            yield Edge(str(ends[0]), str(ends[1]), label)


def _entry_and_finish(graph: Mapping[str, Any], found: Mapping[str, Any], edges: list[Edge]) -> Iterator[Edge]:
    """Yield the edges of start and end for a graph that names the nodes there, but has no such edges."""
    ends = {sentinel(name) for edge in edges for name in (edge.source, edge.target)}
    entry, finish = graph.get("entry_point"), graph.get("finish_point")
    if "start" not in ends and isinstance(entry, str) and entry in found:
        yield Edge("START", entry)
    if "end" not in ends and isinstance(finish, str) and finish in found:
        yield Edge(finish, "END")


def _with_conditions(name: str, metadata: Mapping[str, Any], edges: list[Edge]) -> list[Edge]:
    """Label the edges of a conditional with what leads there; add those that only its conditions name."""
    ways: dict[str, list[str]] = {}
    for number, condition in enumerate(map(_mapping, _items(metadata.get("conditions"))), start=1):
        target = condition.get("then")
        if isinstance(target, str):
            ways.setdefault(target, []).append(_condition(condition) or f"condition {number}")
    otherwise = metadata.get("else")
    if isinstance(otherwise, str):
        ways.setdefault(otherwise, []).append("else")
    labels = {target: " or ".join(dict.fromkeys(words)) for target, words in ways.items()}
    changed = [
        Edge(name, edge.target, edge.label or labels.get(edge.target, "")) if edge.source == name else edge
        for edge in edges
    ]
    present = {edge.target for edge in changed if edge.source == name}
    return changed + [Edge(name, target, label) for target, label in labels.items() if target not in present]


def _condition(condition: Mapping[str, Any]) -> str:
    """Say a condition in words: its name, or what it compares."""
    name = condition.get("name")
    if isinstance(name, str) and name.strip():
        return name.strip()
    match = condition.get("match")
    word = match if isinstance(match, str) and match in {"and", "or"} else "and"
    said = [_criterion(criterion) for criterion in map(_mapping, _items(condition.get("criteria")))]
    return f" {word} ".join(each for each in said if each)


def _criterion(criterion: Mapping[str, Any]) -> str:
    variable = line(criterion.get("variable", "")).strip("{} ")
    operator = str(criterion.get("operator", ""))
    words = [variable, _OPERATORS.get(operator, operator), line(criterion.get("value", ""))]
    return " ".join(word for word in words if word)
