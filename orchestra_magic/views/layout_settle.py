"""The last touch to the columns: lines that pass boxes come near to what they link, small jogs vanish.

Compaction leaves the lines anywhere in the space between two boxes, which makes loops wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .layout_grid import space

if TYPE_CHECKING:
    from .layout_grid import Grid

__all__ = ["settle"]

SAME = 0.5
PASSES = 3
JOG = 40.0
"""A box moves no further than this: it stands where it does for the sake of others too."""


def settle(grid: Grid, x: list[float]) -> None:
    """Move what stands straight under each other in place; the order and the distances in the rows stay."""
    runs = _runs(grid, x)
    place = {item: position for row in grid.rows for position, item in enumerate(row)}
    for _ in range(PASSES):
        moved = False
        for run in runs:
            shift = _wish(grid, run, x)
            if shift:
                least, most = _slack(grid, run, place, x)
                shift = min(max(shift, least), most)
            if abs(shift) > SAME:
                moved = True
                for item in run:
                    x[item] += shift
        if not moved:
            break


def _runs(grid: Grid, x: Sequence[float]) -> list[list[int]]:
    """Collect the items that stand straight under each other."""
    runs = []
    seen: set[int] = set()
    for first in range(len(x)):
        if first in seen:
            continue
        seen.add(first)
        run = [first]
        for item in run:
            for other in (*grid.up[item], *grid.down[item]):
                if other not in seen and abs(x[other] - x[item]) < SAME and _straight(grid, item, other):
                    seen.add(other)
                    run.append(other)
        runs.append(run)
    return runs


def _straight(grid: Grid, one: int, other: int) -> bool:
    """Tell whether two linked items shall stay in one column; a label is free to leave its line."""
    return min(one, other) >= grid.count or grid.is_straight(one, other)


def _wish(grid: Grid, run: Sequence[int], x: Sequence[float]) -> float:
    """Tell how far the run would have to go to make its links shortest."""
    inside = set(run)
    has_box = any(item < grid.count for item in run)
    ways = sorted(
        x[other] - x[item]
        for item in run
        for other in (*grid.up[item], *grid.down[item])
        if other not in inside and (not has_box or _straight(grid, item, other))
    )
    if not ways:
        return 0.0
    low, high = ways[(len(ways) - 1) // 2], ways[len(ways) // 2]
    shift = low if low > 0 else high if high < 0 else 0.0
    return 0.0 if has_box and abs(shift) > JOG else shift


def _slack(grid: Grid, run: Sequence[int], place: dict[int, int], x: Sequence[float]) -> tuple[float, float]:
    """Tell how far the run can go to the left (below 0) and to the right."""
    least, most = float("-inf"), float("inf")
    for item in run:
        row, position = grid.rows[grid.row[item]], place[item]
        if position:
            left = row[position - 1]
            least = max(least, x[left] + space(grid, left, item) - x[item])
        if position + 1 < len(row):
            right = row[position + 1]
            most = min(most, x[right] - space(grid, item, right) - x[item])
    return min(least, 0.0), max(most, 0.0)
