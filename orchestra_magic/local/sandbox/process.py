"""The process of one program: start it, feed it, read it within its limits, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..patience import unless_all_ends
from ..values import plain
from .access import access, search_path
from .execution import Execution, Limits
from .pipes import Capture, Pipes
from .removal import remove

FOLDER = str(Path(__file__).parent)
"""Where the code of the sandbox itself lies."""
Isolation = Callable[[str], list[str]]
"""Gives the command that isolates a program with a folder of its own, up to and with the interpreter."""
_BOOT = "import sys; sys.path.insert(0, {!r}); import supervisor; sys.path.pop(0); supervisor.main({})"
_GRACE = 0.2
_PATIENCE = 1.0
_LONGEST = 10.0
_LARGE = 1 << 20
_log = logging.getLogger(__name__)


class Process:
    """One Python that waits for its program, in a group and a temporary folder of its own."""

    def __init__(
        self, process: asyncio.subprocess.Process, pipes: Pipes, folder: str, *, isolated: bool = False
    ) -> None:
        self._process = process
        self._pipes = pipes
        self._folder = folder
        self._isolated = isolated
        self.sandbox_id = f"sandbox-{secrets.token_hex(2)}"

    @classmethod
    async def start(cls, isolated: Isolation | None = None) -> Process:
        """Start one, and let it prepare itself."""
        folder = tempfile.mkdtemp(prefix="orchestra-code-")
        # Pipes of our own: asyncio would take a process for running as long as anybody holds one of its pipes.
        pipes: list[tuple[int, int]] = []
        environment = {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}
        if "TZ" in os.environ:
            environment["TZ"] = os.environ["TZ"]
        try:
            pipes.extend(os.pipe() for _ in range(3))
            output, errors, result = (write for _, write in pipes)
            process = await asyncio.create_subprocess_exec(
                *(isolated(folder) if isolated else [sys.executable]),
                *("-I", "-S", "-u", "-X", "utf8", "-c", _BOOT.format(FOLDER, result)),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=errors,
                cwd=folder,
                env=environment,
                start_new_session=True,
                pass_fds=(result,),
            )
        except BaseException:
            for read, _ in pipes:
                os.close(read)
            remove(folder)
            raise
        finally:
            for _, write in pipes:
                os.close(write)
        made = cls(process, Pipes([read for read, _ in pipes]), folder, isolated=isolated is not None)
        setup = {"path": search_path(), "access": None if isolated else access(folder)}
        made.send(setup)
        return made

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.returncode is not None

    def send(self, line: dict[str, Any]) -> None:
        """Write a line to the process. One that died is noticed when its pipes end."""
        stdin: Any = self._process.stdin
        with contextlib.suppress(ConnectionError):
            stdin.write(json.dumps(line).encode() + b"\n")

    async def run(self, code: str, values: dict[str, Any], limits: Limits) -> Execution:
        """Run ``code`` to its end or its time limit. A process does it once."""
        answered = self._pipes.read((limits.output, limits.output, limits.result))
        ended = asyncio.create_task(self._process.wait())
        either: set[asyncio.Future[Any]] = {answered, ended}
        self.send({"code": code, "values": values, "limits": limits.for_child()})
        try:
            await asyncio.wait(either, timeout=limits.timeout, return_when=asyncio.FIRST_COMPLETED)
            late = not (answered.done() or ended.done())
        finally:
            ended.cancel()
            stdout, stderr, result = self._pipes.take()
        execution = Execution(stdout=stdout.text(), stderr=stderr.text(), sandbox_id=self.sandbox_id)
        if late:
            execution.stopped = f"the code ran longer than {limits.timeout:g} s and was ended"
        elif not await self._read_result(result, execution):
            if not await self._ends_within(_GRACE):
                self.terminate()
                await self._ends_within(_PATIENCE)
            await unless_all_ends(self._status)
            execution.stopped = self._reason()
        return execution

    async def _read_result(self, result: Capture, execution: Execution) -> bool:
        """Take what the program sent for data, and tell whether it was a result."""
        if result.dropped:
            execution.stopped = f"the result is larger than {result.limit} bytes; return less"
            return True
        try:
            # What is large is read in a thread: others wait for this one.
            large = len(result.data) > _LARGE
            outcome = await asyncio.to_thread(_read, result.data) if large else _read(result.data)
            execution.results = outcome["results"]
            execution.error = str(outcome["error"])
            execution.stderr += str(outcome.get("note", ""))
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        return True

    @property
    def _status(self) -> int | None:
        """What the process ended with, below zero for a signal; None if it has not."""
        code = self._process.returncode
        # Of a signal, bubblewrap makes a status as shells do.
        signalled = self._isolated and code is not None and code - 128 in signal.valid_signals()
        return 128 - code if signalled and code is not None else code

    def _reason(self) -> str:
        code = self._status
        if code is None:
            return "the code ended its process before it had a result"
        if code >= 0:
            return f"the code ended its process (exit status {code}) before it had a result"
        with contextlib.suppress(ValueError):
            return f"the process of the code was ended by {signal.Signals(-code).name}"
        return f"the process of the code was ended by signal {-code}"

    def terminate(self) -> None:
        """Have the supervisor end the program and all its descendants."""
        if not self.ended:
            # Not by asyncio's own method: it may reap the process, and whoever waits for it is left puzzled.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)
                # Where signals are not held, the program may have stopped it.
                os.kill(self._process.pid, signal.SIGCONT)

    async def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)
        return self.ended

    async def end(self) -> None:
        """End what is left, and remove the folder."""
        self.terminate()
        over = await self._ends_within(_LONGEST)
        self._pipes.close()
        if over or sys.platform != "linux":
            # The group outlives its leader as long as it has members, and its number is not given away before.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await asyncio.get_running_loop().run_in_executor(None, remove, self._folder)
        else:
            # Without its supervisor, what is left would belong to nobody.
            _log.warning("the processes of a code node take long to end; process %d goes on with it", self._process.pid)


def _read(data: bytearray) -> dict[str, Any]:
    outcome = json.loads(bytes(data))
    return {**outcome, "results": plain(outcome["results"])}
