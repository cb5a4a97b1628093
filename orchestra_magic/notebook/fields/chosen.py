"""Controls that offer something to choose: a tick, choices, dates and times."""

# ruff: noqa: ARG002, D102  (the methods are those of Control, which documents them)

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import ipywidgets as widgets

from ...client.records import Input
from ...client.values import to_json
from ...errors import OrchestraInputError
from ...views.words import dump, line
from . import kinds
from .control import EMPTY, Control, described
from .readers import read


class TickControl(Control):
    """A box to tick, which always says yes or no."""

    def _made(self, known: Input, look: dict[str, Any]) -> Any:
        return widgets.Checkbox(value=False, indent=True, **look)

    def said(self) -> Any:
        return bool(self.input.value)

    def put(self, value: Any, *, literal: bool = False) -> None:
        if value not in (True, False, None):
            raise self._refused("True or False", value)
        self.input.value = bool(value)

    def clear(self) -> None:
        self.input.value = False


class ChoiceControl(Control):
    """One of some values. They are told apart by their places: 1 and True are equal in Python."""

    def _made(self, known: Input, look: dict[str, Any]) -> Any:
        self.choices = known.enum
        first = [] if known.has_default and known.default in known.enum else [("(choose)", -1)]
        return widgets.Dropdown(options=first + _labels(self.choices), **look)

    def said(self) -> Any:
        return EMPTY if self.input.value in (None, -1) else self.literal(self.choices[self.input.value])

    def put(self, value: Any, *, literal: bool = False) -> None:
        if value is None and None not in self.choices:
            self.clear()
        else:
            self.input.value = _place(self.choices, value, self)

    def clear(self) -> None:
        self.input.value = self.input.options[0][1]


class ChoicesControl(Control):
    """Any of some values, in their order: a box to tick for each.

    In a list of several, front ends keep Shift with an arrow for themselves.
    """

    def _made(self, known: Input, look: dict[str, Any]) -> Any:
        self.choices = known.item_enum
        width = widgets.Layout(width="auto", margin="0 14px 0 0")
        self.boxes = [
            widgets.Checkbox(**described(label), indent=False, layout=width) for label, _ in _labels(self.choices)
        ]
        name = widgets.HTML(**{**look, "layout": widgets.Layout(width="auto")})
        ticks = widgets.HBox(self.boxes, layout=widgets.Layout(flex_flow="row wrap", max_height="9em", overflow="auto"))
        self.group = widgets.HBox([name, ticks], layout=look["layout"])
        return self.boxes[0]

    def widgets(self) -> tuple[Any, list[Any]]:
        return self.group, self.boxes

    def said(self) -> Any:
        chosen = [choice for choice, box in zip(self.choices, self.boxes, strict=True) if box.value]
        return [self.literal(choice) for choice in chosen] if chosen else EMPTY

    def put(self, value: Any, *, literal: bool = False) -> None:
        if value is not None and not isinstance(value, list | tuple | set | frozenset):
            raise self._refused("a list of choices", value)
        chosen = {_place(self.choices, each, self) for each in value or ()}
        self.back([place in chosen for place in range(len(self.boxes))])

    def clear(self) -> None:
        self.back([False] * len(self.boxes))

    def mark(self) -> Any:
        return [box.value for box in self.boxes]

    def back(self, mark: Any) -> None:
        for box, ticked in zip(self.boxes, mark, strict=True):
            box.value = ticked


class PickerControl(Control):
    """A date, a time, or both."""

    _kept: tuple[Any, str] | None
    """A moment, and how it was written."""

    def _made(self, known: Input, look: dict[str, Any]) -> Any:
        return picker(self.kind)(**look)

    def said(self) -> Any:
        chosen = self.input.value
        if self._kept is not None and chosen == self._kept[0]:
            return self._kept[1]  # as it was written, seconds and all
        return EMPTY if chosen is None else chosen.isoformat()

    def put(self, value: Any, *, literal: bool = False) -> None:
        if value is None:
            self.clear()
            return
        text = to_json(value, path=self.name)
        try:
            chosen = _PARSERS[self.kind](read(self.kind, text, self.name))
        except (OrchestraInputError, TypeError, AttributeError):
            raise self._refused(f"a {self.kind}", value) from None
        self._kept = (chosen, text.strip())
        self.input.value = chosen

    def clear(self) -> None:
        self._kept = None
        self.input.value = None

    def mark(self) -> Any:
        return self.input.value, self._kept

    def back(self, mark: Any) -> None:
        self.input.value, self._kept = mark


def picker(kind: str) -> Any:
    """Return the class of widget that picks a date or time, None where ipywidgets has none."""
    names = {kinds.DATE: "DatePicker", kinds.TIME: "TimePicker", kinds.DATETIME: "DatetimePicker"}
    return getattr(widgets, names.get(kind, ""), None)


_PARSERS: dict[str, Callable[[str], Any]] = {
    kinds.DATE: date.fromisoformat,
    kinds.TIME: time.fromisoformat,
    kinds.DATETIME: lambda text: _aware(datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))),
}


def _aware(moment: datetime) -> datetime:
    """Return a time with its zone: this computer's, where it says none."""
    return moment if moment.tzinfo else moment.astimezone()


def _labels(choices: tuple[Any, ...]) -> list[tuple[str, int]]:
    return [(line(choice, 100) or "(empty)", place) for place, choice in enumerate(choices)]


def _place(choices: tuple[Any, ...], value: Any, at: Control) -> int:
    """Return where a value is among the choices, by what it is as JSON."""
    wanted = dump(to_json(value, path=at.name))
    for place, choice in enumerate(choices):
        if dump(choice) == wanted:
            return place
    raise at._refused("one of " + ", ".join(line(choice, 30) for choice in choices[:20]), value)  # noqa: SLF001
