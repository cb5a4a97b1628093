"""A process that answers questions, one at a time: it starts with the first, and ends when none came for a while.

Models need much memory and are written in C++: in a process of their own they take nothing from the server while
nobody asks, and one that dies takes nobody along.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from typing import Any

from ..patience import unless_all_ends
from ..values import dumps, loads

IDLE_SECONDS = 300.0
_LONGEST_LINE = 64 << 20


class ModelProcessError(Exception):
    """There is no answer. The message says why."""


class ModelProcess:
    """A Python process that runs ``module``, and answers each line on its standard input by one.

    Parameters
    ----------
    module, arguments : str
        What to run. It reads and writes JSON objects, a line each; one with ``failed`` says why there is no answer.
    idle : float
        Seconds without a question after which it ends.
    """

    def __init__(self, module: str, *arguments: str, idle: float = IDLE_SECONDS) -> None:
        self._command = (sys.executable, "-m", module, *arguments)
        self._idle = idle
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer. Who stops waiting for it stops the process too.

        Raises
        ------
        ModelProcessError
            If there is none.
        """
        async with self._turn:
            self._rest(None)
            try:
                answer = await self._ask(question)
            except BaseException:
                await self._end()
                raise
            self._rest(self._idle)
        if "failed" in answer:
            raise ModelProcessError(str(answer["failed"]))
        return answer

    async def close(self) -> None:
        """End the process."""
        self._rest(None)
        await self._end()

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment(),
                limit=_LONGEST_LINE,
                start_new_session=True,
            )
        stdin: Any = self._process.stdin
        stdout: Any = self._process.stdout
        with suppress(ConnectionError):
            stdin.write(dumps(question).encode() + b"\n")
            await stdin.drain()
        line = await stdout.readline()
        if not line.endswith(b"\n"):
            code = await self._process.wait()
            await unless_all_ends(code)
            raise ModelProcessError(f"the process of the model died (exit status {code})")
        answer: dict[str, Any] = loads(line)
        return answer

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    def _rest(self, seconds: float | None) -> None:
        """Let the process end after ``seconds``, or stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._stop)

    def _stop(self) -> None:
        # At the end of what it reads it ends by itself.
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()


def environment() -> dict[str, str]:
    """Return the environment of a process that needs no key of ours: one without the server's settings and secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_")}
