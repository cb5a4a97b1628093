"""The order of the items in each row of a layout, for few crossings of links."""

from __future__ import annotations

from bisect import bisect_right, insort
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .layout_grid import Grid

__all__ = ["crossings", "untangle"]

WORK = 24_000
"""Items looked at in all sweeps together: bounds the time for large graphs."""
MOST_SWEEPS = 24
FEWEST_SWEEPS = 4
PATIENCE = 4


def untangle(grid: Grid) -> None:
    """Reorder the rows of `grid` in place; repeated sweeps, the best order seen is kept."""
    grid.rows = _by_descent(grid)
    best, fewest = [list(row) for row in grid.rows], crossings(grid)
    sweeps = max(FEWEST_SWEEPS, min(MOST_SWEEPS, WORK // max(1, len(grid.row))))
    stale = 0
    for number in range(sweeps):
        if not fewest or stale >= PATIENCE:
            break
        _sweep(grid, down=number % 2 == 0, turn=number % 4 >= 2)
        _swap_neighbours(grid)
        count = crossings(grid)
        stale = 0 if count < fewest else stale + 1
        if count < fewest:
            best, fewest = [list(row) for row in grid.rows], count
    grid.rows = best


def crossings(grid: Grid) -> int:
    """Count the crossings of links between neighbouring rows."""
    total = 0
    for upper, lower in pairwise(grid.rows):
        place = {item: position for position, item in enumerate(lower)}
        seen: list[int] = []
        for item in upper:
            ends = sorted([place[low] for low in grid.down[item]])
            count = len(seen)
            for end in ends:
                total += count - bisect_right(seen, end)
            for end in ends:
                insort(seen, end)
    return total


def _by_descent(grid: Grid) -> list[list[int]]:
    """Start with the order of a walk from the top, so that what hangs together stands together."""
    rows: list[list[int]] = [[] for _ in grid.rows]
    seen = [False] * len(grid.row)
    for first in [item for row in grid.rows for item in row]:
        stack = [first]
        while stack:
            item = stack.pop()
            if not seen[item]:
                seen[item] = True
                rows[grid.row[item]].append(item)
                stack.extend(reversed(grid.down[item]))
    return rows


def _sweep(grid: Grid, *, down: bool, turn: bool) -> None:
    """Sort each row by the mean place of what it is linked with in the row before."""
    near = grid.up if down else grid.down
    numbers = range(1, len(grid.rows)) if down else range(len(grid.rows) - 2, -1, -1)
    for number in numbers:
        row = grid.rows[number]
        before = grid.rows[number - 1 if down else number + 1]
        place = {item: float(position) for position, item in enumerate(before)}
        mean = {item: _mean(near[item], place) for item in row}
        _sort_linked(row, mean, turn=turn)


def _mean(items: Sequence[int], place: dict[int, float]) -> float | None:
    return sum(place[item] for item in items) / len(items) if items else None


def _sort_linked(row: list[int], mean: dict[int, float | None], *, turn: bool) -> None:
    """Sort in place; what is linked with nothing keeps its place. `turn` lets equals change places."""
    linked = [(value, item) for item in row if (value := mean[item]) is not None]
    if turn:
        linked.reverse()
    linked.sort(key=lambda pair: pair[0])
    fresh = iter([item for _, item in linked])
    row[:] = [item if mean[item] is None else next(fresh) for item in row]


def _swap_neighbours(grid: Grid) -> None:
    """Swap neighbours where that alone saves crossings."""
    place = [0] * len(grid.row)
    for row in grid.rows:
        for position, item in enumerate(row):
            place[item] = position
    for row in grid.rows:
        for position in range(len(row) - 1):
            left, right = row[position], row[position + 1]
            kept = _between(grid, left, right, place)
            if kept and _between(grid, right, left, place) < kept:
                row[position], row[position + 1] = right, left
                place[left], place[right] = position + 1, position


def _between(grid: Grid, left: int, right: int, place: Sequence[int]) -> int:
    """Count the crossings among the links of two items, if they stand in this order."""
    count = 0
    for near in (grid.up, grid.down):
        ends = [place[other] for other in near[right]]
        for one in near[left]:
            at = place[one]
            for end in ends:
                count += at > end
    return count
