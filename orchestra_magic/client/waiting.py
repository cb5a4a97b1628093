"""Waiting for the end of a run: in a thread, or in a coroutine. To interrupt either is to detach; the run goes on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import OrchestraError, RunDetached, RunFailed, RunTimeout
from . import schedule, secrecy

if TYPE_CHECKING:
    from .run import Run

WAKE_SECONDS = 0.1
"""An interrupt reaches a coroutine only when its loop wakes."""


def wait(run: Run, timeout: float | None, told: Callable[[Run], object] | None) -> None:
    """Look at ``run`` in this thread until it is over; the rest as :meth:`Run.wait` has it."""
    try:
        _follow(run, timeout, told)
    except KeyboardInterrupt:
        raise RunDetached(_goes_on(run, "Stopped waiting"), run) from None


async def wait_async(run: Run) -> None:
    """Let the watcher follow ``run`` until it is over, or the server refuses to tell of it."""
    over = threading.Event()
    stop = run.on_change(lambda run: over.set() if run.latest.finished or _useless(run) else None)
    try:
        while not (over.is_set() or run.latest.finished):  # noqa: ASYNC110
            await asyncio.sleep(WAKE_SECONDS)
    except asyncio.CancelledError:
        raise RunDetached(_goes_on(run, "Stopped waiting"), run) from None
    finally:
        stop()
    useless = _useless(run)
    if useless is not None and not run.latest.finished:
        raise useless


def check(run: Run) -> None:
    """Raise :class:`RunFailed` if ``run`` is over and did not go well."""
    state = run.latest
    if state.finished and not state.succeeded:
        said = f": {state.error.rstrip('.')}." if state.error else "."
        look = f"`%orchestra_steps {run.id} --workflow {run.workflow_id}` shows each step."
        raise RunFailed(secrecy.masked(f"Run {run.short_id} ended as {state.status}{said} {look}", run.hidden), run)


def _follow(run: Run, timeout: float | None, told: Callable[[Run], object] | None) -> None:
    begun = time.monotonic()
    before = run.age or 0.0
    pace = schedule.Pace()
    hold = schedule.HOLD if told is None else schedule.HOLD_TOLD
    quiet = threading.Event()  # interruptible on every system, unlike time.sleep in a thread
    while not run.latest.finished:
        left = float("inf") if timeout is None else timeout - (time.monotonic() - begun)
        if left <= 0:
            raise RunTimeout(_goes_on(run, f"Not over after {timeout:g} s"), run)
        failure, held = None, False
        try:
            held = run.look(hold=min(hold, left))
        except OrchestraError as error:
            run.note_look(error)
            if _useless(run):
                raise
            failure = error
        pace.age = before + time.monotonic() - begun
        pause = pace.after(failure)
        if told is not None and not run.latest.finished:
            run.follow_steps()
            told(run)
        if not (held or run.latest.finished):
            quiet.wait(min(pause, max(0.0, left)))
    run.remember()
    if told is not None:
        told(run)


def _useless(run: Run) -> OrchestraError | None:
    return run.refusal or run.stopped


def _goes_on(run: Run, what: str) -> str:
    now = "is over" if run.latest.finished else "goes on"
    return f"{what}; run {run.short_id} {now}. Come back to it with `{run.reattach}`."
