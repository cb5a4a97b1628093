"""A server that nobody uses any more stops by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

DEFAULT_HOURS = 8.0
_SHORTEST_LOOK = 0.05
_LONGEST_LOOK = 60.0


class Idle:
    """Counts the time since the last request or run.

    Parameters
    ----------
    seconds : float
        After how long without either the server stops; 0 for never.
    active : Callable[[], int]
        Says how many runs are under way.
    """

    def __init__(self, seconds: float, active: Callable[[], int]) -> None:
        self._seconds = seconds
        self._active = active
        self._last = time.monotonic()

    def touch(self) -> None:
        """Note that the server is used."""
        self._last = time.monotonic()

    async def over(self) -> None:
        """Return when the time is over; with no limit, never."""
        while self._seconds:
            if self._active():
                self.touch()
            left = self._last + self._seconds - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(max(left, _SHORTEST_LOOK), _LONGEST_LOOK))
        await asyncio.Event().wait()
