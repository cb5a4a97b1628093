"""Controls that are typed into: text of all kinds, files, secrets."""

# ruff: noqa: ARG002, D102  (the methods are those of Control, which documents them)

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import ipywidgets as widgets

from ...client.records import Input
from ...client.secrecy import MASK, Secret
from ...client.values import to_json
from ...errors import OrchestraInputError, OrchestraUsageError
from ...views.words import clean, dump, line
from . import files, kinds, variables
from .control import EMPTY, OLD, WIDE, Control
from .readers import read

MOST = 20_000
"""Characters that a control shows; what is longer is kept beside it."""


class TextControl(Control):
    """A line or some lines of text, which a kind gives a meaning."""

    _TALL = frozenset({kinds.LONG_TEXT, kinds.LIST, kinds.OBJECT, kinds.ANY, kinds.CHOICES})
    _kept: tuple[str, Any] | None
    """A text, and the value that it stands for."""

    _HINTS: ClassVar = {
        kinds.LIST: "a JSON list",
        kinds.OBJECT: "a JSON object",
        kinds.ANY: "any JSON value",
        kinds.NUMBER: "a number",
        kinds.INTEGER: "a whole number",
        kinds.DATE: "2026-01-31",
        kinds.TIME: "14:30",
        kinds.DATETIME: "2026-01-31T14:30+01:00",
        kinds.FILE: "the path of a file",
    }
    _ROWS: ClassVar = {kinds.LONG_TEXT: 4}
    _TEXTS = frozenset({kinds.TEXT, kinds.LONG_TEXT, kinds.FILE, kinds.DATE, kinds.TIME, kinds.DATETIME})

    def _made(self, known: Input, look: dict[str, Any]) -> Any:
        # The kernel must never be behind what was typed when the button is pressed. While it sees to one change,
        # ipywidgets holds back the next, but not the press: so there is one, when the field is left.
        hint = self._HINTS.get(self.kind, "")
        hint += ", or $name for a variable" if hint and not self.raw else ""
        look = {**look, "placeholder": hint, "continuous_update": False}
        return (
            widgets.Textarea(rows=self._ROWS.get(self.kind, 2), **look)
            if self.kind in self._TALL
            else widgets.Text(**look)
        )

    def said(self) -> Any:
        text = self.input.value
        if self._kept is not None and text == self._kept[0]:
            return self._kept[1]
        if not text:
            return EMPTY
        bare = text if self.kind in {kinds.TEXT, kinds.LONG_TEXT} else text.strip()
        if not self.raw and variables.is_variable(bare):
            return bare
        return self._read(text)

    def _read(self, text: str) -> Any:
        return read(self.kind, text, self.name)

    def put(self, value: Any, *, literal: bool = False) -> None:
        if value is None:
            self.clear()
            return
        value = to_json(value, path=self.name)
        if literal:
            value = self.literal(value)
        is_typed = isinstance(value, str) and (self.kind in self._TEXTS or not literal)
        text = value if is_typed else dump(value)
        if is_typed and len(text) <= MOST:
            self._kept = None
        else:
            self._keep(text, value)
            return
        self.input.value = text

    def _keep(self, text: str, value: Any) -> None:
        """Hold a value that is more than the text that stands for it."""
        if len(text) > MOST:
            text = f"{line(text, 60)} ({len(text):,} characters, kept by the form)"
        self._kept = (text, value)
        self.input.value = text

    def clear(self) -> None:
        self._kept = None
        self.input.value = ""

    def mark(self) -> Any:
        return self.input.value, self._kept

    def back(self, mark: Any) -> None:
        self.input.value, self._kept = mark


class FileControl(TextControl):
    """A file, by its path or uploaded through the browser."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.upload = widgets.FileUpload(
            description="Upload", tooltip=f"Send a small file for {clean(self.name)} through the browser"
        )
        self.upload.layout = widgets.Layout(width="auto", flex="0 0 auto")
        self.input.layout.flex = "1 1 auto"
        self.widget = widgets.HBox([self.input, self.upload], layout=widgets.Layout(width=WIDE))
        self._changed: list[Callable[[Any], None]] = []
        self.upload.observe(self._uploaded, "value")
        self.input.observe(self._edited, "value")

    def watch(self, changed: Callable[[Any], None]) -> None:
        super().watch(changed)
        self._changed.append(changed)

    def _edited(self, _: Any) -> None:
        self.refusal = ""

    def _uploaded(self, _: Any) -> None:
        if not self.upload.value:
            return
        try:
            self._take(*_uploads(self.upload)[-1])
        except Exception as error:  # noqa: BLE001  (a handler's exception would vanish)
            self.refusal = f"The upload failed: {type(error).__name__}: {error}"
        for changed in self._changed:
            changed(None)

    def _take(self, name: str, data: bytes) -> None:
        if OLD:
            self.upload.metadata, self.upload.data = [], []
            self.upload._counter = 0  # noqa: SLF001  (ipywidgets 7 makes the value anew when this changes)
        else:
            self.upload.value = ()
        if len(data) > files.MOST:
            self.refusal = str(files.too_large(self.name, len(data)))
        else:
            self.refusal = ""
            self._keep(f"{clean(name)} (uploaded, {len(data):,} bytes)", self.literal(files.encoded(data, name)))

    def said(self) -> Any:
        if self.refusal:
            raise OrchestraInputError(self.refusal)
        return super().said()

    def _read(self, text: str) -> Any:
        return self.literal(files.content(text, self.name))

    def put(self, value: Any, *, literal: bool = False) -> None:
        if literal and isinstance(value, str):  # what a file held once, and no path
            self._keep(f"(content of an earlier run: {len(value):,} characters)", self.literal(value))
        else:
            super().put(value, literal=literal)

    def shown(self) -> str:
        return line(self.input.value, 200)


class SecretControl(Control):
    """A secret: what is typed goes to the memory of the kernel, and leaves the widget at once.

    A notebook may be saved with the state of its widgets, at any moment.
    """

    _held: str | None

    def _made(self, known: Input, look: dict[str, Any]) -> Any:
        self._held = None
        made = widgets.Password(**look, continuous_update=False)
        made.observe(self._typed, "value")
        return made

    def _typed(self, change: Any) -> None:
        if change["new"]:
            self._hold(change["new"])

    def _hold(self, text: str) -> None:
        self._held = text
        self.input.value = ""
        self.input.placeholder = f"{MASK} kept until Run; type to replace it"

    def said(self) -> Any:
        if self._held is None:
            return EMPTY
        if self.is_variable:
            return self._held
        return Secret(self._held)

    @property
    def is_variable(self) -> bool:
        """Whether what was typed is the name of a variable that there is."""
        return not self.raw and bool(variables.about(self._held, self.namespace)) if self._held else False

    def put(self, value: Any, *, literal: bool = False) -> None:
        if value is None:
            self.clear()
        elif isinstance(value, str):
            self._hold(str(value))
        else:
            raise OrchestraUsageError(f"The field {self.name!r} takes a text, not a {type(value).__name__}.")

    def clear(self) -> None:
        self._held = None
        self.input.value = ""
        self.input.placeholder = "typed here, it stays out of the notebook" if self.raw else "typed, or $name"

    def shown(self) -> str:
        return "" if self._held is None else self._held if self.is_variable else MASK

    def mark(self) -> Any:
        return None

    def back(self, mark: Any) -> None:
        self.clear()


def _uploads(upload: Any) -> list[tuple[str, bytes]]:
    """Return what was uploaded: ipywidgets 7 and 8 shape it differently."""
    found = upload.value.values() if isinstance(upload.value, dict) else upload.value
    return [(str(each.get("name") or each["metadata"]["name"]), bytes(each["content"])) for each in found]
