"""What became of a start whose answer was lost.

Execute is not idempotent, so the POST is never repeated. Instead the workflow's history is read for a new run
with equal inputs that began after the request: exactly one is adopted, none or several raise
:class:`~orchestra_magic.errors.RunUnconfirmed`. A server that keeps idempotency keys makes it exact.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ..errors import OrchestraError, RunUnconfirmed
from . import api, journal, records
from .answers import Answer
from .records import RunState
from .run import Run

if TYPE_CHECKING:
    from .orchestra import Orchestra

PAUSES = (0.0, 1.0, 2.0)
"""Seconds before each look: 0, 1 and 3 s after the loss."""
LOOK_SECONDS = 10.0
"""How long one look may take: a server that has just failed may hang as well."""
SLACK = timedelta(seconds=2)
"""``Date`` has whole seconds, and a run's start may be stamped by another machine."""
IN_FLIGHT = timedelta(minutes=10)
"""How long a start that nobody called lost may still get its answer, in another thread or kernel."""
PAGE, PAGES = 100, 20
"""How many runs of a history are asked for at once, and how often."""


@dataclass(frozen=True)
class _Lost:
    """A start whose answer was lost; without ``inputs`` their digest has to do."""

    workflow_id: str
    inputs: Mapping[str, Any] | None
    digest: str
    key: str
    sent_at: datetime

    def equals(self, inputs: Mapping[str, Any]) -> bool:
        if self.inputs is not None:
            return dict(inputs) == dict(self.inputs)
        return journal.digest(inputs) == self.digest


@dataclass
class _Found:
    """What one look at the history came to.

    ``exact`` is the run that the server says it is; ``fitting`` are those that may be it, ``certain`` says that
    they are new, and that no other start can claim them yet.
    """

    exact: RunState | None = None
    fitting: tuple[RunState, ...] = ()
    certain: bool = True


def reconcile(
    orchestra: Orchestra,
    workflow_id: str,
    inputs: Mapping[str, Any] | None,
    *,
    key: str,
    sent_at: datetime,
    why: str,
    digest: str | None = None,
) -> Run:
    """Return the run that a lost start became.

    Parameters
    ----------
    inputs : Mapping or None
        What was sent; None where only its ``digest`` is known, from the journal.
    key : str
        The idempotency key that was sent. A server that knows it says which run it belongs to.
    sent_at : datetime
        When the request was sent, by this computer's clock.
    why : str
        What happened to the answer.

    Raises
    ------
    RunUnconfirmed
        If no run fits, or more than one.
    """
    lost = _Lost(workflow_id, inputs, digest or journal.digest(inputs or {}), key, sent_at)
    journal.lost(key)
    found, unread = _Found(), ""
    try:
        for pause in PAUSES:
            time.sleep(pause)
            try:
                found, unread = _look(orchestra, lost), ""
            except OrchestraError as error:
                unread = f" Its history cannot be read either: {error}"
                continue
            state = _adopted(lost, found)
            if state is not None:
                note = "The answer to the start was lost; this run was found in the history by its inputs and time."
                return Run(orchestra, state.id, workflow_id, state=state, note=note)
    except KeyboardInterrupt:
        why += " The search for it was interrupted."
    count = f"{len(found.fitting)} runs that may be it" if len(found.fitting) > 1 else "a run that may be it"
    shown = unread or f" The history shows {count if found.fitting else 'no new run with these inputs'}."
    raise RunUnconfirmed(
        f"It is not known whether the run was started. {why}{shown} "
        "`%orchestra_history " + workflow_id + "` shows it; `orchestra.reconcile(error)` looks once more. "
        "To run the cell again may start, and cost, a second run.",
        workflow_id=workflow_id,
        inputs={} if inputs is None else inputs,
        sent_at=sent_at,
        key=key,
        candidates=[Run(orchestra, state.id, workflow_id, state=state) for state in found.fitting],
    ) from None


def _adopted(lost: _Lost, found: _Found) -> RunState | None:
    """Return the run that is it, and note that in the journal."""
    if found.exact is not None:
        journal.started(lost.key, found.exact.id)
        return found.exact
    if len(found.fitting) == 1 and found.certain and journal.claim(lost.key, found.fitting[0].id):
        return found.fitting[0]
    return None


def _look(orchestra: Orchestra, lost: _Lost) -> _Found:
    """Look for the lost run once."""
    history = list(_recent(orchestra, lost))
    # Read after the history: a start of this computer that made one of its runs is noted by now.
    entries = journal.entries()
    others = {entry.run_id: entry.key for entry in entries if entry.run_id is not None}
    fitting: list[RunState] = []
    certain = True
    for state, possible_from, certain_from in history:
        if state.raw.get("idempotency_key") == lost.key or others.get(state.id) == lost.key:
            return _Found(exact=state)
        not_ours = "idempotency_key" in state.raw or state.id in others  # who shows keys has kept ours
        if not_ours or not lost.equals(state.inputs):
            continue
        if state.started_at is None or possible_from <= state.started_at < certain_from:
            fitting.append(state)  # as old as it may be, it may have been there before
            certain = False
        elif state.started_at >= certain_from:
            fitting.append(state)
    now = datetime.now(timezone.utc)
    rivals = [
        entry
        for entry in entries
        if entry.unconfirmed
        and not entry.lost
        and entry.key != lost.key
        and (entry.workflow_id, entry.digest) == (lost.workflow_id, lost.digest)
        and now - entry.sent_at < IN_FLIGHT
    ]
    return _Found(fitting=tuple(fitting), certain=certain and not rivals)


def _recent(orchestra: Orchestra, lost: _Lost) -> Iterator[tuple[RunState, datetime, datetime]]:
    """Yield the runs of the history back to the request: with the times from which they may be, and are, new."""
    seen: set[str] = set()
    for page in range(PAGES):
        before = datetime.now(timezone.utc)
        patience = min(LOOK_SECONDS, orchestra.endpoint(revive=False).read_timeout)
        answer = orchestra.ask(api.history(lost.workflow_id, limit=PAGE, offset=page * PAGE), patience=patience)
        possible, certain = _earliest(lost.sent_at, answer, before, datetime.now(timezone.utc))
        states = [state for state in records.run_states(answer.data) if state.id not in seen]
        seen |= {state.id for state in states}
        for state in states:
            yield state, possible, certain
        oldest = min((state.started_at for state in states if state.started_at is not None), default=None)
        if len(states) < PAGE or (oldest is not None and oldest < possible):
            return


def _earliest(sent_at: datetime, answer: Answer, before: datetime, after: datetime) -> tuple[datetime, datetime]:
    """Return from when on, by the server's clock, a run may be newer than the request, and from when it is.

    The server said its time at some moment between ``before`` and ``after``.
    """
    try:
        said = parsedate_to_datetime(answer.headers["date"])
        said += timedelta(seconds=float(answer.headers.get("age", 0)))  # of an answer that a proxy had kept
        return sent_at + (said - after) - SLACK, sent_at + (said - before) - SLACK
    except (KeyError, ValueError, TypeError, OverflowError):
        return sent_at - SLACK, sent_at - SLACK
