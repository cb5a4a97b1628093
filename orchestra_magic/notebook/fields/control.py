"""What a person fills in: the common part of all controls, which are of core ipywidgets 7.7.1 to 8.

A control gives what it holds as the body of a cell would say it: ``$name`` not yet replaced, and a text that
could be taken for a variable with its dollars doubled. So a form and a cell are one grammar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from ...client.records import Input
from ...errors import OrchestraInputError, OrchestraUsageError
from ...views.words import NOT_TYPESET, clean, escape, line
from . import variables

WIDE = "min(46em, 98%)"
OLD = int(widgets.__version__.split(".")[0]) < 8


class EmptyType:
    """The type of :data:`EMPTY`."""

    def __repr__(self) -> str:
        return "EMPTY"


EMPTY = EmptyType()
"""Nothing is said of this input, and nothing is sent for it."""


def described(text: str) -> dict[str, Any]:
    """Return how a widget is given server text as its description.

    ipywidgets 7 takes it for HTML; and front ends typeset formulas in it, unless HTML tells them not to.
    """
    if "\\" in text or text.count("$") > 1:
        told = {"description": f"<span {NOT_TYPESET}>{escape(text)}</span>"}
        return told if OLD else {**told, "description_allow_html": True}
    return {"description": escape(text) if OLD else clean(text)}


class Control:
    """What all controls share.

    Parameters
    ----------
    known : Input
    kind : str
        One of :data:`~orchestra_magic.notebook.fields.kinds.KINDS`.
    look : dict
        ``description``, ``layout`` and ``style`` of the widget.
    raw : bool
        Whether ``$name`` stands for itself.
    namespace : Mapping
        The variables of the notebook.
    """

    refusal: str = ""
    """What was wrong with what was given last, where the control cannot show it."""

    def __init__(
        self, known: Input, kind: str, look: dict[str, Any], *, raw: bool, namespace: Mapping[str, Any]
    ) -> None:
        self.name, self.kind, self.raw, self.namespace = known.name, kind, raw, namespace
        self.input = self._made(known, look)
        self.widget, self.inputs = self.widgets()
        self.clear()

    def _made(self, known: Input, look: dict[str, Any]) -> Any:
        """Return the widget that takes the focus."""
        raise NotImplementedError

    def widgets(self) -> tuple[Any, list[Any]]:
        """Return what is shown of the control, and the widgets whose changes count."""
        return self.input, [self.input]

    def said(self) -> Any:
        """Return what the control holds, or :data:`EMPTY`.

        Raises
        ------
        OrchestraInputError
            If it is not what the input takes.
        """
        raise NotImplementedError

    def put(self, value: Any, *, literal: bool = False) -> None:
        """Fill in a value; ``literal`` says that a text is no wish for a variable.

        Raises
        ------
        OrchestraUsageError
            If the control cannot hold it.
        """
        raise NotImplementedError

    def clear(self) -> None:
        """Empty the control."""
        raise NotImplementedError

    def mark(self) -> Any:
        """Return what brings back what stands there now, by :meth:`back`."""
        return self.input.value

    def back(self, mark: Any) -> None:
        """Bring back what stood there at a mark."""
        self.input.value = mark

    def shown(self) -> str:
        """Return what stands there, as a saved notebook may have it."""
        try:
            said = self.said()
        except OrchestraInputError:
            return line(str(self.input.value), 200)
        return "" if said is EMPTY else line(said, 200)

    def watch(self, changed: Callable[[Any], None]) -> None:
        """Call ``changed`` after each change."""
        for each in self.inputs:
            each.observe(changed, "value")

    def focus(self) -> None:
        """Put the cursor there, where ipywidgets can."""
        if hasattr(self.input, "focus"):
            self.input.focus()

    def literal(self, value: Any) -> Any:
        """Return a value so that it is taken for itself."""
        return value if self.raw else variables.literal(value)

    def _refused(self, takes: str, value: Any) -> OrchestraUsageError:
        return OrchestraUsageError(f"The field {self.name!r} takes {takes}, not {line(repr(value), 60)}.")
