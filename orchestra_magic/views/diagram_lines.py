"""The lines of the picture, with their tips and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .diagram_lettering import cut, one_line, width
from .words import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .diagram_picture import Edge
    from .layout import Route

__all__ = ["aside", "edges_svg", "label_width", "loop_svg"]

LABEL_SIZE = 11.0
LABEL_ROOM = 150.0
LABEL_PADDING = 7.0
LABEL_HEIGHT = 18.0
BOLD = 1.06
TIP = 6.5
LOOP = 26.0
SAME = 0.05

PLAIN, TAKEN, CLIMBING = "#8391a5", "#334155", "#7c3aed"
INK = "#334155"

Piece = tuple[str, str]
"""Where a piece of a line begins, and the command that draws it, as in an SVG path."""


def label_width(label: str) -> float:
    """Tell how wide a label is drawn; 0 for none.

    Examples
    --------
    >>> label_width("")
    0.0
    """
    short = _cut(label)
    return width(short, LABEL_SIZE) * BOLD + 2 * LABEL_PADDING if short else 0.0


def _cut(label: str) -> str:
    return cut(one_line(label), LABEL_SIZE, LABEL_ROOM)


def edges_svg(edges: Sequence[Edge], routes: Sequence[Route], taken: set[Edge]) -> str:
    """Draw the lines, those that the run took above the others, and above all lines the labels."""
    ranked = sorted(zip(edges, routes, strict=True), key=lambda pair: pair[0] in taken, reverse=True)
    seen: set[Piece] = set()
    lines = []
    labels = []
    for edge, route in ranked:
        if not route.posts:
            continue
        is_taken = edge in taken and not route.back
        lines.append(_line(edge, route, seen, is_taken))
        if route.label:
            labels.append(_label(edge.label, *route.label, _colour(route, is_taken), taken=is_taken))
    return "".join([*reversed(lines), *labels])


def _colour(route: Route, taken: bool) -> str:
    return CLIMBING if route.back else TAKEN if taken else PLAIN


def _line(edge: Edge, route: Route, seen: set[Piece], taken: bool) -> str:
    colour, weight = _colour(route, taken), 2.0 if taken else 1.4
    tip = -TIP if route.back else TIP
    last = route.posts[-1]
    dash = ' stroke-dasharray="5 4"' if route.back else ' stroke-linecap="round"'
    title = f"{edge.source} to {edge.target}" + (f": {edge.label}" if edge.label else "")
    way = _path(_pieces(route, tip * 0.85), seen)
    drawn = f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="{weight:g}"{dash}/>' if way else ""
    return (
        f"<g><title>{escape(one_line(title))}</title>{drawn}"
        f'<path d="M{last.x:.1f} {last.leave:.1f}l{-TIP / 2:g} {-tip:g}h{TIP:g}Z" fill="{colour}" stroke="{colour}"'
        f' stroke-linejoin="round"/></g>'
    )


def _path(pieces: Iterator[Piece], seen: set[Piece]) -> str:
    """Join the pieces; those that another line has drawn are left out, or they would look bolder."""
    path = ""
    pen_down = False
    for piece in pieces:
        if piece in seen:
            pen_down = False
            continue
        seen.add(piece)
        path += piece[1] if pen_down else f"M{piece[0]}{piece[1]}"
        pen_down = True
    return path


def _pieces(route: Route, tip: float) -> Iterator[Piece]:
    """Yield a route piece by piece: straight along its posts, bent between them."""
    last = len(route.posts) - 1
    x, y = route.posts[0].x, route.posts[0].enter
    for number, post in enumerate(route.posts):
        enter, leave = post.enter, post.leave - (tip if number == last else 0.0)
        if number == last and abs(post.leave - post.enter) < abs(tip):
            # a post that is only a point, at the edge of its box, gives the room for the tip
            enter = leave
        start = f"{x:.1f} {y:.1f}"
        if abs(post.x - x) > SAME:
            bend = (enter - y) / 2
            yield start, f"C{x:.1f} {y + bend:.1f} {post.x:.1f} {enter - bend:.1f} {post.x:.1f} {enter:.1f}"
        elif number and abs(enter - y) > SAME:
            yield start, f"V{enter:.1f}"
        if abs(leave - enter) > SAME:
            yield f"{post.x:.1f} {enter:.1f}", f"V{leave:.1f}"
        x, y = post.x, leave


def _label(label: str, x: float, y: float, colour: str, *, taken: bool) -> str:
    wide = label_width(label)
    weight = ' font-weight="600"' if taken else ""
    return (
        f"<g><title>{escape(one_line(label))}</title>"
        f'<rect x="{x - wide / 2:.1f}" y="{y - LABEL_HEIGHT / 2:.1f}" width="{wide:.1f}" height="{LABEL_HEIGHT:g}"'
        f' rx="9" fill="#ffffff" stroke="{colour}"/>'
        f'<text x="{x:.1f}" y="{y + 3.8:.1f}" font-size="{LABEL_SIZE:g}"{weight} text-anchor="middle"'
        f' fill="{CLIMBING if colour == CLIMBING else INK}">{escape(_cut(label))}</text></g>'
    )


def aside(name: str, edges: Sequence[Edge]) -> float:
    """Tell the room at the right of a node that its links to itself take."""
    if not any(edge.source == edge.target == name for edge in edges):
        return 0.0
    return LOOP + 6 + label_width(_loop_label(name, edges))


def _loop_label(name: str, edges: Sequence[Edge]) -> str:
    return " or ".join(edge.label for edge in edges if edge.source == edge.target == name and edge.label)


def loop_svg(name: str, edges: Sequence[Edge], x: float, y: float, high: float) -> str:
    """Draw the links of a node to itself as one, at its right side, whose upper end is at `x`, `y`."""
    top, bottom = y + high * 0.28, y + high * 0.72
    label = _loop_label(name, edges)
    out = x + LOOP * 1.2
    title = f"{name} to itself" + (f": {label}" if label else "")
    line = (
        f"<g><title>{escape(one_line(title))}</title>"
        f'<path d="M{x:.1f} {top:.1f}C{out:.1f} {top - 6:.1f} {out:.1f} {bottom + 6:.1f} {x + TIP - 1:.1f}'
        f' {bottom:.1f}" fill="none" stroke="{CLIMBING}" stroke-width="1.4" stroke-dasharray="5 4"/>'
        f'<path d="M{x:.1f} {bottom:.1f}l{TIP:g} {-TIP / 2:g}v{TIP:g}Z" fill="{CLIMBING}"/></g>'
    )
    if not label:
        return line
    return line + _label(label, x + LOOP + label_width(label) / 2, y + high / 2, CLIMBING, taken=False)
