"""Programs that nobody trusts, on every system: in Monty, an interpreter of its own for a part of Python.

It has no files, no network, no environment and no installed packages, and of the standard library a part. A
program cannot reach what was not given to it, because there is nothing in it that reaches.
https://github.com/pydantic/monty
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import os
import secrets
import signal
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from . import code_references, results
from .execution import Execution, Limits

_AT_ONCE = 8
# The value is copied into this process, so that memory is ours too.
_MEMORY = 128 << 20
_FILE = "<python-input-0>"
_OUT_OF_TIME = ("feed time limit exceeded", "sleep limit exceeded")


def unusable() -> str | None:
    """Return why nothing can run strictly here, None where it can."""
    if find_spec("pydantic_monty") is None:
        return "the sandbox 'strict' is not installed: pip install 'orchestra-magic[strict]'"
    return None


class _Worker:
    """The process that one program runs in: Monty has no other way to end that before its time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._ended = False

    def begin(self, pid: int | None) -> None:
        """Take a process for the program.

        Raises
        ------
        ValueError
            If the program is to end already.
        """
        with self._lock:
            if self._ended:
                raise ValueError("the code was cancelled before it began")
            self._pid = pid

    def let_go(self) -> None:
        """Leave the process to other programs."""
        with self._lock:
            self._pid = None

    def end(self) -> None:
        """End the program, and with it the process, which is nobody else's until it is let go."""
        with self._lock:
            self._ended = True
            if self._pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)


class Strict:
    """Runs programs in Monty. Its processes start with the first one."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._starting = threading.Lock()
        self._pool: Any = None

    async def run(self, code: str, values: dict[str, Any], limits: Limits) -> Execution:
        """Run ``code`` to its end, its time limit or the cancellation of this task."""
        worker = _Worker()
        future: concurrent.futures.Future[Execution] = concurrent.futures.Future()
        future.set_running_or_notify_cancel()

        def work() -> None:
            try:
                future.set_result(self._run(code, values, limits, worker))
            except BaseException as error:  # noqa: BLE001  (whoever waits for the future is to have it)
                future.set_exception(error)

        async with self._turns:
            # Not Monty's asynchronous pool, whose threads abort the process when that ends (1.4.0), nor an executor,
            # for whose threads Python waits at its end.
            threading.Thread(target=work, name="strict", daemon=True).start()
            try:
                return await asyncio.wrap_future(future)
            finally:
                worker.end()

    def close(self) -> None:
        """End every process."""
        if self._pool is not None:
            self._pool.__exit__(None, None, None)

    def _run(self, code: str, values: dict[str, Any], limits: Limits, worker: _Worker) -> Execution:
        import pydantic_monty as monty  # an extra

        done = Execution(sandbox_id=f"sandbox-{secrets.token_hex(2)}")
        printed = monty.CollectStreams(max_bytes=limits.output)
        bounds: Any = {
            "max_feed_duration_secs": limits.timeout,
            "max_total_sleep_secs": limits.timeout,
            "max_memory": min(limits.memory, _MEMORY),
        }
        value = None
        try:
            source, inputs = code_references.name(code, values)
            with self._started(monty).checkout(limits=bounds) as session:
                worker.begin(session.worker_pid)
                try:
                    value = session.feed_run(source, inputs=inputs, print_callback=printed)
                finally:
                    worker.let_go()
        except monty.MontyCrashedError as error:
            done.stopped = f"the interpreter of the code was ended: {error}"
        except (monty.MontyRuntimeError, monty.MontySyntaxError) as error:
            done.error = error.display().replace(_FILE, "<code>")
            if str(error.exception()).startswith(_OUT_OF_TIME):
                done.error, done.stopped = "", f"the code ran longer than {limits.timeout:g} s and was ended"
        except (monty.MontyError, ValueError) as error:
            done.error = str(error)
        _say(done, printed.output)
        _show(done, value, limits)
        return done

    def _started(self, monty: Any) -> Any:
        with self._starting:
            if self._pool is None:
                self._pool = monty.Monty(min_processes=1, max_processes=_AT_ONCE).__enter__()
            return self._pool


def _say(done: Execution, printed: Sequence[tuple[str, str]]) -> None:
    done.stdout = "".join(text for stream, text in printed if stream == "stdout")
    done.stderr = "".join(text for stream, text in printed if stream == "stderr")


def _show(done: Execution, value: Any, limits: Limits) -> None:
    encoded = results.encode({"results": value})
    if len(encoded) > limits.result:
        done.stopped = f"the result is larger than {limits.result} bytes; return less"
        return
    shown = json.loads(encoded)
    done.results = shown["results"]
    done.stderr += shown.get("note", "")
