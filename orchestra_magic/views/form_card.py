"""A form as it stays in a saved notebook: its values and its run, without a widget.

The widgets of a form live only as long as its kernel. Where they are, the values are not shown twice; where
they are gone, the place that a front end would fill with an error message of its own is closed. A style sheet
is the one way to say that without a script; where it is taken out, as in a notebook that is not trusted, the
front end takes this text and not the widget.
"""

from __future__ import annotations

from collections.abc import Iterable

from .words import clean, escape


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
    values = f'<div class="orchestra-values-{mark}"><p><b>Form: {escape(name)}</b></p>{table}</div>'
    return f"<div>{_style(mark)}{values}{run}</div>"


def stand_in(name: str) -> str:
    """Return what stands in the widget's own place where there are no widgets: the values follow below."""
    return f"<p>A form for <b>{escape(name)}</b>. It is alive in a running notebook alone.</p>"


def _style(mark: str) -> str:
    if not mark:
        return ""
    alive = f"body:has(.orchestra-form-{mark}) .orchestra-values-{mark}"
    # JupyterLab marks the place of a widget that is gone by this class; that of a living one has it further in.
    gone = f".jp-OutputArea:has(.orchestra-values-{mark}) .jp-OutputArea-output.jupyter-widgets"
    return f"<style>{alive},{gone}{{display:none}}</style>"
