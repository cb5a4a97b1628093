"""The files by which servers and commands find each other: locks, the server file, and what outlives a restart."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import paths
from .private import NO_LINK, LinkError, open_private

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_TRIES, _PAUSE = 10, 0.02


class HeldError(Exception):
    """Somebody else holds the lock. ``pid`` is who, or None where that cannot be read."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"held by process {pid}")
        self.pid = pid


class Lock:
    """A lock that the operating system lets go when its process ends, however that happens."""

    def __init__(self, path: Path) -> None:
        paths.private_folder(path.parent)
        self._path = path
        self._file = open_private(path, os.O_RDWR)

    def take(self, *, wait: bool = False) -> None:
        """Take the lock, and write our process id into its file.

        Raises
        ------
        HeldError
            If it is held, unless ``wait``.
        """
        # Who only asks whether it is held lets it go at once.
        for _ in range(_TRIES):
            if self._taken(wait=wait):
                break
            time.sleep(_PAUSE)
        else:
            raise HeldError(self.holder())
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0) if sys.platform != "win32" else None

    def _taken(self, *, wait: bool) -> bool:
        try:
            _lock(self._file, wait=wait)
        except OSError:
            return False
        return True

    def holder(self) -> int | None:
        """Return the process id in the file."""
        return _pid_in(self._path)

    def close(self) -> None:
        """Let go."""
        os.close(self._file)


if sys.platform == "win32":

    def _lock(file: int, *, wait: bool) -> None:
        msvcrt.locking(file, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

    def _share(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:

    def _lock(file: int, *, wait: bool) -> None:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _share(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _pid_in(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def folder() -> Path:
    """Return the folder of the embedded server."""
    paths.private_folder(paths.home())
    own = paths.private_folder(paths.server_file().parent)
    if os.name == "posix" and (about := own.stat()).st_uid == os.geteuid() and about.st_mode & 0o077:
        own.chmod(0o700)
    return own


def server_lock() -> Lock:
    """Return the lock that a running server holds."""
    folder()
    return Lock(paths.server_lock_file())


def server_held() -> bool:
    """Tell whether a server holds its lock. Nothing is written: the disk may be read-only."""
    try:
        file = os.open(paths.server_lock_file(), os.O_RDONLY | NO_LINK)
    except OSError:
        return False
    try:
        _share(file)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def server_pid() -> int | None:
    """Return the process id of the server that holds its lock, or held it last."""
    return _pid_in(paths.server_lock_file())


def start_lock() -> Lock:
    """Return the lock that whoever starts a server holds meanwhile."""
    return Lock(folder() / "start.lock")


def log_file() -> Path:
    """Return the file that the server writes its log to."""
    return paths.server_file().with_name("server.log")


def crash_file() -> Path:
    """Return the file that takes what a server prints which cannot log any more."""
    return paths.server_file().with_name("crash.log")


def mark_stopped() -> None:
    """Note that the server is stopped on purpose: who follows a run is not to start it again."""
    with contextlib.suppress(OSError, LinkError):  # a stop on a full disk is one all the same
        os.close(open_private(paths.stopped_file(), os.O_WRONLY))


@dataclass(frozen=True)
class Identity:
    """What stays the same over a restart."""

    port: int
    token: str


def read_identity() -> Identity:
    """Return port and token of the last server; a new token, and 0 for any port, where there was none."""
    found = read_json(folder() / "identity.json")
    try:
        return Identity(int(found["port"]), str(found["token"]))
    except (KeyError, TypeError, ValueError):
        return Identity(0, secrets.token_urlsafe(32))


def write_identity(identity: Identity) -> None:
    """Remember port and token."""
    write_json(folder() / "identity.json", asdict(identity))


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file for its owner alone, so that whoever reads it sees all of it or the one before."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    file = open_private(fresh, os.O_WRONLY | os.O_EXCL)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
