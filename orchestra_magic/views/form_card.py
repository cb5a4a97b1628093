"""A form as it stays in a saved notebook: its values and its run, without a widget.

The widgets of a form live only as long as its kernel, and what a living form shows is not shown twice: the form
itself hides these values. Where it is gone, JupyterLab says "model not found" in its place, in an output that
nothing saved beside it can reach, cover or outrank: outputs clip what is in them, and a widget comes before HTML.
One rule of style closes that place, and touches nothing else. Where it is taken out, as in a notebook that is not
trusted, the front end takes this text and not the widget.
"""

from __future__ import annotations

from collections.abc import Iterable

from .words import NOT_TYPESET, clean, escape


def text(name: str, rows: Iterable[tuple[str, str]], run: str = "") -> str:
    """Return the form for a terminal."""
    lines = [f"  {clean(label)}: {clean(value)}" for label, value in rows]
    return "\n".join([f"Form: {clean(name)}", *lines, *([run] if run else [])])


def html(name: str, rows: Iterable[tuple[str, str]], run: str = "", *, mark: str = "") -> str:
    """Return the form as HTML.

    Parameters
    ----------
    name : str
        The workflow's name.
    rows : Iterable[tuple[str, str]]
        Label and value of each field, no secret among them.
    run : str
        The card of the run as HTML.
    mark : str
        Tells this form from others on the page: the class ``orchestra-form-<mark>`` is on its widget.
    """
    body = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(label)}</th>'
        f'<td style="text-align:left;white-space:pre-wrap"><span dir="auto">{escape(value)}</span></td></tr>'
        for label, value in rows
    )
    table = f"<table><tbody>{body}</tbody></table>" if body else ""
    values = f"<div {NOT_TYPESET}><p><b>Form: {escape(name)}</b></p>{table}</div>"
    return f'<div>{_closed(mark)}<div class="orchestra-values-{mark}">{values}</div>{run}</div>'


def stand_in(name: str) -> str:
    """Return what stands in the widget's own place where there are no widgets: the values follow below."""
    return f"<p>A form for <b>{escape(name)}</b>. It is alive in a running notebook alone.</p>"


def hiding(mark: str) -> str:
    """Return the rule by which a living form hides the values that are kept for later."""
    return f".orchestra-values-{mark}{{display:none}}"


def _closed(mark: str) -> str:
    if not mark:
        return ""
    # JupyterLab marks the place of a widget that is gone by this class; that of a living one has it further in.
    return (
        f"<style>.jp-OutputArea-child:has(+ .jp-OutputArea-child .orchestra-values-{mark})"
        "> .jupyter-widgets{display:none}</style>"
    )
