"""Place boxes in rows from top to bottom, and find a way for each link between them.

The layered method of Sugiyama: break the cycles, give each box a row, order the rows for few crossings,
choose columns that keep lines straight. Knows nothing of workflows or of drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign
from typing import TYPE_CHECKING

from .layout_columns import columns
from .layout_grid import Grid, build_grid
from .layout_order import untangle
from .layout_ranks import downward, rank

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Box", "Link", "Plan", "Post", "Route", "layout"]

ROW_LIMIT = 1060.0
"""Boxes of one row take at most this width, if the links allow: a wider picture is not legible in a page."""

LABEL_HEIGHT = 18.0
BOX_GAP = 26.0
LABEL_GAP = 13.0
ARROW = 7.0
ASIDE = 14.0
SLOPE = 0.12
MAX_EXTRA = 60.0
PART_GAP = 30.0


@dataclass(frozen=True)
class Box:
    """What is placed: its size, and the room to keep free at its right (for links to itself)."""

    width: float
    height: float
    aside: float = 0.0


@dataclass(frozen=True)
class Link:
    """A link between two boxes, by their positions; `label` is the width of its label, 0 for none."""

    source: int
    target: int
    label: float = 0.0


@dataclass(frozen=True)
class Post:
    """A straight vertical piece of a link: at `x`, from `enter` to `leave`; curves join the posts."""

    x: float
    enter: float
    leave: float


@dataclass(frozen=True)
class Route:
    """The way of one link, from its source to its target. A link of a box to itself has no posts."""

    posts: tuple[Post, ...]
    label: tuple[float, float] | None
    back: bool


@dataclass(frozen=True)
class Plan:
    """The whole picture: the top left corner of each box, a route per link, the size."""

    corners: tuple[tuple[float, float], ...]
    routes: tuple[Route, ...]
    width: float
    height: float


def layout(boxes: Sequence[Box], links: Sequence[Link]) -> Plan:
    """Place `boxes` so that none overlap and `links` run downwards past them.

    Parameters
    ----------
    boxes
        What is placed. The first one without a link to it leads.
    links
        By positions in `boxes`; a link back to an earlier box is allowed, so is one to itself.

    Returns
    -------
    Plan
        In pixels; the same for the same arguments, always.

    Examples
    --------
    >>> plan = layout([Box(80, 40), Box(80, 40)], [Link(0, 1)])
    >>> plan.corners
    ((0.0, 0.0), (0.0, 66.0))
    """
    corners: list[tuple[float, float]] = [(0.0, 0.0)] * len(boxes)
    routes = [Route((), None, back=False)] * len(links)
    parts = []
    for members in _parts(len(boxes), links):
        index = {box: position for position, box in enumerate(members)}
        inside = [number for number, link in enumerate(links) if link.source in index]
        local = [Link(index[links[n].source], index[links[n].target], links[n].label) for n in inside]
        parts.append((members, inside, _place([boxes[box] for box in members], local)))
    shifts, width, height = _shelves([plan for _, _, plan in parts])
    for (members, inside, plan), (right, down) in zip(parts, shifts, strict=True):
        for box, (x, y) in zip(members, plan.corners, strict=True):
            corners[box] = (x + right, y + down)
        for number, route in zip(inside, plan.routes, strict=True):
            routes[number] = _moved(route, right, down)
    return Plan(tuple(corners), tuple(routes), width, height)


def _parts(count: int, links: Sequence[Link]) -> list[list[int]]:
    """Split into the parts that no link joins, in the order of their first boxes."""
    near: list[list[int]] = [[] for _ in range(count)]
    for link in links:
        near[link.source].append(link.target)
        near[link.target].append(link.source)
    seen: set[int] = set()
    parts = []
    for first in range(count):
        if first in seen:
            continue
        seen.add(first)
        part = [first]
        for box in part:
            fresh = [other for other in dict.fromkeys(near[box]) if other not in seen]
            seen.update(fresh)
            part.extend(fresh)
        parts.append(sorted(part))
    return parts


@dataclass(frozen=True)
class _Rows:
    """Where each row begins, and how high it is."""

    tops: list[float]
    heights: list[float]


def _place(boxes: Sequence[Box], links: Sequence[Link]) -> Plan:
    """Lay out one part whose boxes all hang together."""
    steep = downward(len(boxes), [(link.source, link.target) for link in links])
    ranks = rank([box.width + box.aside + BOX_GAP for box in boxes], steep, ROW_LIMIT)
    grid = build_grid([(box.width / 2, box.width / 2 + box.aside) for box in boxes], links, steep, ranks)
    untangle(grid)
    x = columns(grid)
    rows = _rows(grid, boxes, x)
    corners = []
    for item, box in enumerate(boxes):
        row = grid.row[item]
        corners.append((x[item] - box.width / 2, rows.tops[row] + (rows.heights[row] - box.height) / 2))
    routes = tuple(_route(grid, number, boxes, x, rows) for number in range(len(links)))
    right = max((middle + reach for middle, reach in zip(x, grid.right, strict=True)), default=0.0)
    return Plan(tuple(corners), routes, right, rows.tops[-1] + rows.heights[-1])


def _rows(grid: Grid, boxes: Sequence[Box], x: Sequence[float]) -> _Rows:
    """Tell each row's top and height; lines that run far aside get a higher gap to do it in."""
    rows = _Rows([], [])
    y = 0.0
    for number, row in enumerate(grid.rows):
        height = max((boxes[item].height for item in row if item < grid.count), default=0.0)
        if any(item in grid.labelled for item in row):
            height = max(height, LABEL_HEIGHT)
        rows.heights.append(height)
        rows.tops.append(y)
        gap = LABEL_GAP if {number, number + 1} & grid.between else BOX_GAP
        if number in grid.between:
            gap += ARROW
        reach = max((abs(x[item] - x[low]) for item in row for low in grid.down[item]), default=0.0)
        y += height + gap + min(MAX_EXTRA, max(0.0, reach - BOX_GAP) * SLOPE)
    return rows


def _route(grid: Grid, number: int, boxes: Sequence[Box], x: Sequence[float], rows: _Rows) -> Route:
    """Follow one link through the rows."""
    chain = grid.chains[number]
    back = number in grid.back
    posts = []
    label = None
    for position, item in enumerate(chain):
        row = grid.row[item]
        top, bottom = rows.tops[row], rows.tops[row] + rows.heights[row]
        middle = (top + bottom) / 2
        at = x[item]
        if position == 0:
            top = middle + boxes[item].height / 2
        elif position == len(chain) - 1:
            bottom = middle - boxes[item].height / 2
        elif item in grid.labelled:
            label = (at, middle)
        if back and item < grid.count:
            # a line that climbs leaves the middle of a box to those that go down
            aside = x[chain[1 if position == 0 else -2]] - at
            most = boxes[item].width / 2 - ASIDE
            at += copysign(max(ASIDE, abs(aside)) if abs(aside) <= most else most * 0.7, aside)
        posts.append(Post(at, top, bottom))
    if back:
        posts = [Post(post.x, post.leave, post.enter) for post in reversed(posts)]
    return Route(tuple(posts), label, back)


def _shelves(plans: Sequence[Plan]) -> tuple[list[tuple[float, float]], float, float]:
    """Put the parts beside each other, row by row, in their order."""
    area = sum((plan.width + PART_GAP) * (plan.height + PART_GAP) for plan in plans)
    limit = max([plan.width for plan in plans] + [min(ROW_LIMIT, (area * 2) ** 0.5)])
    shifts = []
    x = y = depth = width = 0.0
    for plan in plans:
        if x and x + plan.width > limit:
            x, y, depth = 0.0, y + depth + PART_GAP, 0.0
        shifts.append((x, y))
        width = max(width, x + plan.width)
        depth = max(depth, plan.height)
        x += plan.width + PART_GAP
    return shifts, width, y + depth


def _moved(route: Route, right: float, down: float) -> Route:
    posts = tuple(Post(post.x + right, post.enter + down, post.leave + down) for post in route.posts)
    label = None if route.label is None else (route.label[0] + right, route.label[1] + down)
    return Route(posts, label, route.back)
