"""All that a card shows of a run, gathered with at most one short look at the server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import OrchestraError
from . import secrecy
from .records import RunState, Step

if TYPE_CHECKING:
    from .run import Run

LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment, complete by itself.

    ``graph`` is empty where it is not known; ``note`` and ``trouble`` are sentences or empty.
    """

    state: RunState
    workflow_id: str
    workflow_name: str
    steps: tuple[Step, ...]
    graph: Mapping[str, Any]
    reattach: str
    age: float | None = None
    note: str = ""
    trouble: str = ""


def snapshot(run: Run, *, look: bool = True) -> Snapshot:
    """Return what is known of ``run``; with ``look`` after a second at most with the server.

    A server that does not answer leaves a mark and no error: what is shown must not fail.
    """
    trouble = (_looked(run) if look else "") or run.trouble or ""
    workflow = run.orchestra.known(run.workflow_id)
    hidden = run.hidden
    return Snapshot(
        state=secrecy.state(run.latest, hidden),
        workflow_id=run.workflow_id,
        workflow_name=workflow.name if workflow else "",
        steps=tuple(secrecy.step(step, hidden) for step in run.known_steps or ()),
        graph=workflow.graph if workflow else {},
        reattach=run.reattach,
        age=run.age,
        note=run.note,
        trouble=secrecy.masked(trouble, hidden),
    )


def _looked(run: Run) -> str:
    """Ask for the state and the steps as far as they are not known, and return what went wrong."""
    deadline = time.monotonic() + LOOK_SECONDS
    try:
        if not run.latest.finished:
            run.look(patience=LOOK_SECONDS)
        run.steps(patience=max(0.05, deadline - time.monotonic()))
        if time.monotonic() < deadline:
            run.recognise()
    except OrchestraError as error:
        return str(error)
    return ""
