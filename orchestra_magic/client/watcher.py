"""One thread that follows every watched run, however many there are.

It sleeps until the next run is due. Runs of one workflow that are due about then are refreshed with it, by one
request for the workflow's history; a run that is watched alone is followed closely, by a server that can. All its
requests share one budget, so that no number of runs makes it press a server. A look that fails in passing keeps
the last state and is repeated; a refusal ends the watch, and ``run.trouble`` says why.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..errors import OrchestraError
from . import schedule
from .run import Run

log = logging.getLogger("orchestra_magic")

Callback = Callable[[Run], None]

TOGETHER_SECONDS, TOGETHER_SHARE = 0.1, 0.2
"""How much sooner than due a run is looked at together with another, in seconds or as a share of its interval:
chance draws the intervals of runs of one age so far apart."""
HOLD_SECONDS = 2.0
"""How long the one watched run may hold the thread: a new one waits no longer for its first look."""
FEW = 5
"""The steps of so many runs of a workflow are fetched while they go on; of more, each run's at its end."""


@dataclass(eq=False)
class Watch:
    """One run that is followed for one onlooker."""

    run: Run
    callback: Callback
    since: float = field(default_factory=time.monotonic)
    due: float = 0.0
    soonest: float = 0.0
    pace: schedule.Pace = field(default_factory=schedule.Pace)


@dataclass
class Look:
    """What one look at a run came to."""

    failure: OrchestraError | None = None
    held: bool = False


class Watcher:
    """Follows runs in one daemon thread, which lives while there is a run to follow."""

    def __init__(self) -> None:
        self._watches: list[Watch] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._budget = schedule.Budget()

    def watch(self, run: Run, callback: Callback) -> Callable[[], None]:
        """Call ``callback(run)`` after every look at ``run`` until it is over; return what ends that earlier."""
        watch = Watch(run, callback)
        with self._changed:
            self._watches.append(watch)
            if self._thread is None:
                # ipykernel routes by context variables, and 7.0 kills a thread that displays without them
                context = contextvars.copy_context()
                self._thread = threading.Thread(
                    target=context.run, args=(self._work,), name="orchestra-watcher", daemon=True
                )
                self._thread.start()
            self._changed.notify()
        return lambda: self._drop(watch)

    def stop(self) -> None:
        """Drop all watches, and let the thread end."""
        with self._changed:
            self._watches.clear()
            self._changed.notify()
            thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5)

    def _drop(self, watch: Watch) -> None:
        with self._changed:
            if watch in self._watches:
                self._watches.remove(watch)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                if self._stopped():
                    return  # stopped, and maybe followed by another
                if not self._watches:
                    self._thread = None
                    return
                now = time.monotonic()
                groups = [group for group in _by_workflow(self._watches) if any(watch.due <= now for watch in group)]
                if not groups:
                    self._changed.wait(min(watch.due for watch in self._watches) - now)
                    continue
                alone = len(self._watches) == 1
            for group in groups:
                if not self._stopped():
                    self._look_safely(group, alone=alone)

    def _look_safely(self, group: list[Watch], *, alone: bool) -> None:
        """Look at runs of one workflow; an error that nobody foresaw ends their watch, and not that of all others."""
        try:
            self._look(group, alone=alone)
        except Exception as error:
            log.exception("runs of workflow %s are followed no longer", group[0].run.workflow_id)
            for watch in group:
                self._tell(watch, Look(OrchestraError(f"{type(error).__name__}: {error}")), steps=False)

    def _look(self, group: list[Watch], *, alone: bool) -> None:
        """Look at those of a workflow's runs that are due about now, and tell the onlookers of each."""
        onlookers: dict[int, list[Watch]] = {}
        now = time.monotonic()
        for watch in (watch for watch in group if watch.soonest <= now):
            onlookers.setdefault(id(watch.run), []).append(watch)
        runs = [watches[0].run for watches in onlookers.values()]
        few = len({watch.run for watch in group}) <= FEW
        open_runs = [run for run in runs if not run.latest.finished]
        looks = self._together(open_runs, [watch.run for watch in group]) if len(open_runs) > 1 else {}
        for run in runs:
            if self._stopped():
                return
            look = looks.get(run.id, Look())
            if run in open_runs and run.id not in looks:
                look = self._one(run, hold=_hold(group[0]) if alone else 0.0)
            for watch in onlookers[id(run)]:
                self._tell(watch, look, steps=few)

    def _one(self, run: Run, hold: float) -> Look:
        self._spend()
        try:
            return Look(held=run.look(hold))
        except OrchestraError as error:
            return Look(error)

    def _together(self, runs: list[Run], watched: list[Run]) -> dict[str, Look]:
        """Refresh runs of one workflow by its history; those that it does not show are looked at one by one.

        What it tells of the other runs that are watched is kept until they are due.
        """
        self._spend()
        first = runs[0]
        try:
            states = first.orchestra.states(first.workflow_id, limit=max(100, 2 * len(watched)))
        except OrchestraError as error:
            # A history that is refused says nothing of the runs themselves.
            return {run.id: Look(error) for run in runs} if schedule.passing(error) else {}
        found = {state.id: state for state in states}
        for run in watched:
            if run.id in found:
                run.learn(found[run.id])
        return {run.id: Look() for run in runs if run.id in found}

    def _spend(self) -> None:
        """Wait until the budget has a request to spare, or the watcher is stopped."""
        pause = self._budget.take(time.monotonic())
        if pause > 0:
            with self._changed:
                self._changed.wait_for(self._stopped, pause)

    def _stopped(self) -> bool:
        return self._thread is not threading.current_thread()

    def _tell(self, watch: Watch, look: Look, *, steps: bool) -> None:
        """Note what a look came to, and tell the one who watches."""
        run, failure = watch.run, look.failure
        run.note_look(failure)
        watch.pace.age = time.monotonic() - watch.since
        pause = watch.pace.after(failure)
        watch.due = time.monotonic() + (0.0 if look.held else pause)
        # What asked for time to recover gets all of it.
        watch.soonest = watch.due - (max(TOGETHER_SECONDS, TOGETHER_SHARE * pause) if failure is None else 0.0)
        over = run.latest.finished or run.refusal is not None
        if failure is None and (over or steps):
            if run.steps_may_differ:
                self._spend()
            run.remember() if over else run.follow_steps()
        if over:
            self._drop(watch)
        try:
            watch.callback(run)
        except Exception:
            log.exception("an onlooker of run %s failed", run.short_id)
            self._drop(watch)


def _by_workflow(watches: Iterable[Watch]) -> Iterable[list[Watch]]:
    groups: dict[tuple[int, str], list[Watch]] = {}
    for watch in watches:
        groups.setdefault((id(watch.run.orchestra), watch.run.workflow_id), []).append(watch)
    return groups.values()


def _hold(watch: Watch) -> float:
    """Return the seconds that a server may hold its answer about the one watched run."""
    return min(HOLD_SECONDS, schedule.interval(time.monotonic() - watch.since))


watcher = Watcher()
