"""The picture of a workflow as SVG that stands for itself.

Attributes alone, no style block, no ids, no references: pages that hold several pictures, sanitizers and
renderers other than browsers all treat it well. It brings its own ground, to be legible in dark themes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .diagram_lettering import cut, one_line, width
from .diagram_nodes import Spot, box_height, box_width, node_svg
from .diagram_picture import Edge, Picture, whole
from .diagram_status import known, travelled
from .diagram_words import alt, summary
from .layout import Box, Link, Route, layout
from .words import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["drawn", "svg"]

MARGIN = 18.0
LABEL_SIZE = 11.0
LABEL_ROOM = 150.0
LABEL_PADDING = 7.0
LABEL_HEIGHT = 18.0
ARROW = 6.5
LOOP = 26.0
FONTS = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"

PLAIN, TAKEN, CLIMBING = "#8391a5", "#334155", "#7c3aed"
INK = "#334155"


def svg(picture: Picture, statuses: Mapping[str, str] | None = None) -> str:
    """Draw a picture.

    Parameters
    ----------
    picture
        What is drawn. Its texts may come from a server: they are escaped.
    statuses
        The status of each node by its name, if this is a run; a node without one was not reached.

    Examples
    --------
    >>> svg(Picture())[:4]
    '<svg'
    """
    return drawn(picture, statuses)[0]


def drawn(picture: Picture, statuses: Mapping[str, str] | None = None) -> tuple[str, float, float]:
    """Draw a picture, and tell its width and height."""
    picture = whole(picture)
    if not picture.nodes:
        return _page('<text x="18" y="32" font-size="12" fill="#334155">no nodes</text>', "Empty workflow", "", 96, 52)
    loops = {edge.source: edge for edge in picture.edges if edge.source == edge.target}
    boxes = [
        Box(box_width(node), box_height(node), _aside(loops.get(node.name), picture.edges)) for node in picture.nodes
    ]
    place = {node.name: position for position, node in enumerate(picture.nodes)}
    plan = layout(boxes, [Link(place[e.source], place[e.target], _label_width(e.label)) for e in picture.edges])
    found = known(picture, statuses)
    body = _edges(picture.edges, plan.routes, travelled(picture, found))
    for node, box, (x, y) in zip(picture.nodes, boxes, plan.corners, strict=True):
        x, y = x + MARGIN, y + MARGIN  # noqa: PLW2901 - from the plan to the page
        if node.name in loops:
            body += _loop(node.name, picture.edges, x + box.width, y, box.height)
        status = found.get(node.name, "") if statuses is not None else None
        body += node_svg(node, Spot(x, y, box.width), status)
    title = summary(picture, statuses)
    return _page(body, title, alt(picture, statuses), plan.width + 2 * MARGIN, plan.height + 2 * MARGIN)


def _page(body: str, title: str, label: str, wide: float, high: float) -> tuple[str, float, float]:
    wide, high = round(wide + 0.5), round(high + 0.5)
    return (
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
            f' role="img" aria-label="{escape(label or title)}" font-family="{FONTS}">'
            f"<title>{escape(title)}</title>"
            f'<rect x=".5" y=".5" width="{wide - 1}" height="{high - 1}" rx="12" fill="#ffffff" stroke="#e2e8f0"/>'
            f"{body}</svg>"
        ),
        wide,
        high,
    )


def _label_width(label: str) -> float:
    if not one_line(label):
        return 0.0
    return width(cut(one_line(label), LABEL_SIZE, LABEL_ROOM), LABEL_SIZE) + 2 * LABEL_PADDING


def _edges(edges: Sequence[Edge], routes: Sequence[Route], taken: set[Edge]) -> str:
    """Draw the lines, those that the run took above the others, and above all lines the labels."""
    lines = []
    labels = []
    for edge, route in zip(edges, routes, strict=True):
        if not route.posts:
            continue
        is_taken = edge in taken and not route.back
        colour = CLIMBING if route.back else TAKEN if is_taken else PLAIN
        title = f"{edge.source} to {edge.target}" + (f": {edge.label}" if edge.label else "")
        lines.append((is_taken, _line(route, colour, 2.0 if is_taken else 1.4, title)))
        if route.label:
            x, y = route.label
            labels.append(_label(edge.label, x + MARGIN, y + MARGIN, colour, taken=is_taken))
    lines.sort(key=lambda line: line[0])
    return "".join([line for _, line in lines] + labels)


def _line(route: Route, colour: str, weight: float, title: str) -> str:
    down = -1 if route.back else 1
    last = route.posts[-1]
    x, y = last.x + MARGIN, last.leave + MARGIN
    dash = ' stroke-dasharray="5 4"' if route.back else ""
    tip = f"M{x:.1f} {y:.1f}l{-ARROW / 2:g} {-down * ARROW:g}h{ARROW:g}Z"
    return (
        f"<g><title>{escape(one_line(title))}</title>"
        f'<path d="{_way(route, down * (ARROW - 1))}" fill="none" stroke="{colour}" stroke-width="{weight:g}"{dash}/>'
        f'<path d="{tip}" fill="{colour}" stroke="{colour}" stroke-linejoin="round"/></g>'
    )


def _way(route: Route, tip: float) -> str:
    """Write the path of a route: straight along its posts, bent between them."""
    last = len(route.posts) - 1
    at = route.posts[0]
    x, y = at.x, at.enter
    path = f"M{x + MARGIN:.1f} {y + MARGIN:.1f}"
    for number, post in enumerate(route.posts):
        # where a post is only a point, as at the edge of a box, it gives the room for the tip of the arrow
        enter, leave = post.enter, post.leave - (tip if number == last else 0.0)
        if number == last and abs(post.leave - post.enter) < abs(tip):
            enter = leave
        if abs(post.x - x) > 0.05:
            bend = (enter - y) / 2
            path += (
                f"C{x + MARGIN:.1f} {y + bend + MARGIN:.1f} {post.x + MARGIN:.1f} {enter - bend + MARGIN:.1f}"
                f" {post.x + MARGIN:.1f} {enter + MARGIN:.1f}"
            )
        x, y = post.x, leave
        if number == last or abs(route.posts[number + 1].x - x) > 0.05:
            path += f"V{y + MARGIN:.1f}"
    return path


def _label(label: str, x: float, y: float, colour: str, *, taken: bool) -> str:
    wide = _label_width(label)
    short = cut(one_line(label), LABEL_SIZE, LABEL_ROOM)
    weight = ' font-weight="600"' if taken else ""
    return (
        f"<g><title>{escape(one_line(label))}</title>"
        f'<rect x="{x - wide / 2:.1f}" y="{y - LABEL_HEIGHT / 2:.1f}" width="{wide:.1f}" height="{LABEL_HEIGHT:g}"'
        f' rx="9" fill="#ffffff" stroke="{colour}"/>'
        f'<text x="{x:.1f}" y="{y + 3.8:.1f}" font-size="{LABEL_SIZE:g}"{weight} text-anchor="middle"'
        f' fill="{CLIMBING if colour == CLIMBING else INK}">{escape(short)}</text></g>'
    )


def _loop_label(name: str, edges: Sequence[Edge]) -> str:
    labels = [edge.label for edge in edges if edge.source == edge.target == name and edge.label]
    return " or ".join(labels)


def _aside(loop: Edge | None, edges: Sequence[Edge]) -> float:
    """Tell the room that a link of a node to itself takes at its right."""
    if loop is None:
        return 0.0
    return LOOP + 6 + _label_width(_loop_label(loop.source, edges))


def _loop(name: str, edges: Sequence[Edge], x: float, y: float, high: float) -> str:
    """Draw the link of a node to itself."""
    top, bottom = y + high * 0.28, y + high * 0.72
    label = _loop_label(name, edges)
    out = x + LOOP * 1.2
    line = (
        f"<g><title>{escape(one_line(f'{name} to itself' + (f': {label}' if label else '')))}</title>"
        f'<path d="M{x:.1f} {top:.1f}C{out:.1f} {top - 6:.1f} {out:.1f} {bottom + 6:.1f} {x + ARROW - 1:.1f}'
        f' {bottom:.1f}" fill="none" stroke="{CLIMBING}" stroke-width="1.4" stroke-dasharray="5 4"/>'
        f'<path d="M{x:.1f} {bottom:.1f}l{ARROW:g} {-ARROW / 2:g}v{ARROW:g}Z" fill="{CLIMBING}"/></g>'
    )
    if not label:
        return line
    return line + _label(label, x + LOOP + _label_width(label) / 2, y + high / 2, CLIMBING, taken=False)
