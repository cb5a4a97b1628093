"""The picture in words: a sentence for those who do not see it, a list for a terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .diagram_lettering import one_line, width
from .diagram_picture import Edge, Node, Picture, whole
from .diagram_status import known, look
from .layout_ranks import downward, rank

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["alt", "summary", "text"]

MOST_SPOKEN = 40
"""Nodes that the sentence lists; of larger pictures it tells the sum."""
NAME_ROOM = 32
LABEL_ROOM = 40
SPOKEN_ROOM = 80


def summary(picture: Picture, statuses: Mapping[str, str] | None = None) -> str:
    """Return a picture in a few words: how many nodes, and how many of each status.

    Examples
    --------
    >>> summary(Picture((Node("a"), Node("b"))), {"a": "failed"})
    'Workflow of 2 nodes: 1 failed, 1 not reached'
    """
    picture = whole(picture)
    steps = [node for node in picture.nodes if node.kind not in {"start", "end"}]
    words = f"Workflow of {len(steps)} node{'' if len(steps) == 1 else 's'}"
    if statuses is None:
        return words
    found = known(picture, statuses)
    counts = Counter(found.get(node.name, "not reached") for node in steps)
    told = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    return f"{words}: {told}" if told else words


def alt(picture: Picture, statuses: Mapping[str, str] | None = None) -> str:
    """Return one sentence that says what the picture shows.

    Examples
    --------
    >>> alt(Picture((Node("START", "start"), Node("hi", "model")), (Edge("START", "hi"),)), {"hi": "running"})
    'Workflow of 1 node: 1 running. START (completed) leads to hi (model, running).'
    """
    picture = whole(picture)
    head = summary(picture, statuses)
    if len(picture.nodes) > MOST_SPOKEN:
        return f"{head}. {_remarkable(picture, statuses)}".rstrip()
    parts = _Teller(picture, statuses).parts()
    return f"{head}. {'; '.join(parts)}." if parts else f"{head}."


def _remarkable(picture: Picture, statuses: Mapping[str, str] | None) -> str:
    """Name what those who look at a large picture look for."""
    found = known(picture, statuses)
    parts = []
    for word in ("failed", "cancelled", "running"):
        names = [node.title for node in picture.nodes if found.get(node.name) == word]
        if names:
            rest = f" and {len(names) - 8} more" if len(names) > 8 else ""
            parts.append(f"{word.capitalize()}: {', '.join(names[:8])}{rest}.")
    return " ".join(parts)


class _Teller:
    """Tells a picture node by node; what a node is, it says where the node is named first."""

    def __init__(self, picture: Picture, statuses: Mapping[str, str] | None) -> None:
        self.picture = picture
        self.found = known(picture, statuses)
        self.is_run = statuses is not None
        self.nodes = {node.name: node for node in picture.nodes}
        self.climbing = _climbing(picture)
        self.told: set[str] = set()

    def parts(self) -> list[str]:
        """Return a clause for each node that leads on or hangs alone."""
        ways = _ways(self.picture)
        parts = []
        for node in _in_order(self.picture):
            outgoing = ways.get(node.name, [])
            if outgoing or node.name not in self.told:
                subject = self.named(node)
                ends = [self.way(edge) for edge in outgoing]
                parts.append(subject + (f" leads {_and(ends)}" if ends else ""))
        return parts

    def named(self, node: Node) -> str:
        name = _short(node.title, SPOKEN_ROOM)
        if node.name in self.told:
            return name
        self.told.add(node.name)
        facts = [] if node.kind in {"start", "end"} else [node.word]
        if self.is_run:
            facts.append(self.found.get(node.name, "not reached"))
        return f"{name} ({', '.join(facts)})" if facts else name

    def way(self, edge: Edge) -> str:
        target = f"to {self.named(self.nodes[edge.target])}"
        if edge.source == edge.target:
            target = "to itself"
        elif edge in self.climbing:
            target = f"back {target}"
        if edge.label == "else":
            return f"{target} otherwise"
        return f"{target} if {_short(edge.label, SPOKEN_ROOM)}" if edge.label else target


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def text(picture: Picture, statuses: Mapping[str, str] | None = None) -> str:
    """Return the picture for a terminal: a line per node, from start to end, and where it leads.

    Examples
    --------
    >>> print(text(Picture((Node("START", "start"), Node("hi", "model")), (Edge("START", "hi"),))))
    START         → hi
    hi     model
    """
    picture = whole(picture)
    found = known(picture, statuses)
    climbing = _climbing(picture)
    ways = _ways(picture)
    rows = []
    for node in _in_order(picture):
        status = found.get(node.name, "")
        kind = "" if node.kind in {"start", "end"} else node.word
        middle = kind if statuses is None else status
        name = _short(node.title, NAME_ROOM)
        if statuses is not None:
            name = f"{_mark(status)} {name}"
        ends = [_short(e.target, NAME_ROOM) + _said(e, back=e in climbing) for e in ways.get(node.name, [])]
        rows.append((name, middle, f"→ {', '.join(ends)}" if ends else ""))
    first, second = (max((_cells(row[column]) for row in rows), default=0) for column in (0, 1))
    lines = [f"{_filled(one, first)}  {_filled(two, second)}  {three}".rstrip() for one, two, three in rows]
    return "\n".join(lines) or "no nodes"


def _mark(status: str) -> str:
    return look(status).mark


def _said(edge: Edge, *, back: bool) -> str:
    label = f" [{_short(edge.label, LABEL_ROOM)}]" if edge.label else ""
    return label + (" ↺" if back else "")


def _short(words: str, room: int) -> str:
    words = one_line(words)
    return words if len(words) <= room else words[: room - 1].rstrip() + "…"


def _cells(words: str) -> int:
    """Count the columns of a terminal that a text takes."""
    return sum(0 if not (wide := width(c, 1.0)) else 2 if wide >= 1 and not c.isascii() else 1 for c in words)


def _filled(words: str, cells: int) -> str:
    return words + " " * (cells - _cells(words))


def _ways(picture: Picture) -> dict[str, list[Edge]]:
    ways: dict[str, list[Edge]] = {}
    for edge in picture.edges:
        ways.setdefault(edge.source, []).append(edge)
    return ways


def _climbing(picture: Picture) -> set[Edge]:
    """Find the edges that lead back, the same ones that are drawn so."""
    place = {node.name: position for position, node in enumerate(picture.nodes)}
    steep = downward(len(place), [(place[edge.source], place[edge.target]) for edge in picture.edges])
    return {edge for edge, slope in zip(picture.edges, steep, strict=True) if slope.back or edge.source == edge.target}


def _in_order(picture: Picture) -> list[Node]:
    """Sort the nodes from top to bottom of the picture."""
    place = {node.name: position for position, node in enumerate(picture.nodes)}
    steep = downward(len(place), [(place[edge.source], place[edge.target]) for edge in picture.edges])
    ranks = rank([0.0] * len(place), steep, limit=1.0)
    return sorted(picture.nodes, key=lambda node: (ranks[place[node.name]], node.kind == "end", place[node.name]))
