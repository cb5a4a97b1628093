"""A start, from inputs to a run: journaled before and after, sent once, reconciled if its answer is lost."""

from __future__ import annotations

import contextlib
import uuid
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
        self._session: dict[tuple[str, str], str] = {}

    def start(self, workflow_id: str, inputs: Mapping[str, Any], *, reuse: bool) -> Run:
        """Start a run, or with ``reuse`` take an earlier one with the same inputs where there is one."""
        digest = journal.digest(inputs)
        alike = (workflow_id, digest)
        if reuse and (earlier := self._earlier(*alike)):
            return earlier
        twin = self._session.get(alike)
        run = self._sent(workflow_id, inputs, digest)
        if twin is not None and not run.note:
            run.note = f"Run {twin[:8]} of this session had the same inputs; --reuse would have taken it."
        self._session[alike] = run.id
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
        """Return the newest run of the journal with these inputs that is completed or still going on."""
        orchestra = self._orchestra
        for entry in reversed(journal.entries()):
            alike = (entry.base_url, entry.workflow_id, entry.digest) == (orchestra.base_url, workflow_id, digest)
            if alike and entry.run_id is not None:
                run = Run(orchestra, entry.run_id, workflow_id)
                with contextlib.suppress(NotFound):  # the server may have forgotten it
                    state = run.refresh().latest
                    if state.succeeded or not state.finished:
                        run.note = f"Taken instead of a new run: it was started at {entry.sent_at:%Y-%m-%d %H:%M} UTC."
                        return run
        return None


def _run_id(data: Any) -> str | None:
    """Return the run id of an answer to a start, None where there is none that a run can be asked for by."""
    said = data.get("run_id") if isinstance(data, Mapping) else None
    if isinstance(said, int) and not isinstance(said, bool):
        return str(said)
    if not isinstance(said, str) or said in {"", ".", ".."}:
        return None
    return said if len(said) <= 200 and said.isprintable() else None
