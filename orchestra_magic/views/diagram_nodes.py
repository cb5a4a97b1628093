"""The boxes of the picture: one for each node, with its icon, its name and its status."""

from __future__ import annotations

from dataclasses import dataclass

from .diagram_icons import TINTS, icon
from .diagram_lettering import cut, one_line, width
from .diagram_picture import KINDS, Node
from .diagram_status import NOT_REACHED, Look, look
from .words import escape

__all__ = ["Spot", "box_height", "box_width", "node_svg"]

HEIGHT, PILL_HEIGHT = 46.0, 28.0
NAME_SIZE, LINE_SIZE, PILL_SIZE = 13.0, 11.0, 11.5
BOLD = 1.06
"""How much wider names are, set in bold."""
BOLDEST = 1.13
"""The same in the font that is widest when bold: what follows on the line stays clear of it."""
TILE = 28.0
TEXT_AT = 47.0
"""Where the text begins: after the icon."""
LEAST, MOST = 84.0, 190.0
"""Room for the text: at least a status with its icon, at most what keeps a row legible."""
PADDING = 14.0
INK, PALE = "#0f172a", "#586474"


@dataclass(frozen=True)
class Spot:
    """Where a box stands: its top left corner and its width."""

    x: float
    y: float
    wide: float


def box_width(node: Node) -> float:
    """Tell how wide the box of a node is; the status plays no part, so that a run does not move the picture."""
    if node.kind in {"start", "end"}:
        return min(MOST, width(node.title, PILL_SIZE) * BOLD) + 46
    texts = width(node.title, NAME_SIZE) * BOLD, width(_line(node), LINE_SIZE)
    return TEXT_AT + min(MOST, max(LEAST, *texts)) + PADDING


def box_height(node: Node) -> float:
    """Tell how high the box of a node is."""
    return PILL_HEIGHT if node.kind in {"start", "end"} else HEIGHT


def node_svg(node: Node, spot: Spot, status: str | None) -> str:
    """Draw a node; `status` is "" if it was not reached, None if there is no run."""
    shown = look(status)
    facts = [node.word if node.kind not in {"start", "end"} else "", node.description, status or ""]
    title = " · ".join(one_line(fact) for fact in (node.title, *facts) if fact)
    draw = _pill if node.kind in {"start", "end"} else _card
    inner = draw(node, spot, status)
    halo = _pulse(spot, box_height(node), shown) if shown.icon == "dots" else ""
    return f"<g><title>{escape(title)}</title>{halo}{inner}</g>"


def _line(node: Node) -> str:
    return one_line(node.description) or node.word


def _pill(node: Node, spot: Spot, status: str | None) -> str:
    """Draw where the workflow starts or ends."""
    x, y, wide, shown = spot.x, spot.y, spot.wide, look(status)
    ink = shown.ink if status else "#334155"
    ground, border = (shown.ground, shown.border) if status else ("#f1f5f9", "#cbd5e1")
    sign = shown.icon if status else node.kind
    name = cut(node.title, PILL_SIZE, MOST / BOLD)
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{PILL_HEIGHT:g}" rx="{PILL_HEIGHT / 2:g}"'
        f' fill="{ground}" stroke="{border}" stroke-width="1.3"/>'
        f"{icon(sign, x + 12, y + 9, 10, ink)}"
        f'<text x="{x + 28:.1f}" y="{y + 18.2:.1f}" font-size="{PILL_SIZE:g}" font-weight="600"'
        f' fill="{ink}">{escape(name)}</text>'
    )


def _card(node: Node, spot: Spot, status: str | None) -> str:
    """Draw a step."""
    x, y, wide, shown = spot.x, spot.y, spot.wide, look(status)
    kind = node.kind if node.kind in KINDS else ""
    ink, ground = TINTS[kind]
    skipped = shown.icon == "skip"
    if skipped:
        ink, ground = PALE, "#eef2f6"
    dash = ' stroke-dasharray="2.5 3"' if skipped else ""
    weight = 1.3 if shown is NOT_REACHED or skipped else 1.6
    room = wide - TEXT_AT - PADDING
    name = cut(node.title, NAME_SIZE, room / BOLD)
    border = "#b9c4d2" if status is None else shown.border
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{HEIGHT:g}" rx="10" fill="{shown.ground}"'
        f' stroke="{border}" stroke-width="{weight:g}"{dash}/>'
        f'<rect x="{x + 9:.1f}" y="{y + 9:.1f}" width="{TILE:g}" height="{TILE:g}" rx="7" fill="{ground}"/>'
        f"{icon(kind, x + 15, y + 15, 16, ink)}"
        f'<text x="{x + TEXT_AT:.1f}" y="{y + 20:.1f}" font-size="{NAME_SIZE:g}" font-weight="600"'
        f' fill="{PALE if skipped else INK}">{escape(name)}</text>'
        f"{_second_line(node, Spot(x + TEXT_AT, y + 35.5, room), status)}"
    )


def _second_line(node: Node, spot: Spot, status: str | None) -> str:
    """Write the status, and what the node is where room is left for it."""
    x, y, room, shown = spot.x, spot.y, spot.wide, look(status)
    if not status:
        return _small(x, y, cut(_line(node), LINE_SIZE, room), PALE)
    word = cut(one_line(status), LINE_SIZE, (room - 15) / BOLD)
    taken = 15 + width(word, LINE_SIZE) * BOLDEST
    drawn = icon(shown.icon, x, y - 9, 10.5, shown.ink)
    drawn += _small(x + 15, y, word, shown.ink, ' font-weight="600"')
    rest = cut("· " + _line(node), LINE_SIZE, room - taken - 5)
    if len(rest) > 6:
        drawn += _small(x + taken + 5, y, rest, PALE)
    return drawn


def _small(x: float, y: float, text: str, ink: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{LINE_SIZE:g}"{more} fill="{ink}">{escape(text)}</text>'


def _pulse(spot: Spot, high: float, shown: Look) -> str:
    """Draw the ring that goes out from a running node; still, it is a soft outline."""
    return (
        f'<rect x="{spot.x:.1f}" y="{spot.y:.1f}" width="{spot.wide:.1f}" height="{high:g}"'
        f' rx="{min(10, high / 2):g}" fill="none"'
        f' stroke="{shown.border}" stroke-width="7" stroke-opacity=".22">'
        '<animate attributeName="stroke-width" values="2;12" dur="1.8s" repeatCount="indefinite"/>'
        '<animate attributeName="stroke-opacity" values=".5;0" dur="1.8s" repeatCount="indefinite"/></rect>'
    )
