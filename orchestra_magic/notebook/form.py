"""The form: the inputs of a workflow as fields, and a button that starts the run.

Handlers may run on the main thread or another, by ipykernel's version, and what they raise is lost: so a
handler that waits for the server takes a lock and starts a thread, and every error is shown in the form and
kept as ``error``.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shlex
from collections.abc import Generator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ..client import checks, discovery, secrecy
from ..client.records import Input
from ..client.secrecy import Secret
from ..errors import OrchestraError, OrchestraUsageError
from ..views.words import line
from . import as_cell, form_actions, form_submit, start
from .fields import EMPTY, Field, label_of, label_width, variables
from .fields.kinds import by_hand, overridden
from .form_parts import Parts
from .form_shown import Shown
from .form_submit import Submission

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..client.orchestra import Orchestra
    from ..client.run import Run
    from ..client.workflow import Workflow
    from .chooser import Chooser


class Form:
    """A form for one workflow.

    Parameters
    ----------
    orchestra : Orchestra
    workflow : Workflow
    shell : InteractiveShell
    inputs : Mapping, optional
        What to fill in, as the body of a cell says it: ``$name`` is a variable.
    fields : Mapping, optional
        By the name of an input: a kind of field (``"long text"``, ``"secret"``, …), a dict of what is to be
        different (``kind``, ``type``, ``format``, ``description`` or ``help``, ``default``, ``required``,
        ``enum`` or ``choices``, ``items``), or None to leave the field out. A new name adds a field.
    auto : bool
        Submit at once, if every required input has a value, and return when the server has answered.
    run_id, out, outputs : str
        Variables for the run's id, for the run, and for what it gave when it is over.
    strict : bool
        An input that the workflow does not name is a fault, not a note.
    raw : bool
        ``$name`` stands for itself.
    reuse : bool
        Take an earlier run with the same inputs instead of a new one.
    dry_run : bool
        Show the exact request, and send nothing.
    watch : bool
        Show the card of the run.
    word : str, optional
        The workflow as it was named, for :meth:`as_cell`.

    Attributes
    ----------
    error : OrchestraError or None
        What went wrong at the last press of Run.
    widget : ipywidgets.VBox
        The form itself, for a layout of your own.

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
        inputs: Mapping[str, Any] | None = None,
        *,
        fields: Mapping[str, Any] | None = None,
        auto: bool = False,
        run_id: str = "run_id",
        out: str | None = None,
        outputs: str | None = None,
        strict: bool = False,
        raw: bool = False,
        reuse: bool = False,
        dry_run: bool = False,
        watch: bool = True,
        word: str | None = None,
    ) -> None:
        self.orchestra, self.workflow = orchestra, workflow
        self.error: OrchestraError | None = None
        self.started: Run | None = None
        self.previewed = ""
        self.watched = watch
        self.left_out = {name for name, change in (fields or {}).items() if change is None}
        self.shell, self._word = shell, word
        self.names = {"run_id": run_id, "outputs": outputs}
        self.strict, self.raw, self.reuse, self.dry_run = strict, raw, reuse, dry_run
        start.names_checked(argparse.Namespace(**self.names, out=out))
        self.submission = Submission(self)
        inputs_known, trouble = _inputs(workflow)
        known = overridden(inputs_known, fields or {})
        self._width = label_width([*map(label_of, known), "Save run as"])
        mark = secrets.token_hex(4)
        self.parts = Parts(workflow.name, workflow.description, self._width, run_id, mark)
        self.parts.out.value = out or ""
        self.widget = self.parts.widget
        self.shown = Shown(self, mark)
        self.fields: dict[str, Field] = {}
        for each in known:
            self.take(each)
        for name, value in (inputs or {}).items():
            if name not in self.fields:
                self.take(Input(name, discovery.json_type(value), source="given"))
            self.fields[name].set(value)
        for field in self.fields.values():
            field.keep()
        form_actions.connect(self)
        if trouble:
            self.parts.warn(trouble)
        if auto and self.missing():
            self.parts.tell(" ".join(["Not started yet.", *self.missing(), "Press Run then."]))
        elif auto:
            self.submit()
            self.submission.wait()  # the next line may use the names

    @property
    def values(self) -> Mapping[str, Any]:
        """What stands in the fields, by input, as the body of a cell would say it; what is empty is left out.

        ``$name`` is not replaced yet. A secret shows itself masked.

        Raises
        ------
        OrchestraInputError
            If a field does not hold what its input takes.
        """
        said = {name: field.said() for name, field in self.fields.items()}
        return {name: value for name, value in said.items() if value is not EMPTY}

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
        self.submission.wait()
        if self.started is None:
            if self.error is not None:
                raise self.error
            why = "A dry run starts nothing." if self.previewed else " ".join(self.missing())
            said = "Nothing was started yet: press Run in the form, or call form.submit()."
            raise OrchestraUsageError(f"{said} {why}".rstrip())
        return self.started

    def missing(self) -> list[str]:
        """Return a sentence for each required input that has no value."""
        return [field.fault() for field in self.fields.values() if field.empty and field.fault()]

    def set(self, **inputs: Any) -> Form:
        """Fill in fields by the names of their inputs, and return the form.

        A text that is exactly ``$name`` is a variable, as in a cell; None empties a field.

        Raises
        ------
        OrchestraUsageError
            If there is no such field, or it cannot hold the value.
        """
        unknown = [name for name in inputs if name not in self.fields]
        if unknown:
            raise OrchestraUsageError(f"The form has no field {unknown[0]!r}. It has {', '.join(self.fields)}.")
        for name, value in inputs.items():
            self.fields[name].set(value)
        return self

    def add(self, name: str, kind: str = "text") -> Form:
        """Add a field for an input that the workflow does not name, and return the form.

        Raises
        ------
        OrchestraUsageError
            If there is such a field already, or no such kind.
        """
        if not name.strip():
            raise OrchestraUsageError("The input has no name. Give it one.")
        if name in self.fields:
            raise OrchestraUsageError(f"The form has a field {name!r} already.")
        self.take(by_hand(name, kind))
        return self

    def take(self, known: Input) -> None:
        """Put a field for an input at the end of the form."""
        field = self.fields[known.name] = Field(known, self._width, self.shell.user_ns, raw=self.raw)
        field.watch(form_actions.guarded(self, lambda: form_actions.changed(self, field)))
        if field.secret:
            self.orchestra.keep_secret(self.workflow.id, [known.name])
        self.parts.fields.children = [each.box for each in self.fields.values()]
        field.note = self.unknown(known.name)
        field.look()

    def unknown(self, name: str) -> str:
        """Return what the magic says of an input that the workflow does not name, else an empty text."""
        named = self.workflow.named_inputs
        needed = {each.name: None for each in named}  # so that nothing is missing
        return "" if name in needed else " ".join(checks.faults(named, {**needed, name: None}))

    def submit(self) -> None:
        """Start a run with what stands in the fields, and return at once. Any thread may call it.

        What goes wrong stands in the form and as ``form.error``. While a start is under way, this does nothing.
        """
        self.submission.begin()

    def settled(self, timeout: float | None = None) -> bool:
        """Wait until the start is made or refused; return whether it is."""
        return self.submission.over.wait(timeout)

    def as_cell(self) -> str:
        """Return the text of the cell that sends the same as the form.

        A secret is taken from a variable of the input's name, which the person binds in a cell before.

        Raises
        ------
        OrchestraInputError
            If a field does not hold what its input takes.
        OrchestraUsageError
            If no cell can say it.
        """
        word = as_cell.quoted(self._word or self.workflow.id) or as_cell.quoted(self.workflow.id)
        if word is None:
            raise OrchestraUsageError("The id of the workflow cannot stand on the line of a cell.")
        said, raw = self.values, self.raw
        if raw and any(isinstance(value, Secret) for value in said.values()):  # which needs a variable
            raw = False
            said = {
                name: value if isinstance(value, Secret) else variables.literal(value) for name, value in said.items()
            }
        options = {
            "run-id": "" if self.names["run_id"] == "run_id" else self.names["run_id"],
            "out": self.parts.out.value.strip(),
            "outputs": self.names["outputs"],
            "raw": raw,
            "strict": self.strict,
            "reuse": self.reuse,
            "dry-run": self.dry_run,
        }
        return as_cell.cell(word, said, options=options)

    def reset(self) -> None:
        """Bring back what stood in the fields first."""
        self.submission.checked = False
        for field in self.fields.values():
            field.reset()
        self.parts.tell("")
        self.parts.note_out("")

    def rows(self) -> list[tuple[str, str]]:
        """Return what stands in the fields for a saved notebook: label and text, no secret among them."""
        found = [(field.name, field.control.shown()) for field in self.fields.values()]
        return [(name[:200], secrecy.masked(text, self.submission.hidden)) for name, text in found if text]

    def fail(self, error: OrchestraError) -> None:
        """Let an error stand in the form, and as ``error``."""
        self.error = form_submit.masked(error, self.submission.hidden)
        self.parts.warn(f"{type(error).__name__}: {self.error}")

    def __await__(self) -> Generator[Any, None, Run]:
        return self._awaited().__await__()

    async def _awaited(self) -> Run:
        """Return the run, after a press of Run where there was none yet."""
        if self.started is None and not self.submission.under_way:
            _ask_whether_it_can_wait(self.shell)
        try:
            while self.started is None or self.submission.under_way:  # noqa: ASYNC110
                # Short sleeps: an interrupt reaches a coroutine only when its loop wakes.
                await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            raise OrchestraUsageError("Stopped waiting for the form. It can still be used.") from None
        return self.started

    def __repr__(self) -> str:
        return f"<Form of {line(self.workflow.name)}>"

    def _ipython_display_(self) -> None:
        # IPython takes NotImplementedError for "ask the mimebundle".
        if not hasattr(self.shell, "kernel"):
            raise NotImplementedError
        self.shown.display()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        # The view is for a live kernel; the rest is what a saved notebook shows later.
        return self.shown.bundle()


def form(
    orchestra: Orchestra,
    workflow: str | Workflow | None = None,
    inputs: Mapping[str, Any] | None = None,
    **options: Any,
) -> Form | Chooser:
    """Return a form for ``workflow`` in this notebook, or a choice of workflows where none is named.

    Raises
    ------
    OrchestraUsageError
        Where there is no notebook to show it in.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        name = workflow if isinstance(workflow, str) else workflow.name if workflow else "WORKFLOW"
        raise OrchestraUsageError(
            f"A form needs a notebook. Here, use `%%orchestra_execute {shlex.quote(name)}`"
            f" or orchestra.execute({name!r}, …)."
        )
    if workflow is None:
        from .chooser import Chooser  # only for those who do not know yet

        return Chooser(orchestra, shell, inputs, **options)
    word = workflow if isinstance(workflow, str) else None
    return Form(orchestra, orchestra.workflow(workflow), shell, inputs, word=word, **options)


def _inputs(workflow: Workflow) -> tuple[tuple[Input, ...], str]:
    """Return the inputs of a workflow, and why none are known where the earlier runs are out of reach."""
    try:
        return workflow.inputs, ""
    except OrchestraError as error:
        return workflow.named_inputs, f"The earlier runs cannot be asked for inputs: {error}"


def _ask_whether_it_can_wait(shell: InteractiveShell) -> None:
    """Raise where a press of Run would never come, or never be heard, while a cell awaits it."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None or not getattr(kernel, "_allow_stdin", True):  # papermill and nbconvert let nobody type
        raise OrchestraUsageError("Nobody can press Run here. Use `--run` or auto=True, or call form.submit().")
    kept = version("ipykernel")
    if int(kept.split(".")[0]) < 7:
        raise OrchestraUsageError(
            f"ipykernel {kept} hears no button while a cell waits. Press Run, and use form.run in the next cell."
        )
