"""The handle of a run: the same object from the magic, the form and the functions, now or a week later."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..errors import NotFound, OrchestraConnectionError, OrchestraError
from . import api, records, schedule, secrecy, waiting
from .listing import Steps
from .records import RunState, Step
from .tabular import tabular

if TYPE_CHECKING:
    from .orchestra import Orchestra

FRESH_SECONDS = 1.0
"""``run.status`` of a run that goes on is never older than this, so that a loop over it ends."""


class Run:
    """One run of a workflow.

    Made by :meth:`Orchestra.execute <orchestra_magic.client.orchestra.Orchestra.execute>`, and again at any
    time by :meth:`Orchestra.run <orchestra_magic.client.orchestra.Orchestra.run>`. What the server knows of
    it is loaded when it is first asked for, and looked up anew while the run goes on.

    Attributes
    ----------
    id, workflow_id : str
    note : str
        How this handle came about, where that was unusual.
    trouble : str or None
        Why the last look failed, where it did, and since when what is known may be old.
    refusal : OrchestraError or None
        Why the run is followed no longer, where the server refused to tell of it.
    stopped : OrchestraError or None
        Why waiting is of no use, where the server was stopped on purpose. The run is looked for again.

    Examples
    --------
    >>> run = orchestra.execute("workflow-id", {"prompt": "hello"})  # doctest: +SKIP
    >>> run.wait().outputs  # doctest: +SKIP
    'Hello! How can I help?'
    """

    def __init__(
        self,
        orchestra: Orchestra,
        run_id: str,
        workflow_id: str,
        *,
        state: RunState | None = None,
        just_started: bool = False,
        note: str = "",
    ) -> None:
        self.id = run_id
        self.workflow_id = workflow_id
        self.note = note
        self.trouble: str | None = None
        self.refusal: OrchestraError | None = None
        self.stopped: OrchestraError | None = None
        self.orchestra = orchestra
        self._state = state
        self._looked = time.monotonic() if state and not just_started else float("-inf")
        self._seen_at = datetime.now(timezone.utc) if state else None
        self._born = time.monotonic() if just_started else None
        self._etag: str | None = None
        self._steps: list[Step] | None = None
        self._steps_final = False
        self._steps_etag: str | None = None
        self._hushed: Callable[[], bool] | None = None
        self._hidden: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    @property
    def short_id(self) -> str:
        """The first 8 characters of the id."""
        return self.id[:8]

    @property
    def known_steps(self) -> list[Step] | None:
        """The steps as last fetched, without asking the server."""
        return self._steps

    @property
    def age(self) -> float | None:
        """Seconds since this process started the run, None where another did."""
        return None if self._born is None else time.monotonic() - self._born

    @property
    def seen_at(self) -> datetime | None:
        """When the server was last heard of this run, None where it was not yet."""
        return self._seen_at

    @property
    def latest(self) -> RunState:
        """What is known without asking the server."""
        return self._state or RunState(self.id, "unknown")

    @property
    def hidden(self) -> frozenset[str]:
        """The texts of secret inputs, as far as they are known: no view shows them."""
        if names := self.orchestra.secret_inputs(self.workflow_id):
            self._hidden |= secrecy.texts(self.latest.inputs.get(name) for name in names)
        return self._hidden

    @property
    def state(self) -> RunState:
        """What the server knows, at most a second old while the run goes on.

        Raises
        ------
        NotFound, OrchestraAuthError, OrchestraConnectionError, ServerError
        """
        if not self.fresh:
            self.refresh()
        return self.latest

    @property
    def fresh(self) -> bool:
        """Whether another look would tell nothing new: the run is over, or was looked at within a second."""
        return self.latest.finished or time.monotonic() - self._looked <= FRESH_SECONDS

    @property
    def status(self) -> str:
        """The status in lower case, as the server has it."""
        return self.state.status

    @property
    def finished(self) -> bool:
        """Whether the run is over."""
        return self.state.finished

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What the run was started with."""
        return self.state.inputs

    @property
    def outputs(self) -> Any:
        """The output that the workflow selects: any JSON value. Lists of objects have ``.to_frame()``."""
        return tabular(self.state.outputs)

    @property
    def all_outputs(self) -> Mapping[str, Any]:
        """Every node's output, and the inputs. Lists of objects have ``.to_frame()``."""
        found: Mapping[str, Any] = tabular(self.state.all_outputs)
        return found

    @property
    def error(self) -> str | None:
        """What the server says went wrong."""
        return self.state.error

    @property
    def started_at(self) -> datetime | None:
        """When the run began, in UTC, by the server's clock."""
        return self.state.started_at

    @property
    def ended_at(self) -> datetime | None:
        """When the run ended, in UTC, by the server's clock."""
        return self.state.ended_at

    @property
    def duration(self) -> float | None:
        """Seconds from start to end, None while the run goes on."""
        return self.state.duration

    def steps(self, *, patience: float | None = None) -> list[Step]:
        """Return the nodes that ran so far, in the order in which they began.

        Parameters
        ----------
        patience : float, optional
            Seconds to wait for the server at most.

        Raises
        ------
        NotFound, OrchestraAuthError, OrchestraConnectionError, ServerError
        """
        if self._steps is not None and self._steps_final:
            return self._steps
        over, etag = self.latest.finished, self._etag
        found = Steps(records.steps(self.orchestra.ask(api.steps(self.workflow_id, self.id), patience=patience).data))
        found.run = self
        self._steps, self._steps_final, self._steps_etag = found, over, etag
        return found

    @property
    def steps_may_differ(self) -> bool:
        """Whether the steps may have changed since they were fetched: a server's ETag stands for run and steps."""
        if self.latest.finished or self._steps_final:
            return not self._steps_final
        return self._steps is None or self._etag is None or self._etag != self._steps_etag

    def follow_steps(self) -> None:
        """Fetch the steps if they may have changed since."""
        if self.steps_may_differ:
            with contextlib.suppress(OrchestraError):  # the next look may have them
                self.steps()
        self.recognise()

    def refresh(self) -> Run:
        """Ask the server for the state now, and return this run."""
        self.look()
        return self

    def look(self, hold: float = 0.0, *, patience: float | None = None) -> bool:
        """Ask for the state once; a server that can holds its answer up to ``hold`` s until something changes.

        Returns whether the server did hold it, so that the next look need not wait.
        """
        request = api.run(self.workflow_id, self.id, wait=hold, etag=self._etag)
        try:
            answer = self.orchestra.ask(request, patience=patience)
        except NotFound:
            if self._born is None or time.monotonic() - self._born > schedule.GRACE:
                raise
            self._looked = time.monotonic()
            return False
        self.note_look(None)
        state = records.run_state(answer.data, self.id) if answer.status != 304 else None
        with self._lock:
            self._looked = time.monotonic()
            # A run does not come back to life: an answer that was long under way must not undo its end.
            if state is not None and not self.latest.finished:
                self._state = state
                self._etag = answer.headers.get("etag")
        return "preference-applied" in answer.headers

    def learn(self, state: RunState) -> None:
        """Take a state that came another way, such as by a history of many runs."""
        self.note_look(None)
        with self._lock:
            self._looked = time.monotonic()
            if not self.latest.finished:
                self._state = state
                self._etag = None  # it came without one: whether the steps are still the same is not known

    def note_look(self, failure: OrchestraError | None) -> None:
        """Note how a look went (None: well), for the card."""
        self.stopped = failure if isinstance(failure, OrchestraConnectionError) and failure.stopped else None
        if failure is None:
            self.trouble = self.refusal = None
            self._seen_at = datetime.now(timezone.utc)
        elif self.latest.finished:  # nothing that may be old; its steps are not to be had
            self.trouble = str(failure)
        elif schedule.passing(failure):
            since = f"Not current since {self._seen_at:%H:%M:%S} UTC" if self._seen_at else "Not known yet"
            self.trouble = f"{since}; it is looked for again. {failure}"
        else:
            self.refusal, self.trouble = failure, f"Followed no longer. {failure}"

    def wait(
        self, timeout: float | None = None, *, check: bool = True, told: Callable[[Run], object] | None = None
    ) -> Run:
        """Wait until the run is over, and return it.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.
        check : bool
            Raise if the run did not go well.
        told : Callable, optional
            Called with the run after every look, in this thread, with the steps so far at hand.

        Raises
        ------
        RunFailed
            If it ended as failed or cancelled, unless ``check=False``.
        RunTimeout
            If it is not over after ``timeout`` seconds. It goes on.
        RunDetached
            If the wait is interrupted. It goes on.
        NotFound, OrchestraAuthError
            If the server does not know the run, or refuses the key.
        OrchestraConnectionError
            If it is the embedded Orchestra, and was stopped on purpose.
        """
        waiting.wait(self, timeout, told)
        return self.checked() if check else self

    def remember(self) -> None:
        """Fetch steps and picture of a run that is over, so that looking at it later costs nothing."""
        with contextlib.suppress(OrchestraError):  # the card can do without
            self.steps()
        self.recognise()

    def recognise(self) -> None:
        """Have the workflow's name and graph at hand, for the card."""
        if self.orchestra.known(self.workflow_id) is None:
            self.orchestra.glance()

    def checked(self) -> Run:
        """Return this run, or raise :class:`~orchestra_magic.RunFailed` if it is over and did not go well."""
        waiting.check(self)
        return self

    @property
    def reattach(self) -> str:
        """The line that gives this run again, in any notebook."""
        return f"%orchestra_run {self.id} --workflow {self.workflow_id}"

    def cancel(self) -> Run:
        """Ask the server to stop the run.

        Raises
        ------
        OrchestraUsageError
            If the server has no way to cancel.
        """
        self.orchestra.cancel(self)
        self._looked = float("-inf")
        return self

    def on_change(self, callback: Callable[[Run], None]) -> Callable[[], None]:
        """Call ``callback`` from the watcher's thread after every look; return what ends that."""
        from .watcher import watcher  # no thread before it is needed

        return watcher.watch(self, callback)

    def __await__(self) -> Generator[Any, None, Run]:
        return self._over().__await__()

    async def _over(self) -> Run:
        await waiting.wait_async(self)
        return self.checked()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and (other.id, other.workflow_id) == (self.id, self.workflow_id)

    def __hash__(self) -> int:
        return hash((self.id, self.workflow_id))

    def __repr__(self) -> str:
        from ..views.words import clean

        return clean(f"<Run {self.short_id} {self.latest.status}>")

    def hush(self, during: Callable[[], bool]) -> None:
        """Skip the next display of this run if ``during()`` holds then: it stands there already."""
        self._hushed = during

    def _ipython_display_(self) -> None:
        # IPython takes NotImplementedError for "ask the mimebundle", and anything else for "shown".
        hushed, self._hushed = self._hushed, None
        if hushed is None or not hushed():
            raise NotImplementedError

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from ..views import card  # drawn only when looked at
        from .snapshot import snapshot

        seen = snapshot(self)
        return {"text/plain": card.text(seen), "text/html": card.html(seen)}
