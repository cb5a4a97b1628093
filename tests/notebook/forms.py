"""What tests of the form share: the parts of a form, found as a person finds them, and what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets

from orchestra_magic.notebook.form import Form

MakeForm = Callable[..., Form]


def parts(widget: Any) -> Iterator[Any]:
    """A widget and everything in it, from the top down."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from parts(child)


def part(form: Form, name: str) -> Any:
    """The first widget that has this class."""
    return next(each for each in parts(form.widget) if name in each._dom_classes)


def control(form: Form, label: str) -> Any:
    """The control with this label."""
    box = form.fields[label].control
    assert any(getattr(each, "description", "").startswith(label) for each in parts(box.widget))  # it can be seen
    return box.input


def html(form: Form) -> str:
    """All HTML that the form shows."""
    return "\n".join(each.value for each in parts(form.widget) if isinstance(each, widgets.HTML))


def press(form: Form) -> None:
    """Press Run, and wait until the start is made or refused."""
    part(form, "orchestra-run").click()
    assert form.settled(timeout=20)


def eventually(what: Callable[[], bool]) -> None:
    """Wait until something that another thread does has come true."""
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)
