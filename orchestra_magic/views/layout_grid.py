"""The grid of a layout: rows of boxes, and between them the bends of links that pass a row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .layout import Link
    from .layout_ranks import Steep

__all__ = ["Grid", "build_grid", "space"]

LABEL_MARGIN = 3.0
CLIMB_MARGIN = 5.0
FAN = 2
BOX_SPACE = 26.0
PASS_SPACE = 18.0
LINE_SPACE = 14.0

Bundle = tuple[str, int]
"""Links that share their bends: which end is common to them, and the box there."""


@dataclass
class Grid:
    """Rows of items: first the boxes, by their positions, then the bends of long links."""

    count: int
    """How many of the items are boxes."""
    left: list[float]
    right: list[float]
    """How far each item reaches from its middle."""
    row: list[int]
    rows: list[list[int]]
    up: list[list[int]]
    down: list[list[int]]
    """The items that each is linked with, one row above and below."""
    chains: list[list[int]] = field(default_factory=list)
    """The items that each link runs through, downwards."""
    back: set[int] = field(default_factory=set)
    """The links that climb."""
    labelled: set[int] = field(default_factory=set)
    """The bends that carry a label."""
    between: set[int] = field(default_factory=set)
    """The rows that hold no boxes."""
    straight: set[tuple[int, int]] = field(default_factory=set)
    """The pairs of linked items that want one column."""

    def add(self, row: int, reach: float = 0.0) -> int:
        """Append a bend to a row."""
        item = len(self.row)
        self.row.append(row)
        self.rows[row].append(item)
        self.left.append(reach)
        self.right.append(reach)
        self.up.append([])
        self.down.append([])
        return item

    def is_straight(self, one: int, other: int) -> bool:
        """Tell whether two linked items want one column."""
        return (one, other) in self.straight or (other, one) in self.straight

    def join(self, upper: int, lower: int) -> None:
        """Link two items of neighbouring rows, once."""
        if lower not in self.down[upper]:
            self.down[upper].append(lower)
            self.up[lower].append(upper)


def build_grid(
    reaches: Sequence[tuple[float, float]],
    links: Sequence[Link],
    steep: Sequence[Steep],
    ranks: Sequence[int],
) -> Grid:
    """Set boxes and bends in rows.

    Parameters
    ----------
    reaches
        How far each box reaches left and right from its middle.
    links, steep
        The links, and the same ones as they run down the picture.
    ranks
        The row of each box, if there were no rows for labels between them.
    """
    between = _gaps_with_bends(links, steep, ranks)
    row_of = [rank + sum(gap < rank for gap in between) for rank in range(max(ranks, default=0) + 1)]
    row = [row_of[rank] for rank in ranks]
    grid = Grid(
        count=len(ranks),
        left=[left for left, _ in reaches],
        right=[right for _, right in reaches],
        row=row,
        rows=[[] for _ in range(max(row, default=-1) + 1)],
        up=[[] for _ in ranks],
        down=[[] for _ in ranks],
        between={row_of[gap] + 1 for gap in between},
    )
    for box, number in enumerate(row):
        grid.rows[number].append(box)
    shared: dict[tuple[Bundle, int], int] = {}
    keys = _bundles(links, steep, ranks)
    for number, (link, slope) in enumerate(zip(links, steep, strict=True)):
        if slope.back:
            grid.back.add(number)
        grid.chains.append(_chain(grid, link, slope, keys[number], shared))
    _mark_straight(grid, ranks, steep)
    return grid


def _gaps_with_bends(links: Sequence[Link], steep: Sequence[Steep], ranks: Sequence[int]) -> set[int]:
    """Find the gaps between rows that need a row of their own, for a label or for room to pass."""
    pairs = Counter((slope.upper, slope.lower) for slope in steep)
    return {
        ranks[slope.upper]
        for link, slope in zip(links, steep, strict=True)
        if ranks[slope.lower] - ranks[slope.upper] == 1
        and (link.label or slope.back or pairs[slope.upper, slope.lower] > 1)
    }


def _bundles(links: Sequence[Link], steep: Sequence[Steep], ranks: Sequence[int]) -> list[Bundle]:
    """Say which links share their bends: long plain ones with a common end run as one line until they part."""
    ends: Counter[Bundle] = Counter()
    keys: list[Bundle] = []
    for number, (link, slope) in enumerate(zip(links, steep, strict=True)):
        if link.label or slope.back or ranks[slope.lower] - ranks[slope.upper] == 1:
            keys.append(("alone", number))
        else:
            ends["from", slope.upper] += 1
            ends["to", slope.lower] += 1
            keys.append(("", number))
    for number, ((word, _), slope) in enumerate(zip(keys, steep, strict=True)):
        if not word:
            keys[number] = max(("to", slope.lower), ("from", slope.upper), key=ends.__getitem__)
    return keys


def _chain(grid: Grid, link: Link, slope: Steep, key: Bundle, shared: dict[tuple[Bundle, int], int]) -> list[int]:
    """Lead one link through the rows, with a bend in each row that it passes."""
    if slope.upper == slope.lower:
        return []
    first, last = grid.row[slope.upper] + 1, grid.row[slope.lower] - 1
    at = last if slope.back else first
    chain = [slope.upper]
    for row in range(first, last + 1):
        item = shared.get((key, row))
        if item is None:
            labelled = bool(link.label) and row == at
            reach = link.label / 2 + LABEL_MARGIN if labelled else CLIMB_MARGIN if slope.back else 0.0
            item = shared[key, row] = grid.add(row, reach)
            if labelled:
                grid.labelled.add(item)
        chain.append(item)
    chain.append(slope.lower)
    for upper, lower in pairwise(chain):
        grid.join(upper, lower)
    return chain


def _mark_straight(grid: Grid, ranks: Sequence[int], steep: Sequence[Steep]) -> None:
    """Let short links decide the columns; a long one does where no short one does, a climbing one never."""
    short = [ranks[slope.lower] - ranks[slope.upper] == 1 and not slope.back for slope in steep]
    has_short_below = {slope.upper for slope, is_short in zip(steep, short, strict=True) if is_short}
    has_short_above = {slope.lower for slope, is_short in zip(steep, short, strict=True) if is_short}
    for number, chain in enumerate(grid.chains):
        segments = list(pairwise(chain))
        for upper, lower in segments:
            if upper < grid.count and not short[number] and (upper in has_short_below or number in grid.back):
                continue
            if lower < grid.count and not short[number] and (lower in has_short_above or number in grid.back):
                continue
            if _is_fan(grid, upper, lower):
                continue
            grid.straight.add((upper, lower))


def _is_fan(grid: Grid, upper: int, lower: int) -> bool:
    """Tell whether many boxes part from a shared line here: to centre them on it makes a picture too wide."""
    fan = grid.down[upper] if upper >= grid.count > lower else grid.up[lower] if lower >= grid.count > upper else ()
    return len(fan) > FAN


def space(grid: Grid, left: int, right: int) -> float:
    """Tell the distance that the middles of two neighbours need."""
    boxes = (left < grid.count) + (right < grid.count)
    return grid.right[left] + (LINE_SPACE, PASS_SPACE, BOX_SPACE)[boxes] + grid.left[right]
