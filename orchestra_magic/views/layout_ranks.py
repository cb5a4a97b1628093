"""Rows for the boxes of a layout: cycles broken, links downwards and short, no row too wide."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Steep", "downward", "rank"]

PASSES = 8


@dataclass(frozen=True)
class Steep:
    """A link as it runs down the picture; `back` says that it was turned round for that."""

    upper: int
    lower: int
    back: bool


def downward(count: int, pairs: Sequence[tuple[int, int]]) -> list[Steep]:
    """Turn round the links that close a cycle, so that all others can run downwards.

    Examples
    --------
    >>> downward(2, [(0, 1), (1, 0)])
    [Steep(upper=0, lower=1, back=False), Steep(upper=0, lower=1, back=True)]
    """
    outgoing: list[list[int]] = [[] for _ in range(count)]
    entered = [False] * count
    for number, (source, target) in enumerate(pairs):
        if source != target:
            outgoing[source].append(number)
            entered[target] = True
    roots = [box for box in range(count) if not entered[box]] + [box for box in range(count) if entered[box]]
    closing = set(_closing(roots, outgoing, pairs))
    return [
        Steep(target, source, back=True) if number in closing else Steep(source, target, back=False)
        for number, (source, target) in enumerate(pairs)
    ]


def _closing(
    roots: Sequence[int], outgoing: Sequence[Sequence[int]], pairs: Sequence[tuple[int, int]]
) -> Iterator[int]:
    """Walk depth first, and find the links that lead back to a box on the way."""
    done: set[int] = set()
    for root in roots:
        if root in done:
            continue
        done.add(root)
        on_way = {root}
        stack = [(root, iter(outgoing[root]))]
        while stack:
            box, links = stack[-1]
            number = next(links, None)
            if number is None:
                on_way.discard(box)
                stack.pop()
                continue
            target = pairs[number][1]
            if target in on_way:
                yield number
            elif target not in done:
                done.add(target)
                on_way.add(target)
                stack.append((target, iter(outgoing[target])))


def rank(widths: Sequence[float], links: Sequence[Steep], limit: float) -> list[int]:
    """Give each box the number of its row, from 0.

    Parameters
    ----------
    widths
        Of the boxes, with the gap beside them.
    links
        Without cycles, apart from those of a box to itself.
    limit
        What a row should not be wider than.

    Examples
    --------
    >>> rank([50, 50, 50], [Steep(0, 1, back=False), Steep(1, 2, back=False)], limit=400)
    [0, 1, 2]
    """
    above: list[list[int]] = [[] for _ in widths]
    below: list[list[int]] = [[] for _ in widths]
    for link in links:
        if link.upper != link.lower:
            above[link.lower].append(link.upper)
            below[link.upper].append(link.lower)
    order = _topological(above, below)
    ranks = [0] * len(widths)
    for box in order:
        ranks[box] = max((ranks[high] + 1 for high in above[box]), default=0)
    for _ in range(PASSES):
        if not _shorten(ranks, order, above, below):
            break
    return _narrow(ranks, widths, above, limit)


def _topological(above: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> list[int]:
    waits = [len(high) for high in above]
    order = [box for box, wait in enumerate(waits) if not wait]
    for box in order:
        for low in below[box]:
            waits[low] -= 1
            if not waits[low]:
                order.append(low)
    return order


def _shorten(
    ranks: list[int], order: Sequence[int], above: Sequence[Sequence[int]], below: Sequence[Sequence[int]]
) -> bool:
    """Move each box to the side on which it has more links; tell whether any moved."""
    moved = False
    for box in [*reversed(order), *order]:
        lean = len(below[box]) - len(above[box])
        if lean > 0:
            best = min(ranks[low] for low in below[box]) - 1
        elif lean < 0:
            best = max(ranks[high] for high in above[box]) + 1
        else:
            continue
        moved = moved or best != ranks[box]
        ranks[box] = best
    return moved


def _narrow(ranks: Sequence[int], widths: Sequence[float], above: Sequence[Sequence[int]], limit: float) -> list[int]:
    """Fill the rows in their order, and let what does not fit go to the next one."""
    totals: dict[int, float] = {}
    for box, row in enumerate(ranks):
        totals[row] = totals.get(row, 0.0) + widths[box]
    used: dict[int, float] = {}
    placed = [0] * len(ranks)
    for box in sorted(range(len(ranks)), key=lambda box: (ranks[box], box)):
        row = max([ranks[box], *(placed[high] + 1 for high in above[box])])
        total = totals[ranks[box]]
        # rows that share what is too much for one shall be of like width
        most = limit if total <= limit else total / ceil(total / limit) + widths[box] / 2
        while row in used and used[row] + widths[box] > most:
            row += 1
        used[row] = used.get(row, 0.0) + widths[box]
        placed[box] = row
    # boxes that had to wait can leave rows empty
    number = {row: position for position, row in enumerate(sorted(used))}
    return [number[row] for row in placed]
