"""From a press of Run to a run that is bound and watched: check, send, bind, follow.

It happens in a thread of its own, one at a time. Every error ends in the form.
"""

from __future__ import annotations

import argparse
import contextlib
import contextvars
import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..client import secrecy
from ..client.secrecy import Secret
from ..client.substitution import substitute
from ..errors import OrchestraError, OrchestraInputError, OrchestraUsageError
from ..views import preview
from . import namespace, start
from .form_actions import guarded

if TYPE_CHECKING:
    from ..client.run import Run
    from .form import Form

DOUBLE_CLICK = 0.7
"""Seconds in which a second press means the first one: a near server has answered by then."""
NOTHING_SENT = "Nothing was sent."


class Submission:
    """The starts of one form."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._busy, self._seeing = threading.Lock(), threading.Lock()
        self._pressed = float("-inf")
        self._unwatch: Callable[[], None] | None = None
        self.over = threading.Event()
        self.checked = False
        """Whether faults are shown as the fields change: from the first press on."""
        self.hidden: frozenset[str] = frozenset()
        """The texts of secrets that were sent."""
        self.cannot_cancel = False
        self._hold = self._held  # one object, so that it can be taken away again

    @property
    def under_way(self) -> bool:
        """Whether a start was asked for, and the server has not answered."""
        return self._busy.locked()

    def press(self) -> None:
        """Begin, but for the second press of a double click."""
        pressed, self._pressed = self._pressed, time.monotonic()
        if self._form.started is None or self._pressed - pressed > DOUBLE_CLICK:
            self.begin()

    def begin(self) -> None:
        """Start a run in a thread, if none is being started."""
        if not self._busy.acquire(blocking=False):
            return
        self.over.clear()
        self._form.shell.events.register("pre_run_cell", self._hold)
        self._form.parts.run.description = "Sending …"
        context = contextvars.copy_context()  # ipykernel 7.0 kills a thread that displays without it
        threading.Thread(target=context.run, args=(self._start,), name="orchestra-form", daemon=True).start()

    def wait(self) -> None:
        """Wait for a start that is under way."""
        while self._busy.locked():
            self.over.wait(0.1)

    def _held(self, cell: Any) -> None:
        """Let a cell that names the run wait until the name is bound; any other cell runs at once."""
        names = {self._form.names["run_id"], self._form.parts.out.value.strip()}
        if names & set(re.findall(r"\w+", cell.raw_cell or "")):
            with contextlib.suppress(KeyboardInterrupt):
                self.wait()

    def _start(self) -> None:
        form, run = self._form, None
        try:
            self.stop()
            form.error, form.started, form.previewed = None, None, ""
            form.parts.tell("Sending …")
            if self.check():
                run = self._send(self._inputs())
        except OrchestraError as error:
            form.fail(error)
        except Exception as error:  # noqa: BLE001  (a handler's exception would vanish)
            form.fail(OrchestraError(f"The form failed: {type(error).__name__}: {error}"))
        finally:
            form.parts.run.description = "Run"
            with contextlib.suppress(ValueError):  # a shell that was reset has no handlers any more
                form.shell.events.unregister("pre_run_cell", self._hold)
            self._busy.release()
            self.over.set()
        guarded(form, form.shown.update)()  # what an earlier run left, too
        if run is not None:
            guarded(form, self.follow)()

    def check(self) -> bool:
        """Show the fault of each field, go to the first, and return whether there is none."""
        form = self._form
        self.checked = True
        faults = [(field.name, fault) for field in form.fields.values() if (fault := field.check())]
        faults += [(name, fault) for name in form.fields if form.strict and (fault := form.unknown(name))]
        if out := self.out_fault():
            faults.append(("Save run as", out))
        form.parts.note_out(out, alert=bool(out))
        if not faults:
            return True
        form.error = OrchestraInputError(" ".join(fault for _, fault in faults) + f" {NOTHING_SENT}")
        self.list_faults(faults)
        first = faults[0][0]
        (form.fields[first].control if first in form.fields else form.parts).focus()
        return False

    def list_faults(self, faults: list[tuple[str, str]]) -> None:
        """Say by the button what is wrong, the first by name."""
        many = "1 input is" if len(faults) == 1 else f"{len(faults)} inputs are"
        first = f"first {faults[0][0]}" if len(faults) > 1 else faults[0][0]
        self._form.parts.warn(f"{NOTHING_SENT} {many} not right yet: {first}.", faults)

    def out_fault(self) -> str:
        """Return why the run cannot be saved under its name, in the words of the magic."""
        form = self._form
        try:
            start.names_checked(argparse.Namespace(**form.names, out=form.parts.out.value.strip() or None))
        except OrchestraUsageError as error:
            return str(error).removesuffix(NOTHING_SENT).rstrip()
        return ""

    def _inputs(self) -> dict[str, Any]:
        """Return the inputs to send, with variables in their places, and forget the secrets."""
        form = self._form
        said = dict(form.values)
        # What is typed as a secret is no wish for a variable, whatever it looks like.
        plain = {name: value for name, value in said.items() if not isinstance(value, Secret)}
        inputs = {**said, **(plain if form.raw else substitute(plain, form.shell.user_ns))}
        private = [field for field in form.fields.values() if field.secret]
        self.hidden |= secrecy.texts(inputs[field.name] for field in private if field.name in inputs)
        for field in private:
            field.control.clear()
        return {name: str(value) if isinstance(value, Secret) else value for name, value in inputs.items()}

    def _send(self, inputs: dict[str, Any]) -> Run | None:
        """Start the run and bind its names, or show what would be sent."""
        form = self._form
        if form.dry_run:
            form.previewed = preview.html(form.orchestra.preview(form.workflow, secrecy.masked(inputs, self.hidden)))
            form.parts.tell("A dry run: this would be sent.")
            return None
        run = form.started = form.orchestra.execute(form.workflow.id, inputs, reuse=form.reuse)
        named: dict[str, Any] = {str(form.names["run_id"]): run.id}
        if out := form.parts.out.value.strip():
            named[out] = run
        notes: list[str] = []
        namespace.bind(form.shell, named, tell=notes.append)
        form.parts.tell(" ".join([f"Run {run.short_id} was started.", *notes]))
        return run

    def follow(self) -> None:
        """Watch the run, if it is to be watched."""
        form = self._form
        run = form.started
        if run is None:
            return
        if (form.watched or form.names["outputs"]) and not run.latest.finished:
            self._unwatch = run.on_change(self._saw)
        self._saw(run)

    def stop(self) -> bool:
        """Watch no longer; return whether anything was watched."""
        unwatch, self._unwatch = self._unwatch, None
        if unwatch is None:
            return False
        unwatch()
        self._form.parts.under_way(going=False)
        return True

    def _saw(self, run: Run) -> None:
        """Show the run as it is now; called by the watcher after every look."""
        form = self._form
        if run is not form.started:
            return
        try:
            with self._seeing:  # the watcher and the start may look at once
                self._tell(run)
        except Exception as error:  # noqa: BLE001  (the watcher would log it, and nobody would see it)
            form.fail(OrchestraError(f"The form cannot show the run: {type(error).__name__}: {error}"))

    def _tell(self, run: Run) -> None:
        form, over = self._form, run.latest.finished
        form.parts.under_way(going=not (over or run.refusal), cancel=not self.cannot_cancel)
        form.shown.update()
        if over:
            if form.names["outputs"]:
                namespace.bind(form.shell, {form.names["outputs"]: run.outputs}, tell=form.parts.tell)
            form.parts.tell(f"Run {run.short_id} is over: {run.latest.status}.")


def masked(error: OrchestraError, hidden: frozenset[str]) -> OrchestraError:
    """Return an error with every secret in its words masked."""
    if hidden:
        error.args = tuple(secrecy.masked(each, hidden) if isinstance(each, str) else each for each in error.args)
        if isinstance(error, OrchestraInputError):
            error.reason = secrecy.masked(error.reason, hidden)
    return error
