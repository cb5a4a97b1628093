"""The control for each kind of field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...client.records import Input
from ...errors import OrchestraUsageError
from . import kinds
from .chosen import ChoiceControl, ChoicesControl, PickerControl, TickControl, picker
from .control import Control
from .typed import FileControl, SecretControl, TextControl


def control(known: Input, kind: str, look: dict[str, Any], *, raw: bool, namespace: Mapping[str, Any]) -> Control:
    """Return the control for an input, with its default filled in."""
    made = _class(kind)(known, kind, look, raw=raw, namespace=namespace)
    if known.has_default and known.default is not None and kind != kinds.SECRET:
        try:
            made.put(known.default, literal=True)
        except OrchestraUsageError:  # a default that no picker shows, or that is none of the choices
            if kind in {kinds.DATE, kinds.TIME, kinds.DATETIME}:
                made = TextControl(known, kind, look, raw=raw, namespace=namespace)
                made.put(known.default, literal=True)
    return made


def _class(kind: str) -> type[Control]:
    if kind in _CLASSES:
        return _CLASSES[kind]
    return PickerControl if picker(kind) is not None else TextControl


_CLASSES: dict[str, type[Control]] = {
    kinds.FILE: FileControl,
    kinds.SECRET: SecretControl,
    kinds.TICK: TickControl,
    kinds.CHOICE: ChoiceControl,
    kinds.CHOICES: ChoicesControl,
}
