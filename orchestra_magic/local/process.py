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
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .. import paths
from . import files

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
    about = files.read_json(paths.server_file())
    if not about:
        return None
    connection = http.client.HTTPConnection(urlsplit(about["base_url"]).netloc, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/status", headers={"Authorization": f"Bearer {about['token']}"})
        response = connection.getresponse()
        said = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return said if response.status == http.client.OK and isinstance(said, dict) else None


def start(arguments: list[str]) -> dict[str, Any]:
    """Return the status of the running server, after starting it where none runs.

    Parameters
    ----------
    arguments : list of str
        Options for ``serve``, where it is started.

    Raises
    ------
    CommandError
        If it does not start.
    """
    found = running()
    if found:
        return found
    lock = files.start_lock()
    lock.take(wait=True)
    try:
        return running() or _launch(arguments)
    finally:
        lock.close()


def _launch(arguments: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "orchestra_magic.local", "serve", "--detached", *arguments]
    crash = os.open(files.crash_file(), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        server = subprocess.Popen(  # noqa: S603  (our own command)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=crash,
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
    lock = files.server_lock()
    if not lock.held():
        return None
    pid = lock.holder()
    if pid is None:
        raise CommandError(f"a server is starting; try again in a moment ({files.folder() / 'server.lock'})")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while lock.held():
        if time.monotonic() > deadline:
            raise CommandError(f"process {pid} has not stopped within {_STOP_SECONDS:g} s; end it with kill -9 {pid}")
        time.sleep(_PAUSE)
    return pid


def logs(lines: int) -> str:
    """Return the last lines of the log, and what a crashed server printed."""
    found = []
    for path in (files.log_file(), files.crash_file()):
        with contextlib.suppress(OSError):
            found += path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join(found)
