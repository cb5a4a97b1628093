"""The picture of a workflow: from its graph or from Mermaid text, as SVG, as an image, in words."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from .diagram_graph import from_graph
from .diagram_picture import Edge, Node, Picture
from .diagram_svg import drawn, svg
from .diagram_words import alt, text
from .mermaid import from_mermaid, to_mermaid
from .words import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Edge", "Node", "Picture", "alt", "from_graph", "from_mermaid", "img", "svg", "text", "to_mermaid"]

PAGE = 880
"""The width of a notebook's output: a wider picture is shown smaller."""


def img(picture: Picture, statuses: Mapping[str, str] | None = None) -> str:
    """Return the picture as an HTML image that holds its own data.

    Sanitizers let an image with a data address pass where they remove SVG. Its size stands in attributes
    as well, since they remove styles.

    Examples
    --------
    >>> img(Picture())[:10]
    '<img alt="'
    """
    source, wide, high = drawn(picture, statuses)
    scale = min(1.0, PAGE / wide)
    data = b64encode(source.encode()).decode("ascii")
    return (
        f'<img alt="{escape(alt(picture, statuses))}" width="{round(wide * scale)}" height="{round(high * scale)}"'
        f' style="max-width:100%;height:auto" src="data:image/svg+xml;base64,{data}">'
    )
