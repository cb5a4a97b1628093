"""The order of a graph: which nodes come before which, and which go round in a loop together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

Edges = Mapping[str, Sequence[str]]


def reachable(start: Iterable[str], edges: Edges) -> set[str]:
    """Return every node that a path of edges leads to from ``start``, itself included."""
    found = set(start)
    waiting = list(found)
    while waiting:
        for target in edges.get(waiting.pop(), ()):
            if target not in found:
                found.add(target)
                waiting.append(target)
    return found


def reverse(edges: Edges) -> dict[str, list[str]]:
    """Return the same edges, each the other way round."""
    turned: dict[str, list[str]] = {}
    for source, targets in edges.items():
        for target in targets:
            turned.setdefault(target, []).append(source)
    return turned


def together(parts: Sequence[Sequence[str]], sources: Edges, parting: AbstractSet[str]) -> dict[str, set[str]]:
    """Return for each node those that one run can come to as well, by ways that part before both.

    ``parting`` are the nodes from which a run goes all ways, not one of them; ``parts`` are the :func:`components`,
    and ``sources`` say where edges come from.
    """
    found: dict[str, set[str]] = {}
    for part in parts:
        before = {source for name in part for source in sources.get(name, ()) if source not in part}
        others = before.intersection(parting).union(*(found.get(source, ()) for source in before))
        for name in part:
            found[name] = set(others)
        for other in others:
            found.setdefault(other, set()).update(part)
    return found


def components(nodes: Sequence[str], edges: Edges) -> list[list[str]]:
    """Return the nodes in topological order; those of one loop stand together.

    Tarjan's strongly connected components, without recursion, so that a long chain is no problem.
    The answer is the same for the same graph: a run that is taken up again goes the same way.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for root in nodes:
        if root in index:
            continue
        work = [(root, 0)]
        while work:
            node, position = work.pop()
            if position == 0:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            targets = edges.get(node, ())
            while position < len(targets):
                target = targets[position]
                position += 1
                if target not in index:
                    work += [(node, position), (target, 0)]
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                if low[node] == index[node]:
                    cut = stack.index(node)
                    found.append(sorted(stack[cut:], key=list(nodes).index))
                    on_stack -= set(stack[cut:])
                    del stack[cut:]
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
    found.reverse()
    return found


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
