"""The icons of the picture: strokes on a grid of 16, drawn with round ends."""

from __future__ import annotations

__all__ = ["TINTS", "icon"]

_STROKES = {
    # kinds of nodes
    "model": "M8 1.8 9.6 6.4 14.2 8 9.6 9.6 8 14.2 6.4 9.6 1.8 8 6.4 6.4ZM13 1.6v2.8M11.6 3h2.8",
    "code": "M5.2 4 1.4 8l3.8 4M10.8 4l3.8 4-3.8 4M9.2 2.6 6.8 13.4",
    "conditional": "M8 1.6v4C8 9 3.6 8.4 3.6 12.4M8 5.6C8 9 12.4 8.4 12.4 12.4M1.6 11l2 2.4 2-2.4M10.4 11l2 2.4 2-2.4",
    "knowledge_retrieval": (
        "M8 4C6.4 2.8 4 2.6 1.6 3v9.6c2.4-.4 4.8-.2 6.4 1 1.6-1.2 4-1.4 6.4-1V3C12 2.6 9.6 2.8 8 4ZM8 4v9.6"
    ),
    "integration": "M6 1.6V5M10 1.6V5M3.6 5h8.8v2.6a4.4 4.4 0 0 1-8.8 0ZM8 12v2.6",
    "": "M8 1.6 13.8 4.8v6.4L8 14.4 2.2 11.2V4.8ZM2.4 5 8 8l5.6-3M8 8v6.2",
    "start": "M4.6 2.8 12.6 8 4.6 13.2Z",
    "end": "M3.4 3.4h9.2v9.2H3.4Z",
    # statuses
    "check": "M2.6 8.6 6.2 12.2 13.4 4.2",
    "cross": "M3.6 3.6 12.4 12.4M12.4 3.6 3.6 12.4",
    "clock": "M8 1.8A6.2 6.2 0 1 1 8 14.2 6.2 6.2 0 1 1 8 1.8ZM8 4.6V8l2.4 1.8",
    "dots": "M8 1.8A6.2 6.2 0 1 1 1.8 8",
    "stop": "M3.6 3.6h8.8v8.8H3.6Z",
    "skip": "M8 1.8A6.2 6.2 0 1 1 8 14.2 6.2 6.2 0 1 1 8 1.8ZM3.8 12.2 12.2 3.8",
    "dot": "M8 6.6A1.4 1.4 0 1 1 8 9.4 1.4 1.4 0 1 1 8 6.6Z",
}

TINTS = {
    "model": ("#6d28d9", "#ede9fe"),
    "code": ("#0f766e", "#d5f5ee"),
    "conditional": ("#a34a06", "#fef0c7"),
    "knowledge_retrieval": ("#1d4ed8", "#dbeafe"),
    "integration": ("#be185d", "#fce7f3"),
    "": ("#475569", "#e8edf3"),
}
"""Ink and ground of the icon of each kind of node."""


def icon(name: str, x: float, y: float, size: float, ink: str) -> str:
    """Return the SVG of an icon, its top left corner at `x`, `y`; a plain one for a name that has none."""
    path = _STROKES.get(name, _STROKES[""])
    scale = size / 16
    filled = ink if name in {"start", "end", "stop", "dot"} else "none"
    return (
        f'<path transform="translate({x:g} {y:g}) scale({scale:g})" d="{path}" fill="{filled}" stroke="{ink}"'
        f' stroke-width="{1.35 / scale:.3g}" stroke-linecap="round" stroke-linejoin="round"/>'
    )
