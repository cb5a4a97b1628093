"""The outside of the sandbox: start a process, feed it, read it within its limits, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..values import plain
from . import bubblewrap
from .access import access, network_allowed, search_path

_FOLDER = str(Path(__file__).parent)
SANDBOX = "ORCHESTRA_CODE_SANDBOX"
_BOOT = "import sys; sys.path.insert(0, {!r}); import supervisor; sys.path.pop(0); supervisor.main({})"
_GRACE = 0.2
_PATIENCE = 1.0
_AHEAD = 2
_CHUNK = 1 << 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What one program may use: seconds, and bytes."""

    timeout: float = 60.0
    memory: int = 4 << 30
    file_size: int = 256 << 20
    output: int = 1 << 20
    result: int = 32 << 20

    def for_child(self) -> dict[str, int]:
        """Return the limits that the process puts on itself, by the names of ``resource``."""
        return {
            "RLIMIT_CORE": 0,
            "RLIMIT_AS": self.memory,
            "RLIMIT_FSIZE": self.file_size,
            "RLIMIT_CPU": int(self.timeout * (os.cpu_count() or 1)) + 1,
            "RLIMIT_NOFILE": 512,
            "RLIMIT_NPROC": 4096,
        }


class NotIsolatedError(Exception):
    """A program is to run isolated, and this computer cannot. The message says how it could."""


Isolation = Callable[[str], list[str]]
"""Gives the command that isolates a program with a folder of its own, up to and with the interpreter."""


def isolation(*, trusted: bool) -> Isolation:
    """Return what isolates a program. One without trust gets no network.

    Raises
    ------
    NotIsolatedError
        If there is nothing that does.
    """
    bwrap = bubblewrap.find()
    if bwrap is None:
        raise NotIsolatedError(
            "bubblewrap is not installed (the command bwrap, in the system package bubblewrap), "
            "so this code cannot run isolated"
        )
    network = trusted and network_allowed()
    return lambda folder: bubblewrap.command(bwrap, folder, _FOLDER, network=network)


@dataclass
class Execution:
    """What came of a program: ``error`` is its own traceback, ``stopped`` why it was ended from outside."""

    results: Any = None
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    stopped: str | None = None
    sandbox_id: str = ""


class Sandbox:
    """Runs programs, each in a process of its own. Some processes wait ahead, so that most start at once.

    Parameters
    ----------
    at_once : int or None
        How many programs run at a time; more wait for their turn.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._turns = asyncio.Semaphore(at_once or max(16, 4 * (os.cpu_count() or 1)))
        self._ahead: deque[asyncio.Task[_Process]] = deque()
        self._tidying: set[asyncio.Task[None]] = set()
        self._closed = False

    def prepare(self) -> None:
        """Start the processes that wait ahead."""
        while len(self._ahead) < _AHEAD and not self._closed:
            self._ahead.append(asyncio.create_task(_Process.start()))

    async def run(
        self, code: str, values: dict[str, Any], limits: Limits | None = None, *, trusted: bool = True
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
        trusted : bool
            Whether limits are enough. Without trust it runs isolated, or not at all.

        Raises
        ------
        NotIsolatedError
            If it is to be isolated and this computer cannot.
        """
        isolate = not trusted or os.environ.get(SANDBOX, "").strip().lower() == "bwrap"
        async with self._turns:
            process = await (_Process.start(isolation(trusted=trusted)) if isolate else self._take())
            try:
                return await process.run(code, values, limits or Limits())
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

    async def _take(self) -> _Process:
        while self._ahead:
            with contextlib.suppress(OSError):
                process = await self._ahead.popleft()
                if not process.ended:
                    return process
        return await _Process.start()

    async def _tidy(self, process: _Process) -> None:
        await process.end()
        self.prepare()


class _Process:
    """One Python that waits for its program, in a group and a temporary folder of its own."""

    def __init__(self, process: asyncio.subprocess.Process, pipes: list[int], folder: str) -> None:
        self._process = process
        self._pipes = pipes
        self._folder = folder
        self.isolated = False
        self.sandbox_id = f"sandbox-{secrets.token_hex(2)}"

    @classmethod
    async def start(cls, isolated: Isolation | None = None) -> _Process:
        folder = tempfile.mkdtemp(prefix="orchestra-code-")
        environment = {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}
        if "TZ" in os.environ:
            environment["TZ"] = os.environ["TZ"]
        # Pipes of our own: asyncio would take a process for running as long as anybody holds one of its pipes.
        pipes = [os.pipe() for _ in range(3)]
        output, errors, result = (write for _, write in pipes)
        try:
            process = await asyncio.create_subprocess_exec(
                *(isolated(folder) if isolated else [sys.executable]),
                *("-I", "-S", "-u", "-X", "utf8", "-c", _BOOT.format(_FOLDER, result)),
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
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            for _, write in pipes:
                os.close(write)
        made = cls(process, [read for read, _ in pipes], folder)
        made.isolated = isolated is not None
        return made

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def run(self, code: str, values: dict[str, Any], limits: Limits) -> Execution:
        request = {
            "code": code,
            "values": values,
            "limits": limits.for_child(),
            "path": search_path(),
            "access": None if self.isolated else access(self._folder),
        }
        sizes = (limits.output, limits.output, limits.result)
        streams = [_Capture(size) for size in sizes]
        readers = [asyncio.create_task(stream.drain(pipe)) for stream, pipe in zip(streams, self._pipes, strict=True)]
        self._pipes = []
        late = False
        everything = asyncio.create_task(asyncio.wait(readers))
        try:
            await asyncio.wait_for(self._serve(json.dumps(request).encode(), everything), limits.timeout)
        except asyncio.TimeoutError:
            late = True
            self.terminate()
        finally:
            everything.cancel()
            # A descendant that left the group may hold a pipe open: it is not waited for.
            _, waiting = await asyncio.wait(readers, timeout=_GRACE)
            for reader in waiting:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        stdout, stderr, result = streams
        execution = Execution(stdout=stdout.text(), stderr=stderr.text(), sandbox_id=self.sandbox_id)
        if late:
            execution.stopped = f"the code ran longer than {limits.timeout:g} s and was ended"
        elif not self._read_result(result, execution):
            await self._stop()
            execution.stopped = self._reason()
        return execution

    async def _serve(self, request: bytes, everything: asyncio.Task[Any]) -> None:
        """Feed the program, and return when it has let go of its pipes or its process has ended."""
        stdin: Any = self._process.stdin
        with contextlib.suppress(ConnectionError):
            stdin.write(request)
            await stdin.drain()
        stdin.close()
        ended = asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait({everything, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()

    def _read_result(self, result: _Capture, execution: Execution) -> bool:
        """Take what the program sent for data, and tell whether it was a result."""
        if result.dropped:
            execution.stopped = f"the result is larger than {result.limit} bytes; return less"
            return True
        try:
            outcome = json.loads(bytes(result.data))
            execution.results = plain(outcome["results"])
            execution.error = str(outcome["error"])
            execution.stderr += str(outcome.get("note", ""))
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        return True

    def _reason(self) -> str:
        code = self._process.returncode
        if code is None or code >= 0:
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

    async def _stop(self) -> None:
        """Return when the process has ended: by itself, by its supervisor, or, if that is slow, by force."""
        try:
            await asyncio.wait_for(asyncio.shield(self._process.wait()), _GRACE)
        except asyncio.TimeoutError:
            self.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _PATIENCE)
        except asyncio.TimeoutError:
            _log.warning("the process of a code node had to be ended by force")
        # The group outlives its leader as long as it has members, and its number is not given away before.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """End what is left, and remove the folder."""
        self.terminate()
        await self._stop()
        for pipe in self._pipes:
            os.close(pipe)
        self._pipes = []
        await asyncio.get_running_loop().run_in_executor(None, _remove, self._folder)


def _remove(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)


class _Capture:
    """Reads a stream to its end and keeps the first ``limit`` bytes: who writes more is never blocked."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.data = bytearray()
        self.dropped = 0

    async def drain(self, descriptor: int) -> None:
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", 0)
        )
        try:
            while chunk := await stream.read(_CHUNK):
                kept = chunk[: self.limit - len(self.data)]
                self.data += kept
                self.dropped += len(chunk) - len(kept)
        finally:
            transport.close()

    def text(self) -> str:
        shown = self.data.decode("utf-8", "replace")
        return f"{shown}\n… {self.dropped} bytes more were left out\n" if self.dropped else shown
