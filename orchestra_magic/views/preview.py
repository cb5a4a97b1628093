"""A request that was not sent, as text and as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .words import NOT_TYPESET, WRAPPED, clean, escape

if TYPE_CHECKING:
    from ..client.preview import Preview

_TITLE = "Not sent (dry run):"


def text(shown: Preview) -> str:
    """Return the request as it would go over the wire, and as a line for a shell."""
    return "\n".join([_TITLE, *map(clean, shown.notes), "", clean(_wire(shown)), "", clean(shown.curl)])


def html(shown: Preview) -> str:
    """Return the same as HTML."""
    notes = "".join(f"<br>{escape(note)}" for note in shown.notes)
    wire, curl = (f'<pre style="{WRAPPED}">{escape(part)}</pre>' for part in (_wire(shown), shown.curl))
    return f"<div {NOT_TYPESET}><p><b>{_TITLE}</b>{notes}</p>{wire}<p>As a line for a shell:</p>{curl}</div>"


def _wire(shown: Preview) -> str:
    head = [f"{shown.request.method} {shown.url}", *(f"{name}: {value}" for name, value in shown.headers.items())]
    return "\n".join([*head, "", shown.body])
