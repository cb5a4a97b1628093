"""How a form is displayed: its widget, and below it what stays when the widget is gone.

Two outputs. The first is the widget. The second has an id, so that it is redrawn from any thread without
touching the widget and the cursor in it: the card of the run, and the values for a notebook that is opened
again, which hide themselves while the widget is there.
"""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Any

from ..client.snapshot import snapshot
from ..views import card, form_card
from ..views.words import line
from . import redrawing
from .form_actions import guarded

if TYPE_CHECKING:
    from .form import Form

REST_SECONDS = 1.0
"""What was typed reaches the second output after so long."""


class Shown:
    """The displays of one form."""

    def __init__(self, form: Form, mark: str) -> None:
        self._form, self._mark = form, mark
        self._handles: list[Any] = []
        self._drawn: dict[str, str] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def display(self) -> None:
        """Show the form in the cell that runs."""
        from IPython.display import display

        display(self._living(), raw=True)  # type: ignore[no-untyped-call]
        with self._lock:
            self._drawn = self.still()
            handle = display(self._drawn, raw=True, display_id=True)  # type: ignore[no-untyped-call]
            self._handles.append(handle)
        self._form.parts.result.value = ""

    def adopt(self, handles: list[Any]) -> None:
        """Take the place of another form."""
        with self._lock:
            self._handles = handles
        self.update()

    def update(self) -> None:
        """Redraw what stays, if it would look any different."""
        with self._lock:
            if not self._handles:
                self._form.parts.result.value = self.run_html()
                return
            drawn = self.still()
            if drawn != self._drawn:
                self._drawn = drawn
                for handle in self._handles:
                    handle.update(drawn, raw=True)
        redrawing.follow(self)

    def again(self) -> bool:
        """Show what stays once more if there is a run that is over, and tell whether there is."""
        run = self._form.started
        if run is None or not (run.latest.finished or run.refusal is not None):
            return False
        with self._lock:
            self._drawn = self.still()
            for handle in self._handles:
                handle.update(self._drawn, raw=True)
        return True

    def soon(self) -> None:
        """Redraw what stays when nobody has typed for a moment."""
        if not self._handles or (self._timer is not None and self._timer.is_alive()):
            return
        context = contextvars.copy_context()  # ipykernel 7.0 kills a thread that displays without it
        self._timer = threading.Timer(REST_SECONDS, context.run, args=(guarded(self._form, self.update),))
        self._timer.daemon = True
        self._timer.start()

    def bundle(self) -> dict[str, Any]:
        """Return the form for a front end that shows one output."""
        return {**self._living(), **self.still()}

    def still(self) -> dict[str, str]:
        """Return what stays of the form: values and run, no secret among them."""
        name, rows = self._form.workflow.name, self._form.rows()
        run = self._form.started
        text = "" if run is None else card.text(snapshot(run, look=False))
        return {
            "text/plain": form_card.text(line(name), rows, text),
            "text/html": form_card.html(line(name, 200), rows, self.run_html(), mark=self._mark),
        }

    def run_html(self) -> str:
        """Return the card of the run, or the request of a dry run."""
        run = self._form.started
        if run is None or not self._form.watched:
            return self._form.previewed
        return card.html(snapshot(run, look=False))

    def _living(self) -> dict[str, Any]:
        form = self._form
        view = {"version_major": 2, "version_minor": 0, "model_id": form.widget.model_id}
        return {
            "text/plain": repr(form),
            "text/html": form_card.stand_in(line(form.workflow.name, 200)),
            "application/vnd.jupyter.widget-view+json": view,
        }
