"""One thread that follows every watched run, however many there are.

It sleeps until the next run is due. A look that fails in passing keeps the last state and is repeated; a
refusal ends the watch, and ``run.trouble`` says why.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import OrchestraError
from . import schedule
from .run import Run

log = logging.getLogger("orchestra_magic")

Callback = Callable[[Run], None]


@dataclass
class Watch:
    """One run that is followed for one onlooker."""

    run: Run
    callback: Callback
    since: float = field(default_factory=time.monotonic)
    due: float = 0.0
    pace: schedule.Pace = field(default_factory=schedule.Pace)


class Watcher:
    """Follows runs in one daemon thread, which lives while there is a run to follow."""

    def __init__(self) -> None:
        self._watches: list[Watch] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

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
                if self._thread is not threading.current_thread():
                    return  # stopped, and maybe followed by another
                if not self._watches:
                    self._thread = None
                    return
                now = time.monotonic()
                due = [watch for watch in self._watches if watch.due <= now]
                if not due:
                    self._changed.wait(min(watch.due for watch in self._watches) - now)
                    continue
            for watch in due:
                self._look(watch)

    def _look(self, watch: Watch) -> None:
        run, failure = watch.run, None
        try:
            if not run.latest.finished:
                run.look()
        except OrchestraError as error:
            failure = error
        watch.pace.age = time.monotonic() - watch.since
        watch.due = time.monotonic() + watch.pace.after(failure)
        run.trouble = None if failure is None else str(failure)
        over = run.latest.finished or (failure is not None and not schedule.passing(failure))
        if over:
            run.remember()
            self._drop(watch)
        elif failure is None:
            run.follow_steps()
        try:
            watch.callback(run)
        except Exception:
            log.exception("an onlooker of run %s failed", run.short_id)
            self._drop(watch)


watcher = Watcher()
