"""What became of a start whose answer was lost.

Execute is not idempotent, so the POST is never repeated. Instead the workflow's history is read for a new run
with equal inputs that began after the request: exactly one is adopted, none or several raise
:class:`~orchestra_magic.errors.RunUnconfirmed`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ..errors import OrchestraError, RunUnconfirmed
from . import api, journal, records
from .records import RunState
from .run import Run

if TYPE_CHECKING:
    from .orchestra import Orchestra

PAUSES = (0.0, 1.0, 2.0)
"""Seconds before each look: 0, 1 and 3 s after the loss."""
SLACK = timedelta(seconds=2)
"""``Date`` has whole seconds, and a run's start may be stamped by another machine."""


def reconcile(
    orchestra: Orchestra,
    workflow_id: str,
    inputs: Mapping[str, Any],
    *,
    key: str,
    sent_at: datetime,
    why: str,
) -> Run:
    """Return the run that a lost start became.

    Parameters
    ----------
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
    fitting: list[RunState] = []
    unread = ""
    for pause in PAUSES:
        time.sleep(pause)
        try:
            fitting = _fitting(orchestra, workflow_id, inputs, key, sent_at)
        except OrchestraError as error:
            unread = f" Its history cannot be read either: {error}"
            continue
        unread = ""
        if len(fitting) == 1:
            journal.started(key, fitting[0].id)
            note = "The answer to the start was lost; this run was found in the history by its inputs and time."
            return Run(orchestra, fitting[0].id, workflow_id, state=fitting[0], note=note)
    count = f"{len(fitting)} runs that may be it" if fitting else "no new run with these inputs"
    runs = [Run(orchestra, state.id, workflow_id, state=state) for state in fitting]
    raise RunUnconfirmed(
        f"It is not known whether the run was started. {why}{unread or f' The history shows {count}.'} "
        "`%orchestra_history " + workflow_id + "` shows it; `orchestra.reconcile(error)` looks once more. "
        "To run the cell again may start, and cost, a second run.",
        workflow_id=workflow_id,
        inputs=inputs,
        sent_at=sent_at,
        key=key,
        candidates=runs,
    )


def _fitting(
    orchestra: Orchestra, workflow_id: str, inputs: Mapping[str, Any], key: str, sent_at: datetime
) -> list[RunState]:
    """Return the runs of the history that may be the lost one."""
    asked = datetime.now(timezone.utc)
    answer = orchestra.ask(api.history(workflow_id, limit=100))
    states = records.run_states(answer.data)
    exact = [state for state in states if state.raw.get("idempotency_key") == key]
    if exact:
        return exact
    earliest = sent_at + _clock_difference(answer.headers, asked) - SLACK
    known = journal.run_ids()
    return [
        state
        for state in states
        if state.id not in known
        and (state.started_at is None or state.started_at >= earliest)
        and dict(state.inputs) == dict(inputs)
    ]


def _clock_difference(headers: Mapping[str, str], asked: datetime) -> timedelta:
    """Return how far the server's clock is ahead of ours."""
    try:
        return parsedate_to_datetime(headers["date"]) - asked
    except (KeyError, ValueError, TypeError):
        return timedelta(0)
