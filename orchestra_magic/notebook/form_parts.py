"""What stands around the fields of a form: its head, its buttons, and the places where it says something."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as widgets

from ..views.form_card import hiding
from ..views.words import escape
from .fields import kinds
from .fields.control import WIDE
from .fields.field import ALERT, MUTED

_HIDDEN = "none"
NOTHING = "(what stood here before)"


class Parts:
    """The widgets of a form, and how they are laid out.

    Parameters
    ----------
    title, about : str
        The workflow's name and description.
    width : str
        CSS width of the labels.
    run_id : str
        The variable that takes the run's id.
    """

    def __init__(self, title: str, about: str, width: str, run_id: str, mark: str) -> None:
        self.fields = widgets.VBox()
        self.run = _button("Run", "Start a run with these inputs", "orchestra-run", primary=True)
        self.stop = _button("Stop watching", "The run goes on, and its card stays as it is", "orchestra-stop")
        self.cancel = _button("Cancel run", "Ask the server to end the run", "orchestra-cancel")
        self.reset = _button("Reset", "Bring back what stood in the fields first", "orchestra-reset")
        self.last = _button("Last inputs", "Fill in what earlier runs were started with", "orchestra-last")
        self.cell = _button("As cell", "Show the cell that sends the same", "orchestra-as-cell")
        self.add = _button("Add input", "Add an input that the workflow does not name", "orchestra-add")

        def labelled(kind: Any, name: str, css: str, **said: Any) -> Any:
            made = kind(description=name, style={"description_width": width}, layout={"width": WIDE}, **said)
            made.add_class(css)
            return made

        self.out = labelled(
            widgets.Text,
            "Save run as",
            "orchestra-out",
            placeholder="name of a variable, such as run",
            continuous_update=False,
        )
        indent = f"-1px 0 5px calc({width} + 10px)"
        self.out_note = widgets.HTML(layout=widgets.Layout(margin=indent))
        self.out_note.add_class("orchestra-message")
        self._run_id = run_id
        self.note_out("")
        simple = [kind for kind in kinds.KINDS if "choice" not in kind]
        self.new_name = labelled(widgets.Text, "Name", "orchestra-new-name", continuous_update=False)
        self.new_kind = labelled(widgets.Dropdown, "Kind", "orchestra-new-kind", options=simple)
        self.new_done = _button("Add", "Add this input to the form", "orchestra-add-done")
        self.new = widgets.VBox([self.new_name, self.new_kind, self.new_done], layout=_layout(shown=False))
        self.new.add_class("orchestra-new")
        self.earlier = labelled(widgets.Dropdown, "Inputs of", "orchestra-earlier", options=[(NOTHING, -1)])
        self.text = labelled(widgets.Textarea, "As a cell", "orchestra-cell")
        for part in (self.earlier, self.text):
            self.show(part, shown=False)
        self.summary = widgets.HTML()
        self.summary.add_class("orchestra-summary")
        self.result = widgets.HTML()
        self.result.add_class("orchestra-result")
        head = widgets.HTML(
            f'<style>{_STYLE}{hiding(mark)}</style><div style="line-height:1.5"><b>{escape(title)}</b>'
            f'<br><span style="{MUTED}" dir="auto">{escape(about[:2000])}</span></div>'
        )
        row = widgets.Layout(flex_flow="row wrap", margin=f"6px 0 4px calc({width} + 8px)")
        below = widgets.Layout(margin=f"0 0 0 calc({width} + 10px)", width=f"calc({WIDE} - {width} - 10px)")
        self.summary.layout = below
        many = [self.run, self.stop, self.cancel, self.reset, self.last, self.cell, self.add]
        self.buttons = widgets.HBox(many, layout=row)
        rows = [head, self.fields, self.new, self.out, self.out_note, self.buttons]
        self.widget = widgets.VBox([*rows, self.summary, self.earlier, self.text, self.result])
        for name in ("orchestra-form", f"orchestra-form-{mark}"):
            self.widget.add_class(name)
        self.under_way(going=False)

    def under_way(self, *, going: bool, cancel: bool = True) -> None:
        """Offer what can be done with a run while there is one."""
        self.stop.layout.display = None if going else _HIDDEN
        self.cancel.layout.display = None if going and cancel else _HIDDEN

    def tell(self, sentence: str) -> None:
        """Say how things are."""
        self.summary.value = f'<div role="status" style="{_TALK}">{escape(sentence)}</div>' if sentence else ""

    def warn(self, sentence: str, faults: Iterable[tuple[str, str]] = ()) -> None:
        """Say what is wrong, and where."""
        listed = "".join(f"<li><b>{escape(name)}</b>: {escape(fault[:500])}</li>" for name, fault in faults)
        items = f'<ul style="margin:2px 0 0;padding-left:1.4em">{listed}</ul>' if listed else ""
        self.summary.value = (
            f'<div role="alert" style="{_TALK}"><span style="{ALERT}">✘ {escape(sentence)}</span>{items}</div>'
        )

    def note_out(self, note: str, *, alert: bool = False) -> None:
        """Say below "Save run as" what becomes of the names."""
        said = note or f"A variable for the run; its id goes to {self._run_id} in any case."
        inner = f'<span role="alert" style="{ALERT}">✘ {escape(said)}</span>'
        plain = f'<small style="{MUTED};line-height:1.4;display:block">{escape(said)}</small>'
        self.out_note.value = inner if alert else plain

    def focus(self) -> None:
        """Go to "Save run as", where ipywidgets can."""
        if hasattr(self.out, "focus"):
            self.out.focus()

    def show(self, part: Any, *, shown: bool = True) -> None:
        """Show or hide a part of the form."""
        part.layout.display = None if shown else _HIDDEN

    @staticmethod
    def shown(part: Any) -> bool:
        """Whether a part of the form is to be seen."""
        return bool(part.layout.display != _HIDDEN)


# ipywidgets 8 leaves its newest controls as the browser has them.
_STYLE = (
    ".orchestra-form input[type=date]{font:inherit}"
    ".orchestra-form input:is([type=datetime-local],[type=time]){flex:1 1 auto;box-sizing:border-box;"
    "height:var(--jp-widgets-inline-height,28px);font:inherit;padding:0 8px;color:inherit;background:transparent;"
    "border:1px solid var(--jp-widgets-input-border-color,GrayText)}"
)
_TALK = "white-space:pre-wrap;line-height:1.4;overflow-wrap:anywhere"


def _button(name: str, tooltip: str, css: str, *, primary: bool = False) -> Any:
    made = widgets.Button(description=name, tooltip=tooltip, button_style="primary" if primary else "")
    made.layout.width = "auto"
    made.add_class(css)
    return made


def _layout(*, shown: bool) -> Any:
    return widgets.Layout(display=None if shown else _HIDDEN)


def on_click(button: Any, handler: Callable[[], None]) -> None:
    """Call ``handler`` at each press."""
    button.on_click(lambda _: handler())
