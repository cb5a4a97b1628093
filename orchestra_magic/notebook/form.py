"""The form: the inputs of a workflow as fields, and a button that starts the run.

Handlers may run on the main thread or another, by ipykernel's version, and what they raise is lost: so a
handler only takes a lock and starts a thread, and every error is shown in the form and kept as ``error``.
"""

from __future__ import annotations

import contextvars
import shlex
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..client.snapshot import snapshot
from ..client.substitution import substitute
from ..errors import OrchestraError, OrchestraInputError, OrchestraUsageError
from ..views import card
from ..views.words import escape, line
from . import namespace
from .fields import Field, label_width

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..client.orchestra import Orchestra
    from ..client.run import Run
    from ..client.workflow import Workflow


DOUBLE_CLICK = 0.7
"""Seconds in which a second press means the first one: a near server has answered by then."""


class Form:
    """A form for one workflow.

    Attributes
    ----------
    error : OrchestraError or None
        What went wrong at the last press of Run.

    Examples
    --------
    >>> form = orchestra.form("hello")  # doctest: +SKIP
    >>> form.set(name="Ada")  # doctest: +SKIP
    >>> form.submit()  # doctest: +SKIP
    >>> form.run.wait().outputs  # doctest: +SKIP
    """

    def __init__(
        self,
        orchestra: Orchestra,
        workflow: Workflow,
        shell: InteractiveShell,
        *,
        run_id: str = "run_id",
        out: str | None = None,
    ) -> None:
        self.workflow = workflow
        self.error: OrchestraError | None = None
        self._orchestra = orchestra
        self._shell = shell
        self._names = {"id": namespace.checked(run_id, "--run-id"), "out": out and namespace.checked(out, "--out")}
        self._run: Run | None = None
        self._busy = threading.Lock()
        self._pressed = float("-inf")
        self._submitted = threading.Event()
        width = label_width(workflow.inputs)
        self._fields = {known.name: Field(known, width) for known in workflow.inputs}
        self._button = widgets.Button(description="Run", button_style="primary", tooltip="Start a run")
        self._button.add_class("orchestra-run")
        self._button.on_click(self._press)
        self._summary = widgets.HTML()
        self._summary.add_class("orchestra-summary")
        self._result = widgets.HTML()
        self._result.add_class("orchestra-result")
        head = widgets.HTML(f"<b>{escape(workflow.name)}</b><br>{escape(workflow.description)}")
        boxes = [field.box for field in self._fields.values()]
        self.widget = widgets.VBox([head, *boxes, self._button, self._summary, self._result])
        self.widget.add_class("orchestra-form")

    @property
    def values(self) -> Mapping[str, Any]:
        """What stands in the fields, by input; inputs that are left empty are left out.

        Raises
        ------
        OrchestraInputError
            If a field does not hold what its input takes.
        """
        return {field.name: field.value() for field in self._fields.values() if not field.empty}

    @property
    def run(self) -> Run:
        """The run that the last press of Run started; a start that is under way is waited for.

        Raises
        ------
        OrchestraUsageError
            If none was started yet.
        OrchestraError
            What went wrong, if the last press came to nothing.
        """
        if self._busy.locked():
            self._submitted.wait()
        if self._run is None:
            if self.error is not None:
                raise self.error
            raise OrchestraUsageError("Nothing was started yet: press Run in the form, or call form.submit().")
        return self._run

    def set(self, **inputs: Any) -> Form:
        """Fill in fields by the names of their inputs, and return the form.

        Raises
        ------
        OrchestraUsageError
            If there is no such field.
        """
        unknown = [name for name in inputs if name not in self._fields]
        if unknown:
            raise OrchestraUsageError(f"The form has no field {unknown[0]!r}. It has {', '.join(self._fields)}.")
        for name, value in inputs.items():
            self._fields[name].set(value)
        return self

    def submit(self) -> None:
        """Start a run with what stands in the fields, and return at once.

        What goes wrong stands in the form and as ``form.error``. While a start is under way, this does nothing.
        """
        if not self._busy.acquire(blocking=False):
            return
        self._submitted.clear()
        self._button.description = "Sending …"
        context = contextvars.copy_context()  # ipykernel 7.0 kills a thread that displays without it
        threading.Thread(target=context.run, args=(self._start,), name="orchestra-form", daemon=True).start()

    def _press(self, _: object) -> None:
        pressed, self._pressed = self._pressed, time.monotonic()
        if self._run is None or self._pressed - pressed > DOUBLE_CLICK:
            self.submit()

    def settled(self, timeout: float | None = None) -> bool:
        """Wait until the start is made or refused; return whether it is."""
        return self._submitted.wait(timeout)

    def _start(self) -> None:
        run = None
        try:
            self.error, self._run = None, None
            self._tell("")
            run = self._run = self._orchestra.execute(self.workflow.id, self._checked())
            self._bind(run)
        except OrchestraError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  (a handler's exception would vanish)
            self._fail(OrchestraError(f"The form failed: {type(error).__name__}: {error}"))
        finally:
            self._button.description = "Run"
            self._busy.release()
            self._submitted.set()
        if run is not None:
            self._show(run)
            run.on_change(self._show)

    def _checked(self) -> dict[str, Any]:
        """Return the inputs to send, or show the fault of each field and raise the first."""
        faults = {field.name: field.fault() for field in self._fields.values()}
        for name, fault in faults.items():
            self._fields[name].show(fault)
        said = [fault for fault in faults.values() if fault]
        if said:
            raise OrchestraInputError(" ".join(said) + " Nothing was sent.")
        values = self.values
        # What the server put into a field is no wish of the person's to send a variable.
        typed = {name: value for name, value in values.items() if self._fields[name].typed}
        return {**values, **substitute(typed, self._shell.user_ns)}

    def _bind(self, run: Run) -> None:
        named = {self._names["id"]: run.id} | ({self._names["out"]: run} if self._names["out"] else {})
        namespace.bind(self._shell, {str(name): value for name, value in named.items()})

    def _fail(self, error: OrchestraError) -> None:
        self.error = error
        self._result.value = ""  # of an earlier run
        said = escape(f"✘ {type(error).__name__}: {error}")
        self._tell(f'<pre role="alert" style="white-space:pre-wrap">{said}</pre>')

    def _tell(self, html: str) -> None:
        self._summary.value = html

    def _show(self, run: Run) -> None:
        """Show the run below the form; called by the watcher at every change."""
        if run is self._run:
            self._result.value = card.html(snapshot(run, look=False))

    def __repr__(self) -> str:
        return f"<Form of {self.workflow.name}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        # The view is for a live kernel; the rest is what a saved notebook shows later.
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        return {
            "text/plain": repr(self),
            "text/html": self._static(),
            "application/vnd.jupyter.widget-view+json": view,
        }

    def _static(self) -> str:
        rows = "".join(
            f'<tr><th scope="row">{escape(field.name)}</th><td>{escape(line(field.said))}</td></tr>'
            for field in self._fields.values()
        )
        shown = card.html(snapshot(self._run, look=False)) if self._run is not None else ""
        return f"<div><p><b>Form: {escape(self.workflow.name)}</b></p><table>{rows}</table>{shown}</div>"


def form(orchestra: Orchestra, workflow: str | Workflow, **options: Any) -> Form:
    """Return a form for ``workflow`` in this notebook.

    Raises
    ------
    OrchestraUsageError
        Where there is no notebook to show it in.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        name = workflow if isinstance(workflow, str) else workflow.name
        raise OrchestraUsageError(
            f"A form needs a notebook. Here, use `%%orchestra_execute {shlex.quote(name)}`"
            f" or orchestra.execute({name!r}, …)."
        )
    return Form(orchestra, orchestra.workflow(workflow), shell, **options)
