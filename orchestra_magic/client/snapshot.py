"""All that a card shows of a run, gathered with at most one short look at the server."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import OrchestraError
from . import secrecy
from .records import RunState, Step

if TYPE_CHECKING:
    from .run import Run

LOOK_SECONDS = 1.0
"""How long what is displayed may wait for a server."""


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment, complete by itself.

    ``graph`` is empty where it is not known; ``note`` and ``trouble`` are sentences or empty: with trouble, what
    is known of a run that goes on may be old. ``as_of`` is when the server last said so, by this computer's clock.
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
    as_of: datetime | None = None


def snapshot(run: Run, *, look: bool = True) -> Snapshot:
    """Return what is known of ``run``; with ``look`` after a second at most with the server.

    A server that does not answer leaves a mark and no error: what is shown must not fail.
    """
    late = look and not _looked(run)
    trouble = run.trouble or ("The server did not answer within a second." if late else "")
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
        as_of=run.seen_at,
    )


def _looked(run: Run) -> bool:
    """Have state, steps and picture at hand as far as a second allows; return whether that sufficed.

    In a thread, since no timeout of a connection bounds the look-up of a name or of a key. What comes later is
    there for the next display.
    """
    if run.latest.finished and not run.steps_may_differ and run.orchestra.known(run.workflow_id) is not None:
        return True
    look = threading.Thread(
        target=contextvars.copy_context().run, args=(_look, run), name="orchestra-look", daemon=True
    )
    with contextlib.suppress(RuntimeError):  # where there are no threads, there is what is known
        look.start()
        look.join(LOOK_SECONDS)
    return not look.is_alive()


def _look(run: Run) -> None:
    try:
        if not run.fresh:
            run.look(patience=LOOK_SECONDS)
        if run.steps_may_differ:
            run.steps(patience=LOOK_SECONDS)
    except OrchestraError as error:
        run.note_look(error)
    run.recognise()
