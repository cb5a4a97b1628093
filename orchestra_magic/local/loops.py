"""The order inside a loop: what comes after what in one round of it."""

from __future__ import annotations

from collections.abc import Iterable

from .order import Edges, reachable


def later(entries: Iterable[str], edges: Edges) -> dict[str, set[str]]:
    """Return for each node of a loop those that can still be reached from it in the same round.

    Parameters
    ----------
    entries : Iterable[str]
        Where the way comes in.
    edges : Mapping[str, Sequence[str]]
        The edges inside the loop. One that leads back to a node on the way to it begins the next round.
    """
    forward: dict[str, list[str]] = {}
    on_the_way: set[str] = set()
    for entry in entries:
        work = [] if entry in forward else [(entry, iter(edges.get(entry, ())))]
        while work:
            node, targets = work[-1]
            on_the_way.add(node)
            known = forward.setdefault(node, [])
            for target in targets:
                if target not in on_the_way:
                    known.append(target)
                if target not in forward:
                    work.append((target, iter(edges.get(target, ()))))
                    break
            else:
                on_the_way.discard(node)
                work.pop()
    return {node: reachable(targets, forward) for node, targets in forward.items()}
