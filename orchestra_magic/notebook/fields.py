"""An input becomes a field of the form: a control with a label, its help, and a line for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import ipywidgets as widgets

from ..client.records import Input
from ..errors import OrchestraInputError
from ..views.words import clean, dump, escape

WIDE = widgets.Layout(width="min(46em, 98%)")
LONG_TEXT = 60


class Field:
    """One input of the form.

    Parameters
    ----------
    known : Input
        What is known of the input: its type decides on the control.
    label_width : str
        CSS width of the label, so that the controls of a form stand in line.
    """

    def __init__(self, known: Input, label_width: str) -> None:
        self.input = known
        self.control = _control(known, label_width)
        self._given = self.control.value
        self.message = widgets.HTML()
        self.message.add_class("orchestra-message")
        self.control.add_class("orchestra-field")
        # Help and message stand under the control, not under its label.
        under = widgets.Layout(margin=f"-4px 0 0 calc({label_width} + 10px)")
        self.message.layout = under
        self.box = widgets.VBox([self.control, widgets.HTML(_help(known), layout=under), self.message])

    @property
    def name(self) -> str:
        """The input's name."""
        return self.input.name

    @property
    def said(self) -> Any:
        """What stands in the control: text as typed, or a choice."""
        return self.control.value

    def set(self, value: Any) -> None:
        """Put a value into the control."""
        is_text = isinstance(self.control, widgets.Text | widgets.Textarea)
        self.control.value = _as_text(value) if is_text else value

    def value(self) -> Any:
        """Return the value to send, before ``$name`` is replaced, or None with :attr:`empty` true.

        Raises
        ------
        OrchestraInputError
            If what was typed is not of the input's type.
        """
        said = self.said
        if not isinstance(said, str) or self.input.enum or said.startswith("$"):
            return said
        return _READERS.get(self.input.type or "", _text)(said, self.name)

    @property
    def typed(self) -> bool:
        """Whether what stands in the control is the person's own text, and not the server's."""
        return not self.input.enum and self.said != self._given

    @property
    def empty(self) -> bool:
        """Whether nothing was typed, so that nothing is sent for this input."""
        return self.said is None or (self.said == "" and not self.input.enum)

    def fault(self) -> str:
        """Return what is wrong with the field now, an empty text when nothing is."""
        if self.empty:
            needed = self.input.required and not self.input.has_default
            return f"The required input {self.name!r} is missing." if needed else ""
        try:
            self.value()
        except OrchestraInputError as error:
            return str(error)
        return ""

    def show(self, fault: str) -> None:
        """Show what is wrong below the control, or nothing."""
        self.message.value = f'<span role="alert">✘ {escape(fault)}</span>' if fault else ""


def label_of(known: Input) -> str:
    """Return the visible label of an input: "required" stands in words."""
    return known.name + (" (required)" if known.required else "")


def label_width(inputs: Iterable[Input]) -> str:
    """Return a CSS width that the longest label fits in."""
    return f"{min(30, 2 + max((len(label_of(known)) for known in inputs), default=0)) * 0.55:.1f}em"


def described(text: str) -> str:
    """Return server text as a control's description: ipywidgets 7 takes that for HTML."""
    return escape(text) if int(widgets.__version__.split(".")[0]) < 8 else clean(text)


def _control(known: Input, width: str) -> Any:
    named: dict[str, Any] = {"description": described(label_of(known)), "layout": WIDE}
    named["style"] = {"description_width": width}
    start = known.default if known.has_default else None
    if known.enum:
        choices = [(clean(_as_text(choice)), choice) for choice in known.enum]
        first = start if start in known.enum else known.enum[0]
        return widgets.Dropdown(options=choices, value=first, **named)
    if known.type == "boolean":
        return widgets.Checkbox(value=bool(start), indent=True, **named)
    text = "" if start is None else _as_text(start)
    # The kernel must never be behind what was typed when the button is pressed.
    named |= {"value": text, "placeholder": _PLACEHOLDERS.get(known.type or "", ""), "continuous_update": True}
    if known.type in {"array", "object"} or len(text) > LONG_TEXT or "\n" in text:
        return widgets.Textarea(rows=4, **named)
    return widgets.Text(**named)


_PLACEHOLDERS = {
    "array": "a JSON list, or $name for a variable",
    "object": "a JSON object, or $name for a variable",
    "number": "a number, or $name for a variable",
    "integer": "a whole number, or $name for a variable",
}


def _help(known: Input) -> str:
    parts = [known.description, known.type or "", "" if known.source == "declared" else f"known from {known.source}"]
    said = " · ".join(part for part in parts if part)
    return f"<small>{escape(said)}</small>" if said else ""


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else dump(value)


def _text(said: str, _: str) -> str:
    return said


def _number(said: str, name: str) -> int | float:
    try:
        return int(said) if said.strip().lstrip("+-").isdecimal() else float(said)
    except ValueError:
        raise OrchestraInputError(f"The input {name!r} takes a number, and {said!r} is none.") from None


def _integer(said: str, name: str) -> int:
    try:
        return int(said)
    except ValueError:
        raise OrchestraInputError(f"The input {name!r} takes a whole number, and {said!r} is none.") from None


def _json(kind: type, word: str) -> Callable[[str, str], Any]:
    def read(said: str, name: str) -> Any:
        try:
            value = json.loads(said)
        except ValueError as error:
            raise OrchestraInputError(f"The input {name!r} takes {word} as JSON: {error}.") from None
        if not isinstance(value, kind):
            raise OrchestraInputError(f"The input {name!r} takes {word} as JSON.")
        return value

    return read


_READERS: dict[str, Callable[[str, str], Any]] = {
    "number": _number,
    "integer": _integer,
    "array": _json(list, "a list"),
    "object": _json(dict, "an object"),
}
