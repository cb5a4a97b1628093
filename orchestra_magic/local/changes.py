"""Who waits for runs, and is woken when one changes."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(eq=False)
class Listener:
    """Somebody who waits: for the end of a run, or for any change.

    ``change`` gives the row of a run that ended, where that is known, else None.
    """

    change: asyncio.Future[sqlite3.Row | None]
    to_the_end: bool


class Changes:
    """The listeners of every run."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

    @contextlib.contextmanager
    def listening(self, run_id: str, *, to_the_end: bool) -> Iterator[Listener]:
        """Hear of the next change of a run, or of its end alone."""
        listener = Listener(asyncio.get_running_loop().create_future(), to_the_end)
        self._listeners.setdefault(run_id, []).append(listener)
        try:
            yield listener
        finally:
            listeners = self._listeners.get(run_id, [])
            if listener in listeners:
                listeners.remove(listener)
            if not listeners:
                self._listeners.pop(run_id, None)

    def tell(self, run_id: str, row: sqlite3.Row | None = None, *, over: bool = False) -> None:
        """Wake those who wait for a change of a run, or for its end; ``row`` is how it ended, where that is known."""
        listeners = self._listeners.get(run_id, [])
        for listener in [one for one in listeners if over or not one.to_the_end]:
            listeners.remove(listener)
            if not listener.change.done():
                listener.change.set_result(row)

    def close(self) -> None:
        """Let everybody go."""
        for run_id in list(self._listeners):
            self.tell(run_id, over=True)
