"""Runs programs, each where it is to run: in a process with limits, in one that is isolated, or in no Python at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable
from typing import Any

from ..patience import persistently
from . import bubblewrap, strict
from .access import network_allowed
from .execution import Execution, Limits, NotIsolatedError
from .process import FOLDER, Isolation, Process

SANDBOX = "ORCHESTRA_CODE_SANDBOX"
LOCAL, BWRAP, STRICT = "local", "bwrap", "strict"
SANDBOXES = (LOCAL, BWRAP, STRICT)
_AHEAD = 2
_UNUSABLE: dict[str, Callable[[], str | None]] = {BWRAP: bubblewrap.unusable, STRICT: strict.unusable}


def choose(asked: str | None = None, *, trusted: bool = True) -> str:
    """Return where a program runs: as its node asks, else as the server is set, else isolated if it is not trusted.

    Neither a node nor the setting can make it less than isolated for a program without trust, and no node for
    one on a server that is set to isolate.

    Raises
    ------
    NotIsolatedError
        If it is to be isolated and this computer cannot.
    """
    setting = os.environ.get(SANDBOX, "").strip().lower() or LOCAL
    if setting not in SANDBOXES:
        raise NotIsolatedError(f"{SANDBOX} is {setting!r}; it can be: {', '.join(SANDBOXES)}")
    for wanted in (asked, setting):
        if wanted in _UNUSABLE:
            reason = _UNUSABLE[wanted]()
            if reason:
                raise NotIsolatedError(f"this code cannot run isolated: {reason}")
            return wanted
    if trusted:
        return LOCAL
    reasons = {wanted: unusable() for wanted, unusable in _UNUSABLE.items()}
    usable = [wanted for wanted, reason in reasons.items() if not reason]
    if not usable:
        raise NotIsolatedError(f"this code cannot run isolated: {'; and '.join(str(one) for one in reasons.values())}")
    return usable[0]


class Sandbox:
    """Runs programs, each in a process of its own. Some processes wait ahead, so that most start at once.

    Parameters
    ----------
    at_once : int or None
        How many programs run at a time; more wait for their turn.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._turns = asyncio.Semaphore(at_once or max(16, 4 * (os.cpu_count() or 1)))
        self._ahead: deque[asyncio.Task[Process]] = deque()
        self._tidying: set[asyncio.Task[None]] = set()
        self._strict = strict.Strict()
        self._closed = False

    def prepare(self) -> None:
        """Start the processes that wait ahead."""
        while len(self._ahead) < _AHEAD and not self._closed:
            self._ahead.append(asyncio.create_task(Process.start()))

    async def run(
        self,
        code: str,
        values: dict[str, Any],
        limits: Limits | None = None,
        *,
        sandbox: str | None = None,
        trusted: bool = True,
    ) -> Execution:
        """Run ``code`` to its end, its time limit or the cancellation of this task.

        Parameters
        ----------
        code : str
            The program.
        values : dict
            The values of the references in it, by their paths.
        limits : Limits or None
            What it may use.
        sandbox : str or None
            Which of :data:`SANDBOXES` it asks for; see :func:`choose`.
        trusted : bool
            Whether limits are enough. Without trust it runs isolated, and without a network, or not at all.

        Raises
        ------
        NotIsolatedError
            If it is to be isolated and this computer cannot.
        """
        chosen = choose(sandbox, trusted=trusted)
        limits = limits or Limits()
        async with self._turns:
            if chosen == STRICT:
                return await self._strict.run(code, values, limits)
            isolation = _isolation(trusted=trusted) if chosen == BWRAP else None
            process = await persistently(lambda: self._take(isolation), "a code node")
            try:
                return await process.run(code, values, limits)
            finally:
                process.terminate()
                # What nobody waits for: the end of the process, its folder, and the next one to wait ahead.
                tidying = asyncio.create_task(self._tidy(process))
                self._tidying.add(tidying)
                tidying.add_done_callback(self._tidying.discard)

    async def close(self) -> None:
        """End every process."""
        self._closed = True
        while self._ahead:
            with contextlib.suppress(OSError):
                await (await self._ahead.popleft()).end()
        await asyncio.gather(*self._tidying)
        self._strict.close()

    async def _take(self, isolation: Isolation | None) -> Process:
        while self._ahead and not isolation:
            with contextlib.suppress(OSError):
                process = await self._ahead.popleft()
                if not process.ended:
                    return process
        return await Process.start(isolation)

    async def _tidy(self, process: Process) -> None:
        try:
            await process.end()
        finally:
            self.prepare()


def _isolation(*, trusted: bool) -> Isolation:
    network = trusted and network_allowed()
    return lambda folder: bubblewrap.command(folder, FOLDER, network=network)
