"""The picture of a workflow as SVG that stands for itself.

Attributes alone, no style block, no ids, no references: pages that hold several pictures, sanitizers and
renderers other than browsers all treat it well. It brings its own ground, to be legible in dark themes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .diagram_lettering import width
from .diagram_lines import aside, edges_svg, label_width, loop_svg
from .diagram_nodes import Spot, box_height, box_width, node_svg
from .diagram_picture import Picture, whole
from .diagram_status import known, travelled
from .diagram_words import alt, summary
from .layout import Box, Link, layout
from .words import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["drawn", "svg"]

MARGIN = 18
NOTE_SIZE = 12
MOST_NODES, MOST_EDGES = 1_000, 4_000
"""Larger pictures would take seconds, and nobody could read them."""
FONTS = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"


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
        return _note("no nodes")
    if len(picture.nodes) > MOST_NODES or len(picture.edges) > MOST_EDGES:
        return _note(f"too large to draw: {len(picture.nodes)} nodes, {len(picture.edges)} edges")
    looped = {edge.source for edge in picture.edges if edge.source == edge.target}
    boxes = [
        Box(box_width(node), box_height(node), aside(node.name, picture.edges) if node.name in looped else 0.0)
        for node in picture.nodes
    ]
    place = {node.name: position for position, node in enumerate(picture.nodes)}
    plan = layout(boxes, [Link(place[e.source], place[e.target], label_width(e.label)) for e in picture.edges])
    found = known(picture, statuses)
    body = edges_svg(picture.edges, plan.routes, travelled(picture, found))
    for node, box, (x, y) in zip(picture.nodes, boxes, plan.corners, strict=True):
        if node.name in looped:
            body += loop_svg(node.name, picture.edges, x + box.width, y, box.height)
        status = found.get(node.name, "") if statuses is not None else None
        body += node_svg(node, Spot(x, y, box.width), status)
    body = f'<g transform="translate({MARGIN} {MARGIN})">{body}</g>'
    said = summary(picture, statuses), alt(picture, statuses)
    return _page(body, *said, plan.width + 2 * MARGIN, plan.height + 2 * MARGIN)


def _note(words: str) -> tuple[str, float, float]:
    """Say why there is no picture."""
    wide = width(words, NOTE_SIZE) + 2 * MARGIN
    text = f'<text x="{MARGIN}" y="30" font-size="{NOTE_SIZE}" fill="#334155">{escape(words)}</text>'
    return _page(text, f"Workflow: {words}", "", wide, 48)


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
