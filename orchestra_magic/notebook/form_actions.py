"""What the buttons of a form do. What goes wrong in a handler is shown in the form: elsewhere it would vanish."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import OrchestraError, OrchestraUsageError
from .form_history import LastInputs
from .form_parts import on_click

if TYPE_CHECKING:
    from .fields import Field
    from .form import Form


LONGEST_CELL = 100_000
"""Characters of a cell that are shown."""


def connect(form: Form) -> None:
    """Give each button of a form what it does."""
    parts, last = form.parts, LastInputs(form)
    on_click(parts.run, guarded(form, form.submission.press))
    on_click(parts.stop, guarded(form, lambda: stop(form)))
    on_click(parts.cancel, behind(form, lambda: cancel(form)))
    on_click(parts.reset, guarded(form, form.reset))
    on_click(parts.last, behind(form, last.fetch))
    on_click(parts.cell, guarded(form, lambda: show_cell(form)))
    on_click(parts.add, guarded(form, lambda: parts.show(parts.new, shown=not parts.shown(parts.new))))
    on_click(parts.new_done, guarded(form, lambda: add(form)))
    parts.earlier.observe(lambda change: guarded(form, lambda: last.choose(change["new"]))(), "value")
    parts.out.observe(guarded(form, lambda: named(form)), "value")


def guarded(form: Form, work: Callable[[], Any]) -> Callable[..., None]:
    """Return a handler that does ``work`` and shows what goes wrong in the form."""

    def handler(*_: Any) -> None:
        try:
            work()
        except OrchestraError as error:
            form.fail(error)
        except Exception as error:  # noqa: BLE001
            form.fail(OrchestraError(f"The form failed: {type(error).__name__}: {error}"))

    return handler


def behind(form: Form, work: Callable[[], Any]) -> Callable[[], None]:
    """Return a handler that does ``work`` in a thread: it waits for the server."""

    def handler() -> None:
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(guarded(form, work),), name="orchestra-form-action", daemon=True
        ).start()

    return handler


def changed(form: Form, field: Field) -> None:
    """Say what is to be said after a field changed."""
    field.look()
    if form.submission.checked and not form.submission.under_way and form.started is None:
        faults = [(each.name, fault) for each in form.fields.values() if (fault := each.fault(whole=False))]
        if faults:
            form.submission.list_faults(faults)
        else:
            form.parts.tell("Nothing is wrong any more: press Run.")
    if form.parts.shown(form.parts.text):
        try:
            form.parts.text.value = cell_text(form)
        except OrchestraError as error:  # no fault of what was just typed: it may not be whole yet
            form.parts.text.value = f"# {error}"
    form.shown.soon()


def named(form: Form) -> None:
    """Say what becomes of the name under "Save run as"."""
    from ..client.run import Run

    name = form.parts.out.value.strip()
    fault = form.submission.out_fault()
    held = form.shell.user_ns.get(name)
    if fault:
        form.parts.note_out(fault, alert=form.submission.checked)
    elif name and held is not None and not isinstance(held, Run):
        form.parts.note_out(f"{name} holds a {type(held).__name__} now; the run takes its place.")
    else:
        form.parts.note_out("")


def stop(form: Form) -> None:
    """Leave the card as it is; the run goes on."""
    if form.submission.stop() and form.started is not None:
        form.parts.tell(f"Stopped watching; run {form.started.short_id} goes on. {form.started.reattach} shows it.")


def cancel(form: Form) -> None:
    """Ask the server to end the run."""
    if form.started is None:
        return
    try:
        form.started.cancel()
    except OrchestraUsageError:
        form.submission.cannot_cancel = True
        form.parts.under_way(going=not form.started.latest.finished, cancel=False)
        raise
    form.parts.tell(f"The server was asked to end run {form.started.short_id}.")


def add(form: Form) -> None:
    """Add the input that was described."""
    parts = form.parts
    form.add(parts.new_name.value.strip(), parts.new_kind.value)
    parts.new_name.value = ""
    parts.show(parts.new, shown=False)


def cell_text(form: Form) -> str:
    """Return the cell that sends the same, if a browser can well show it.

    Raises
    ------
    OrchestraError
        If there is none.
    """
    text = form.as_cell()
    if len(text) > LONGEST_CELL:
        raise OrchestraUsageError(
            f"The cell has {len(text):,} characters: form.as_cell() returns it. A variable, $name, makes it short."
        )
    return text


def show_cell(form: Form) -> None:
    """Show the cell that sends the same, or hide it again."""
    parts = form.parts
    text = cell_text(form)
    hide = parts.shown(parts.text) and parts.text.value == text
    parts.text.value = text
    parts.text.rows = min(16, text.count("\n") + 1)
    parts.show(parts.text, shown=not hide)
