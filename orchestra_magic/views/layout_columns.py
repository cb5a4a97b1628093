"""Columns for the items of a layout: what is linked stands under each other where it can.

After Brandes and Köpf: four extreme alignments, each compacted, then the mean of the two in the middle.
Each of the four keeps order and distances, so their mean does as well.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from .layout_grid import space
from .layout_settle import settle
from .layout_squeeze import least_width, squeeze

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .layout_grid import Grid

__all__ = ["columns"]


LEGIBLE = 1100.0
"""A width up to which straight lines go before a narrow picture."""
TOO_WIDE = 1.25


def columns(grid: Grid) -> list[float]:
    """Give each item the x of its middle; the leftmost reach is at 0.

    The order in the rows of `grid` is kept.
    """
    forbidden = _conflicts(grid)
    proposals = []
    for down in (True, False):
        for leftward in (True, False):
            rows = grid.rows if down else grid.rows[::-1]
            rows = rows if leftward else [row[::-1] for row in rows]
            root = _align(grid, rows, forbidden, down=down)
            x = _compact(grid, rows, root, mirrored=not leftward)
            proposals.append(x if leftward else [-value for value in x])
    _meet(grid, proposals)
    x = [(low + high) / 2 for _, low, high, _ in (sorted(four) for four in zip(*proposals, strict=True))]
    least = max(LEGIBLE, least_width(grid))
    if max(x) - min(x) > TOO_WIDE * least:
        squeeze(grid, x, least)
    settle(grid, x)
    shift = min((value - reach for value, reach in zip(x, grid.left, strict=True)), default=0.0)
    return [value - shift for value in x]


def _conflicts(grid: Grid) -> set[tuple[int, int]]:
    """Find the links that cross a long line, which shall stay straight."""
    found: set[tuple[int, int]] = set()
    for upper, lower in pairwise(grid.rows):
        place = {item: position for position, item in enumerate(upper)}
        start = low_end = 0
        for position, item in enumerate(lower):
            inner = next((high for high in grid.up[item] if min(high, item) >= grid.count), None)
            if inner is None and position < len(lower) - 1:
                continue
            high_end = len(upper) - 1 if inner is None else place[inner]
            for other in lower[start : position + 1]:
                found.update(
                    (high, other)
                    for high in grid.up[other]
                    if not low_end <= place[high] <= high_end and min(high, other) < grid.count
                )
            start, low_end = position + 1, high_end
    return found


def _align(grid: Grid, rows: Sequence[Sequence[int]], forbidden: set[tuple[int, int]], *, down: bool) -> list[int]:
    """Join each item with the middle one of those before it; tell the first item of each one's column."""
    root = list(range(len(grid.row)))
    taken = [False] * len(root)
    near = grid.up if down else grid.down
    place = {item: position for row in rows for position, item in enumerate(row)}
    for row in rows:
        last = -1
        for item in row:
            linked = sorted(_wanted(grid, near[item], item, down=down), key=place.__getitem__)
            middle = len(linked) - 1
            for position in range(middle // 2, (middle + 1) // 2 + 1) if linked else ():
                other = linked[position]
                pair = (other, item) if down else (item, other)
                if root[item] == item and not taken[other] and last < place[other] and pair not in forbidden:
                    root[item] = root[other]
                    taken[other] = True
                    last = place[other]
    return root


def _wanted(grid: Grid, near: Sequence[int], item: int, *, down: bool) -> list[int]:
    pairs = [(other, (other, item) if down else (item, other)) for other in near]
    wanted = [other for other, pair in pairs if pair in grid.straight]
    if item >= grid.count:
        # a long line follows itself before it follows those that join it
        return [other for other in wanted if other >= grid.count] or wanted
    return wanted


def _compact(grid: Grid, rows: Sequence[Sequence[int]], root: Sequence[int], *, mirrored: bool) -> list[float]:
    """Push all columns to the left, then draw each to the right as far as its neighbours let it."""
    after: dict[int, dict[int, float]] = {first: {} for first in root}
    waits = dict.fromkeys(after, 0)
    for row in rows:
        for left, right in pairwise(row):
            need = space(grid, right, left) if mirrored else space(grid, left, right)
            one, other = root[left], root[right]
            if other not in after[one]:
                waits[other] += 1
            after[one][other] = max(after[one].get(other, 0.0), need)
    x = dict.fromkeys(after, 0.0)
    order = [first for first in after if not waits[first]]
    for first in order:
        for other, need in after[first].items():
            x[other] = max(x[other], x[first] + need)
            waits[other] -= 1
            if not waits[other]:
                order.append(other)
    for first in reversed(order):
        if after[first]:
            x[first] = max(x[first], min(x[other] - need for other, need in after[first].items()))
    return [x[first] for first in root]


def _meet(grid: Grid, proposals: list[list[float]]) -> None:
    """Move the four proposals over the narrowest one: two by their left edge, two by their right."""
    edges = [
        (
            min((x - reach for x, reach in zip(xs, grid.left, strict=True)), default=0.0),
            max((x + reach for x, reach in zip(xs, grid.right, strict=True)), default=0.0),
        )
        for xs in proposals
    ]
    low, high = min(edges, key=lambda edge: edge[1] - edge[0])
    for number, (left, right) in enumerate(edges):
        shift = low - left if number % 2 == 0 else high - right
        proposals[number] = [x + shift for x in proposals[number]]
