"""A start, from inputs to a run: journaled before and after, sent once, reconciled if its answer is lost."""

from __future__ import annotations

import contextlib
import uuid
import weakref
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..errors import NotFound, OrchestraError, RunUnconfirmed
from . import api, journal
from .answers import AnswerLostError
from .reconcile import reconcile
from .records import RunState
from .run import Run

if TYPE_CHECKING:
    from .orchestra import Orchestra


class Starter:
    """Starts runs for one :class:`Orchestra`, and remembers those of this session."""

    def __init__(self, orchestra: Orchestra) -> None:
        self._orchestra = orchestra
        # Weakly: a run holds its outputs, and a session may start thousands.
        self._session: dict[tuple[str, str], tuple[str, datetime, weakref.ref[Run]]] = {}

    def start(self, workflow_id: str, inputs: Mapping[str, Any], *, reuse: bool) -> Run:
        """Start a run, or with ``reuse`` take an earlier one with the same inputs where there is one."""
        digest = journal.digest(inputs)
        alike = (workflow_id, digest)
        if reuse and (earlier := self._earlier(*alike)):
            return earlier
        twin, begun = self._session.get(alike), datetime.now(timezone.utc)
        run = self._sent(workflow_id, inputs, digest)
        if twin is not None and not run.note:
            run.note = self._twin(workflow_id, *twin)
        self._session[alike] = (run.id, begun, weakref.ref(run))
        return run

    def _sent(self, workflow_id: str, inputs: Mapping[str, Any], digest: str) -> Run:
        """Send one start, and journal what became of it."""
        from . import transport  # requests is loaded when something is sent

        orchestra, key = self._orchestra, str(uuid.uuid4())
        endpoint = orchestra.endpoint()
        journal.intended(key, base_url=orchestra.base_url, workflow_id=workflow_id, digest=digest)
        sent_at = datetime.now(timezone.utc)
        try:
            answer = transport.send(api.execute(workflow_id, inputs, idempotency_key=key), endpoint)
        except AnswerLostError as lost:
            why = str(lost)
        except OrchestraError:
            journal.dropped(key)
            raise
        except KeyboardInterrupt:
            journal.lost(key)
            raise RunUnconfirmed(
                "Interrupted while the run was being started: it may go on. `orchestra.reconcile(error)` looks for it.",
                workflow_id=workflow_id,
                inputs=inputs,
                sent_at=sent_at,
                key=key,
            ) from None
        else:
            run_id = _run_id(answer.data)
            if run_id is not None:
                journal.started(key, run_id)
                state = RunState(run_id, "queued", inputs=inputs)
                return Run(orchestra, run_id, workflow_id, state=state, just_started=True)
            why = "The server answered without a run id."
        return reconcile(orchestra, workflow_id, inputs, key=key, sent_at=sent_at, why=why, digest=digest)

    def _earlier(self, workflow_id: str, digest: str) -> Run | None:
        """Return the newest run of the journal with these inputs that is as good as a new one.

        It is completed or still going on, and the workflow was not updated since.
        """
        orchestra = self._orchestra
        wanted = (orchestra.base_url, workflow_id, digest)
        alike = [
            each for each in reversed(journal.entries()) if (each.base_url, each.workflow_id, each.digest) == wanted
        ]
        started = [(each.run_id, each.sent_at) for each in alike if each.run_id is not None]
        updated_at = self._updated_at(workflow_id) if started else None
        for run_id, sent_at in started:
            run = Run(orchestra, run_id, workflow_id)
            with contextlib.suppress(NotFound):  # the server may have forgotten it
                state = run.refresh().latest
                if (state.succeeded or not state.finished) and not _outdated(state, sent_at, updated_at):
                    doubt = "" if updated_at else "; the workflow may have changed since"
                    run.note = f"Taken instead of a new run: it was started at {sent_at:%Y-%m-%d %H:%M} UTC{doubt}."
                    return run
        return None

    def _updated_at(self, workflow_id: str) -> datetime | None:
        """Return when the workflow last changed, by a list that is fetched for this."""
        try:
            listed = self._orchestra.workflows()
        except NotFound:  # a server without a list
            return None
        return next((each.updated_at for each in listed if each.id == workflow_id), None)

    def _twin(self, workflow_id: str, run_id: str, begun: datetime, reference: weakref.ref[Run]) -> str:
        """Return what is to be said of an earlier run of this session with the same inputs, without asking for it."""
        said = f"Run {run_id[:8]} of this session had the same inputs"
        run, listed = reference(), self._orchestra.known(workflow_id)
        if run is None or listed is None or not run.fresh:
            return f"{said}."
        state = run.latest
        bad = state.finished and not state.succeeded
        return "" if bad or _outdated(state, begun, listed.updated_at) else f"{said}; --reuse would have taken it."


def _outdated(state: RunState, sent_at: datetime, updated_at: datetime | None) -> bool:
    """Whether a run may have begun before its workflow was last updated: the clocks of both sides may differ."""
    return updated_at is not None and min(sent_at, state.started_at or sent_at) <= updated_at


def _run_id(data: Any) -> str | None:
    """Return the run id of an answer to a start, None where there is none that a run can be asked for by."""
    said = data.get("run_id") if isinstance(data, Mapping) else None
    if isinstance(said, int) and not isinstance(said, bool):
        return str(said)
    if not isinstance(said, str) or said in {"", ".", ".."}:
        return None
    return said if len(said) <= 200 and said.isprintable() else None
