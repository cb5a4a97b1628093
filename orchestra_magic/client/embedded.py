"""Find and start the embedded Orchestra, without importing it.

The server says where it is in one file (:func:`orchestra_magic.paths.server_file`), and is started by its
own command in a process of its own: client and server share nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass, field

from .. import paths
from ..errors import OrchestraConfigError, OrchestraConnectionError

if sys.platform != "win32":
    import fcntl

START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running embedded server: its base URL and the token that opens it."""

    base_url: str
    token: str = field(repr=False)


def find() -> Server | None:
    """Return the server that the server file names, or None where none runs."""
    if not _runs():
        return None
    try:
        said = json.loads(paths.server_file().read_text(encoding="utf-8"))
        return Server(str(said["base_url"]).rstrip("/"), str(said["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _runs() -> bool:
    # The file outlives a server that was killed, and whoever has its port by then must not be given the token.
    if sys.platform == "win32":
        return True  # its locks keep readers out: whoever is refused there calls start()
    try:
        with paths.server_lock_file().open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def start(*, without: Collection[str] = (), revive: bool = True) -> Server:
    """Start the embedded server where none runs, wait until it answers, and return it.

    Parameters
    ----------
    without : Collection[str]
        Environment variables that it must not inherit: the keys of other servers.
    revive : bool
        Whether to start it also where it was stopped on purpose.

    Raises
    ------
    OrchestraConnectionError
        If it was stopped on purpose, and is not to be revived.
    OrchestraConfigError
        If it does not start, with what it said: most often that the extra ``[local]`` is not installed.
    """
    if not revive and paths.stopped_file().exists():
        raise OrchestraConnectionError(
            "The embedded Orchestra was stopped; `%orchestra_connect local` starts it again, and the run goes on.",
            stopped=True,
        )
    environment = {name: value for name, value in os.environ.items() if name not in without}
    environment["ORCHESTRA_HOME"] = str(paths.home())  # ours, though the working folder may have changed
    command = [sys.executable, "-m", "orchestra_magic.local", "start", "--json"]
    try:
        done = subprocess.run(  # noqa: S603  (our own command)
            command, env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise OrchestraConfigError(
            f"The embedded Orchestra did not answer within {START_SECONDS} s. `orchestra-local logs` says why."
        ) from None
    server = find()
    if done.returncode or server is None:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise OrchestraConfigError(f"The embedded Orchestra did not start: {said[-1]}")
    return server
