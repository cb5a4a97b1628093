"""How a status looks, and what can be told of nodes for which no step reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .diagram_lettering import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .diagram_picture import Edge, Picture

__all__ = ["LOOKS", "NOT_REACHED", "Look", "known", "look", "travelled"]


@dataclass(frozen=True)
class Look:
    """Colours and signs of one status. `ink` on `ground` has a contrast above 4.5 to 1."""

    ink: str
    ground: str
    border: str
    icon: str
    mark: str


LOOKS = {
    "queued": Look("#475569", "#ffffff", "#94a3b8", "clock", "○"),
    "running": Look("#1d4ed8", "#eff6ff", "#2563eb", "dots", "◐"),
    "completed": Look("#166534", "#f0fdf4", "#45c07a", "check", "✔"),
    "failed": Look("#b91c1c", "#fef2f2", "#ef4444", "cross", "✘"),
    "cancelled": Look("#92400e", "#fffbeb", "#f59e0b", "stop", "■"),
    "skipped": Look("#586474", "#f8fafc", "#a3afbf", "skip", "⊘"),
}
UNKNOWN = Look("#475569", "#ffffff", "#94a3b8", "dot", "·")
NOT_REACHED = Look("#586474", "#ffffff", "#cbd5e1", "", " ")

_SAME = {
    "pruned": "skipped",
    "success": "completed",
    "succeeded": "completed",
    "error": "failed",
    "errored": "failed",
    "timeout": "failed",
    "timed_out": "failed",
    "canceled": "cancelled",
    "stopped": "cancelled",
    "aborted": "cancelled",
}
_ACTIVE = {"queued", "running", "failed", "cancelled"}
_REACHED = {"running", "completed", "failed", "cancelled"}


def _family(status: str | None) -> str:
    word = (status or "").lower()
    return _SAME.get(word, word)


def look(status: str | None) -> Look:
    """Return how a status looks; None and "" mean that the node was not reached.

    Examples
    --------
    >>> look("completed").icon, look("Succeeded").icon, look("strange").icon
    ('check', 'check', 'dot')
    """
    return LOOKS.get(_family(status), UNKNOWN) if status else NOT_REACHED


def known(picture: Picture, statuses: Mapping[str, str] | None) -> dict[str, str]:
    """Return the status of each node that has one, those of start and end inferred.

    The start is completed as soon as any node is under way; the end as soon as a node that leads to it is
    completed and nothing is under way or went wrong. A status given for them by name goes before that.
    """
    if statuses is None:
        return {}
    found = {name: one_line(str(status)) for name, status in statuses.items() if status}
    families = {_family(status) for status in found.values()}
    for node in picture.nodes:
        if node.name in found:
            continue
        if node.kind == "start" and families & _REACHED:
            found[node.name] = "completed"
        if node.kind == "end" and not families & _ACTIVE:
            before = (edge.source for edge in picture.edges if edge.target == node.name)
            if any(_family(found.get(name)) == "completed" for name in before):
                found[node.name] = "completed"
    return found


def travelled(picture: Picture, found: Mapping[str, str]) -> set[Edge]:
    """Return the edges that the run took, as far as the statuses tell it.

    One way alone leads on from a conditional. Where several of its targets were reached, those that another
    node can have led to are left out.
    """
    done = {name for name, status in found.items() if _family(status) == "completed"}
    reached = {name for name, status in found.items() if _family(status) in _REACHED}
    taken = [e for e in picture.edges if e.source in done and e.target in reached and e.source != e.target]
    kinds = {node.name: node.kind for node in picture.nodes}
    targets: dict[str, set[str]] = {}
    sources: dict[str, set[str]] = {}
    for edge in taken:
        targets.setdefault(edge.source, set()).add(edge.target)
        sources.setdefault(edge.target, set()).add(edge.source)
    return {
        edge
        for edge in taken
        if kinds.get(edge.source) != "conditional" or len(targets[edge.source]) == 1 or len(sources[edge.target]) == 1
    }
