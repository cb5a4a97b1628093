"""Bring a layout that is too wide into a width, where lines have to bend for it.

Columns that all stay straight drift apart in deep pictures, until nothing in them is legible. Here each row
in turn comes as near as it can to the one before; sums of distances, not of their squares, so that few
lines bend and not all of them a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from .layout_grid import space

if TYPE_CHECKING:
    from .layout_grid import Grid

__all__ = ["least_width", "squeeze"]

LINE, STRAIGHT, LOOSE, FREE = 8.0, 2.0, 0.5, 0.1
"""How much it counts that a line stays straight, that a box stands under its line, and less."""

MANY = 40
"""Of more wishes than this the mean is taken, which costs less."""

Wish = tuple[float, float]
"""A position, and how much it counts."""


def least_width(grid: Grid) -> float:
    """Tell the width that the widest row needs."""
    return max((_offsets(grid, row)[-1] + grid.left[row[0]] + grid.right[row[-1]] for row in grid.rows), default=0.0)


def squeeze(grid: Grid, x: list[float], width: float) -> None:
    """Move all items in place, into `width`, which is enough for the widest row; the order in the rows stays."""
    middle = (min(x) + max(x)) / 2
    for item, value in enumerate(x):
        x[item] = value - middle + width / 2
    count = len(grid.rows)
    for numbers, near in ((range(count), grid.up), (range(count - 1, -1, -1), grid.down), (range(count), grid.up)):
        for number in numbers:
            row = grid.rows[number]
            wishes = [_wish(grid, item, near[item], x) for item in row]
            for item, value in zip(row, _fitted(grid, row, wishes, width), strict=True):
                x[item] = value


def _wish(grid: Grid, item: int, near: Sequence[int], x: Sequence[float]) -> Wish:
    """Tell where an item wants to be, for what it is linked with in the row before."""
    straight = [other for other in near if grid.is_straight(item, other)]
    lines = [other for other in straight if min(item, other) >= grid.count]
    for others, weight in ((lines, LINE), (straight, STRAIGHT), (near, LOOSE)):
        if others:
            return _median([(x[other], 1.0) for other in others]), weight
    return x[item], FREE


def _median(wishes: Sequence[Wish]) -> float:
    """Return the weighted median; between the two in the middle if the halves are equal."""
    if len(wishes) == 1:
        return wishes[0][0]
    if len(wishes) > MANY:
        return sum(value * weight for value, weight in wishes) / sum(weight for _, weight in wishes)
    ordered = sorted(wishes)
    half = sum(weight for _, weight in ordered) / 2
    total = 0.0
    for place, (value, weight) in enumerate(ordered):
        total += weight
        if total > half:
            return value
        if total == half:
            return (value + ordered[place + 1][0]) / 2
    return ordered[-1][0]


def _offsets(grid: Grid, row: Sequence[int]) -> list[float]:
    """Tell how far each item of a row is from the first one, if they stand as close as they can."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + space(grid, left, right))
    return offsets


def _fitted(grid: Grid, row: Sequence[int], wishes: Sequence[Wish], width: float) -> list[float]:
    """Place a row as near to its wishes as order, distances and width allow (pool adjacent violators)."""
    offsets = _offsets(grid, row)
    pools: list[tuple[float, list[Wish]]] = []
    for (value, weight), offset in zip(wishes, offsets, strict=True):
        pool = [(value - offset, weight)]
        at = value - offset
        while pools and pools[-1][0] >= at:
            pool = pools.pop()[1] + pool
            at = _median(pool)
        pools.append((at, pool))
    low, high = grid.left[row[0]], width - grid.right[row[-1]] - offsets[-1]
    bases = [min(max(at, low), high) for at, pool in pools for _ in pool]
    return [base + offset for base, offset in zip(bases, offsets, strict=True)]
