"""The outside of the sandbox: start a process, feed it, read it within its limits, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..values import plain

_FOLDER = str(Path(__file__).parent)
_BOOT = "import sys; sys.path.insert(0, {!r}); import child; sys.path.pop(0); child.main({})"
_GRACE = 0.2
_CHUNK = 1 << 16


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


@dataclass
class Execution:
    """What came of a program: ``error`` is its own traceback, ``stopped`` why it was ended from outside."""

    results: Any = None
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    stopped: str | None = None
    sandbox_id: str = ""


@dataclass
class Sandbox:
    """Runs programs, each in a process of its own. One process waits ahead, so that most start at once.

    Parameters
    ----------
    at_once : int
        How many programs run at a time; more wait for their turn.
    """

    at_once: int = field(default_factory=lambda: max(16, 4 * (os.cpu_count() or 1)))
    _spare: asyncio.Task[_Process] | None = None

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.at_once)

    async def run(self, code: str, values: dict[str, Any], limits: Limits | None = None) -> Execution:
        """Run ``code`` to its end, its time limit or the cancellation of this task.

        ``values`` are the values of the references in it, by their paths.
        """
        limits = limits or Limits()
        async with self._turns:
            process = await self._take()
            try:
                return await process.run(code, values, limits)
            finally:
                process.end()

    async def close(self) -> None:
        """End the process that waits ahead."""
        spare, self._spare = self._spare, None
        if spare:
            with contextlib.suppress(OSError):
                process = await spare
                process.end()
                await process.wait()

    async def _take(self) -> _Process:
        spare, self._spare = self._spare, None
        process = None
        if spare:
            with contextlib.suppress(OSError):
                process = await spare
        if process is None or process.ended:
            process = await _Process.start()
        self._spare = asyncio.create_task(_Process.start())
        return process


class _Process:
    """One Python that waits for its program, in a group and a temporary folder of its own."""

    def __init__(self, process: asyncio.subprocess.Process, pipes: list[int], folder: str) -> None:
        self._process = process
        self._pipes = pipes
        self._folder = folder
        self.sandbox_id = f"sandbox-{secrets.token_hex(2)}"

    @classmethod
    async def start(cls) -> _Process:
        folder = tempfile.mkdtemp(prefix="orchestra-code-")
        environment = {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}
        if "TZ" in os.environ:
            environment["TZ"] = os.environ["TZ"]
        # Pipes of our own: asyncio would take a process for running as long as anybody holds one of its pipes.
        pipes = [os.pipe() for _ in range(3)]
        output, errors, result = (write for _, write in pipes)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
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
        return cls(process, [read for read, _ in pipes], folder)

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def run(self, code: str, values: dict[str, Any], limits: Limits) -> Execution:
        request = {"code": code, "values": values, "limits": limits.for_child(), "path": _search_path()}
        sizes = (limits.output, limits.output, limits.result)
        streams = [_Capture(size) for size in sizes]
        readers = [asyncio.create_task(stream.drain(pipe)) for stream, pipe in zip(streams, self._pipes, strict=True)]
        self._pipes = []
        late = False
        try:
            await asyncio.wait_for(self._serve(json.dumps(request).encode()), limits.timeout)
        except asyncio.TimeoutError:
            late = True
        finally:
            self._kill()
            # A descendant that left the group may hold a pipe open: it is not waited for.
            _, waiting = await asyncio.wait(readers, timeout=_GRACE)
            for reader in waiting:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
        stdout, stderr, result = streams
        execution = Execution(stdout=stdout.text(), stderr=stderr.text(), sandbox_id=self.sandbox_id)
        if late:
            execution.stopped = f"the code ran longer than {limits.timeout:g} s and was ended"
        else:
            self._read_result(result, execution)
        return execution

    async def _serve(self, request: bytes) -> None:
        stdin: Any = self._process.stdin
        with contextlib.suppress(ConnectionError):
            stdin.write(request)
            await stdin.drain()
        stdin.close()
        await self._process.wait()

    def _read_result(self, result: _Capture, execution: Execution) -> None:
        if result.dropped:
            execution.stopped = f"the result is larger than {result.limit} bytes; return less"
            return
        try:
            outcome = json.loads(bytes(result.data))
            execution.results = plain(outcome["results"])
            execution.error = str(outcome["error"])
            execution.stderr += str(outcome.get("note", ""))
        except (ValueError, KeyError, TypeError, RecursionError):
            execution.stopped = self._reason()

    def _reason(self) -> str:
        code = self._process.returncode
        if code is None or code >= 0:
            return f"the code ended its process (exit status {code}) before it had a result"
        with contextlib.suppress(ValueError):
            return f"the process of the code was ended by {signal.Signals(-code).name}"
        return f"the process of the code was ended by signal {-code}"

    def _kill(self) -> None:
        # The group outlives its leader as long as it has members, and its number is not given away before.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def wait(self) -> None:
        await self._process.wait()

    def end(self) -> None:
        """Kill what is left, and remove the folder."""
        self._kill()
        for pipe in self._pipes:
            os.close(pipe)
        self._pipes = []
        shutil.rmtree(self._folder, ignore_errors=True)


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


def _search_path() -> list[str]:
    """Return where the server itself finds installed packages: code nodes have the user's packages."""
    own = str(Path(os.__file__).parent)
    return [path for path in sys.path if path and not path.endswith(".zip") and not _within(path, own)]


def _within(path: str, library: str) -> bool:
    return (path == library or path.startswith(library + os.sep)) and "-packages" not in path
