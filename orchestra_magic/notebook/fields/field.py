"""One input of the form: a control with its label, its help, and a line for what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as widgets

from ...client import checks
from ...client.records import Input
from ...client.secrecy import Secret
from ...client.substitution import substitute
from ...client.values import check_inputs
from ...errors import OrchestraInputError
from ...views.words import escape, line
from . import kinds, variables
from .control import EMPTY, WIDE, described
from .controls import control

MUTED = "color:var(--jp-ui-font-color2,GrayText)"
ALERT = "color:var(--jp-error-color1,#c62828)"
_CHECKED_AS_TYPED = {kinds.LIST, kinds.OBJECT, kinds.ANY}


class Field:
    """One input of the form.

    Parameters
    ----------
    known : Input
        What is known of the input: its type decides on the control.
    width : str
        CSS width of the label, so that the controls of a form stand in line.
    namespace : Mapping
        The variables of the notebook.
    raw : bool
        Whether ``$name`` stands for itself.
    """

    def __init__(self, known: Input, width: str, namespace: Mapping[str, Any], *, raw: bool = False) -> None:
        self.input = known
        self.kind = kinds.kind_of(known)
        self.checked = False
        """Whether a fault is shown as one: from the first submit on."""
        self.note = ""
        """What is said below the control where there is nothing else to say."""
        look = {
            **described(label_of(known)),
            "layout": widgets.Layout(width=WIDE),
            "style": {"description_width": width},
        }
        self.control = control(known, self.kind, look, raw=raw, namespace=namespace)
        for each in self.control.inputs:
            each.add_class("orchestra-field")
        # Help and message stand under the control, not under its label.
        under = {"margin": f"-1px 0 5px calc({width} + 10px)", "width": f"calc({WIDE} - {width} - 10px)"}
        self.help = widgets.HTML(_help(known, self.kind), layout=widgets.Layout(**under))
        self.message = widgets.HTML(layout=widgets.Layout(**under, display="none"))
        self.message.add_class("orchestra-message")
        self.box = widgets.VBox([self.control.widget, self.help, self.message])
        self._namespace, self._raw = namespace, raw
        self._initial = self.control.mark()

    @property
    def name(self) -> str:
        """The input's name."""
        return self.input.name

    @property
    def secret(self) -> bool:
        """Whether its value is shown nowhere."""
        return self.kind == kinds.SECRET

    def said(self) -> Any:
        """Return what stands in the field as the body of a cell would say it, or ``EMPTY``.

        Raises
        ------
        OrchestraInputError
            If it is not of the input's type.
        """
        return self.control.said()

    @property
    def empty(self) -> bool:
        """Whether nothing is sent for this input."""
        try:
            return self.said() is EMPTY
        except OrchestraInputError:
            return False

    def set(self, value: Any, *, literal: bool = False) -> None:
        """Fill in a value; ``literal`` says that a text is no wish for a variable."""
        self.control.put(value, literal=literal)

    def reset(self) -> None:
        """Bring back what stood there first."""
        self.checked = False
        self.control.back(self._initial)
        self.look()

    def keep(self) -> None:
        """Let Reset bring back what stands there now."""
        self._initial = self.control.mark()

    def fault(self, *, whole: bool = True) -> str:
        """Return what is wrong with the field, an empty text when nothing is.

        ``whole`` also tries whether the variables in it can be sent, which may take its time.
        """
        try:
            said = self.said()
            if said is EMPTY:
                return " ".join(checks.faults([self.input], {}))
            if not (self._raw or isinstance(said, Secret)):
                if not whole and variables.is_variable(said) and variables.about(said, self._namespace, value=False):
                    return ""
                said = substitute({self.name: said}, self._namespace)[self.name]
            check_inputs({self.name: said})
        except OrchestraInputError as error:
            return str(error)
        return ""

    def check(self) -> str:
        """Show what is wrong with the field from now on, and return it."""
        self.checked = True
        fault = self.fault()
        self.show(fault, note=self._preview() or self.note)
        return fault

    def look(self, _: Any = None) -> None:
        """Say below the control what is to be said of what stands there now."""
        refused = bool(self.control.refusal)
        fault = self.fault(whole=False) if self.checked or refused or self.kind in _CHECKED_AS_TYPED else ""
        if fault and (self.checked or not self.empty):
            self.show(fault, alert=self.checked or refused)
        else:
            self.show("", note=self._preview() or self.note)

    def show(self, fault: str, *, note: str = "", alert: bool = True) -> None:
        """Show a fault below the control, or a note, or nothing."""
        if fault and alert:
            said = f'<span role="alert" style="{ALERT}">✘ {escape(fault[:2000])}</span>'
        elif fault or note:
            said = f'<small style="{MUTED}">{escape((fault or note)[:2000])}</small>'
        else:
            said = ""
        block = f'<div style="white-space:pre-wrap;line-height:1.35;overflow-wrap:anywhere" dir="auto">{said}</div>'
        self.message.value = block if said else ""
        self.message.layout.display = None if said else "none"

    def watch(self, changed: Callable[[Any], None]) -> None:
        """Call ``changed`` after each change of the control."""
        self.control.watch(changed)

    def _preview(self) -> str:
        try:
            said = self.said()
        except OrchestraInputError:
            return ""
        if self._raw or isinstance(said, Secret) or not isinstance(said, str):
            return ""
        return variables.about(said, self._namespace, value=not self.secret)


def label_of(known: Input) -> str:
    """Return the visible label of an input: "required" stands in words."""
    return (line(known.name, 60) or "(no name)") + (" (required)" if known.required else "")


def label_width(labels: Iterable[str]) -> str:
    """Return a CSS width that the longest label fits in."""
    return f"{min(30, max(14, 2 + max((len(label) for label in labels), default=0))) * 0.55:.1f}em"


def _help(known: Input, kind: str) -> str:
    facts = [kind, kinds.SOURCES.get(known.source, known.source)]
    if kind == kinds.SECRET:
        facts.append("stays out of the notebook; the server stores it with the run")
    if kind == kinds.CHOICES:
        facts.append("as many as you like")
    if kind == kinds.CHOICE:
        facts.append("Space opens it")
    if kind == kinds.FILE:
        facts.append("text as it is, anything else as a data: address")
    about = f'<span dir="auto">{escape(_clipped(known.description))}</span> · ' if known.description else ""
    return f'<small style="{MUTED};line-height:1.35;display:block">{about}{escape(" · ".join(facts))}</small>'


def _clipped(text: str, most: int = 500) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"
