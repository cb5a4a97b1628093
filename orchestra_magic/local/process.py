"""Start, find and stop the server from outside: what the commands do. Light, because every kernel calls it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .. import paths
from . import files
from .private import open_private

_ANSWER_SECONDS = 5.0
_STOP_SECONDS = 15.0
_PAUSE = 0.02


class CommandError(Exception):
    """A command cannot do what it was asked for. The message says why and what to do."""


def data_folder() -> Path:
    """Return where the data is, where nothing else is said."""
    return files.folder() / "data"


def running() -> dict[str, Any] | None:
    """Return what the running server says of itself; None where none answers."""
    return _ask("GET", "/status")


def silent() -> int | None:
    """Return the pid of a server that is there and has not answered; None where there is none."""
    return files.server_pid() if files.server_held() else None


def token() -> str:
    """Return the token that opens the server."""
    return str(files.read_json(paths.server_file())["token"])


def prune(days: float | None, keep: int | None) -> int:
    """Have the running server delete old runs; return how many.

    Raises
    ------
    CommandError
        If no server runs, or it refuses.
    """
    asked = {name: value for name, value in (("days", days), ("keep", keep)) if value is not None}
    if not asked:
        raise CommandError("say which runs are to go: --days, --keep or both")
    said = _ask("POST", "/prune", asked)
    if said is None:
        raise CommandError("no server runs, or it refused; start one with: orchestra-local start")
    return int(said["pruned"])


def _ask(method: str, path: str, content: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    status, said = request(method, path, content) or (None, None)
    return said if status == http.client.OK and isinstance(said, dict) else None


def request(
    method: str, path: str, content: Mapping[str, Any] | None = None, *, under_base: bool = False
) -> tuple[int, Any] | None:
    """Return status and value of the running server's answer; None where none runs, or it does not answer.

    Parameters
    ----------
    under_base : bool
        Whether ``path`` is one of the contract's, which stand under the base URL.
    """
    about = files.read_json(paths.server_file())
    # The file of a server that was killed names a port that anybody may have by now: the token is not for them.
    if not about or not files.server_held():
        return None
    seconds = _ANSWER_SECONDS if content is None else None
    base = urlsplit(about["base_url"])
    connection = http.client.HTTPConnection(base.netloc, timeout=seconds)
    body = None if content is None else json.dumps(content)
    try:
        whole = f"{base.path if under_base else ''}{path}"
        connection.request(method, whole, body, {"Authorization": f"Bearer {about['token']}"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def start(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the status of the running server, after starting it where none runs.

    Parameters
    ----------
    asked : Mapping
        Options for ``serve``, such as ``--port``, each with its value.

    Raises
    ------
    CommandError
        If it does not start, or one runs already with other options.
    """
    found = running()
    if found is None:
        lock = files.start_lock()
        lock.take(wait=True)
        try:
            found = running()
            if found is None:
                return _launch([str(word) for pair in asked.items() for word in pair])
        finally:
            lock.close()
    _see_that_it_is(found, asked)
    return found


def _see_that_it_is(found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    has = {
        "--data": found["data"],
        "--port": urlsplit(found["base_url"]).port,
        "--idle-hours": files.read_json(paths.server_file()).get("idle_hours"),
    }
    other = [f"{name} {has[name]}" for name, value in asked.items() if not _same(name, value, has[name])]
    if other:
        raise CommandError(
            f"a server runs already, process {found['pid']}, with {' '.join(other)}; "
            "to have it otherwise, end it first (orchestra-local stop)"
        )


def _same(name: str, asked: Any, has: Any) -> bool:
    if name == "--data":
        return Path(asked).resolve() == Path(has).resolve()
    return asked == has or (name, asked) == ("--port", 0)  # which is any


def _launch(arguments: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "orchestra_magic.local", "serve", "--detached", *arguments]
    crash = open_private(files.crash_file(), os.O_WRONLY | os.O_TRUNC)
    try:
        server = subprocess.Popen(  # noqa: S603  (our own command)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=crash,
            env={**os.environ, "ORCHESTRA_HOME": str(paths.home())},  # a relative one would be under its own folder
            cwd=files.folder(),
            start_new_session=True,
        )
    finally:
        os.close(crash)
    # One line: the status once it answers, or the error. Its end without one means that it died.
    with server.stdout or contextlib.nullcontext() as output:
        line = output.readline() if output else b""
    # The server outlives us on purpose: Popen is not to complain about that.
    server.returncode = server.returncode or 0
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        last = files.crash_file().read_text(errors="replace").strip().splitlines()[-1:]
        reason = "".join(last) or "it said nothing"
        raise CommandError(f"the server ended while it started: {reason}") from None
    if "error" in said:
        raise CommandError(said["error"])
    return said


def stop() -> int | None:
    """Stop the running server, and wait until it has let go of its data; return its pid, or None.

    Raises
    ------
    CommandError
        If it does not stop.
    """
    files.mark_stopped()  # also where it has just crashed, before whoever follows a run starts it again
    if not files.server_held():
        return None
    pid = files.server_pid()
    if pid is None:
        raise CommandError(f"a server is starting; try again in a moment ({paths.server_lock_file()})")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while files.server_held():
        if time.monotonic() > deadline:
            raise CommandError(f"process {pid} has not stopped within {_STOP_SECONDS:g} s; end it with kill -9 {pid}")
        time.sleep(_PAUSE)
    return pid


def logs(lines: int) -> str:
    """Return the last lines of the log, also where it has just begun anew, and what a crashed server printed."""
    log = files.log_file()
    found = [*_lines(log.with_name(f"{log.name}.1")), *_lines(log)][-lines:] if lines > 0 else []
    crash = _lines(files.crash_file())[-lines:] if lines > 0 else []
    return "\n".join([*found, *crash])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
