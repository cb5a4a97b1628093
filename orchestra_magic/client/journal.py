"""Every run that was started from this computer, so that none is lost with a kernel.

One JSON line per event, appended: ``intended`` before the POST, ``started`` after. It holds ids, the workflow,
the address, the time and a digest of the inputs under a random key of this computer; never the inputs, never
an API key. A disk that is full or read-only is a warning and never a failed run: what it did not take is
remembered in this process.

A line is with the system before the next thing is done, which is what a killed kernel asks for. That it is on
the disk, which is what a power cut asks for, is seen to within moments and beside the POST (:class:`_Syncer`).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import paths
from .records import moment

log = logging.getLogger("orchestra_magic")

GATHER_SECONDS = 0.02
SHORT = 8
"""Characters of an id that are shown in lists."""


@dataclass(frozen=True)
class Entry:
    """One start, as the journal has it.

    ``run_id`` is None where the start was intended and its answer is not known; ``lost`` says that nobody
    waits for that answer any more.
    """

    key: str
    base_url: str
    workflow_id: str
    digest: str
    sent_at: datetime
    run_id: str | None = None
    lost: bool = False

    @property
    def unconfirmed(self) -> bool:
        """Whether it is not known what became of the start."""
        return self.run_id is None


def intended(key: str, *, base_url: str, workflow_id: str, digest: str) -> None:
    """Note that a start is about to be sent: ``key`` is its idempotency key, ``digest`` that of its inputs."""
    said = {"base_url": base_url, "workflow_id": workflow_id, "digest": digest}
    _append({"event": "intended", "key": key, **said})


def started(key: str, run_id: str) -> None:
    """Note the run that a start became."""
    _append({"event": "started", "key": key, "run_id": run_id})


def dropped(key: str) -> None:
    """Note that a start did not happen: it was refused, or never arrived."""
    _append({"event": "dropped", "key": key})


def lost(key: str) -> None:
    """Note that the answer to a start will not come any more: its run may be any that fits."""
    _append({"event": "lost", "key": key})


def claim(key: str, run_id: str) -> bool:
    """Take a run for a start whose answer was lost; return whether no other start has it.

    The order of the lines decides, so that of two kernels at once one gets the run and both know which.
    """
    _append({"event": "claimed", "key": key, "run_id": run_id})
    return any(entry.key == key and entry.run_id == run_id for entry in entries())


def entries() -> list[Entry]:
    """Return all starts that happened or may have, oldest first."""
    found: dict[str, Entry] = {}
    said: dict[str, str] = {}
    claims: list[tuple[str, str]] = []
    over: dict[str, set[str]] = {"lost": set(), "dropped": set()}
    for line in _lines():
        key, event, run_id = str(line.get("key")), line.get("event"), line.get("run_id")
        if event == "intended":
            found[key] = Entry(
                key,
                str(line.get("base_url")),
                str(line.get("workflow_id")),
                str(line.get("digest")),
                moment(line.get("time")) or datetime.fromtimestamp(0, timezone.utc),
            )
        elif event == "started" and run_id:
            said[key] = str(run_id)
        elif event == "claimed" and run_id:
            claims.append((key, str(run_id)))
        elif event in ("lost", "dropped"):
            over[event].add(key)
    taken = set(said.values())
    for key, run_id in claims:  # what the server itself said of a start comes first
        if key not in said and run_id not in taken:
            said[key] = run_id
            taken.add(run_id)
    return [
        replace(entry, run_id=said.get(key), lost=key in over["lost"])
        for key, entry in found.items()
        if key not in over["dropped"]
    ]


def settle() -> None:
    """Wait until all that was noted is on the disk."""
    _syncer.settle()


def run_ids() -> set[str]:
    """Return the ids of all runs that the journal knows."""
    return {entry.run_id for entry in entries() if entry.run_id is not None}


def find(run_id: str, base_url: str) -> tuple[str, str] | None:
    """Return the id and the workflow of a run that was started here, None where the journal does not know it.

    The first characters of an id, as lists show them, stand for the one run that has them.
    """
    known = {each.run_id: each.workflow_id for each in entries() if each.run_id and each.base_url == base_url}
    if run_id in known:
        return run_id, known[run_id]
    fitting = [each for each in known if each.startswith(run_id)] if len(run_id) >= SHORT else []
    return (fitting[0], known[fitting[0]]) if len(fitting) == 1 else None


def find_elsewhere(run_id: str, base_url: str) -> tuple[str, str, str] | None:
    """Return address, id and workflow of a run that was started here on a server other than ``base_url``."""
    for other in dict.fromkeys(each.base_url for each in reversed(entries()) if each.base_url != base_url):
        found = find(run_id, other)
        if found is not None:
            return other, *found
    return None


def digest(inputs: Mapping[str, Any]) -> str:
    """Return what tells equal inputs apart from others without saying anything of them."""
    canonical = json.dumps(inputs, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hmac.new(_secret(paths.home() / "journal.key"), canonical.encode(), hashlib.sha256).hexdigest()


def _file() -> Path:
    return paths.home() / "journal.jsonl"


@functools.lru_cache(maxsize=8)
def _secret(place: Path) -> bytes:
    """Return this computer's random key, made at first use."""
    try:
        return place.read_bytes()
    except OSError:
        pass
    fresh = secrets.token_bytes(32)
    try:
        paths.private_folder(place.parent)
        # Written beside and linked into place: of two kernels at once, one wins and both read the same.
        draft = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_bytes(fresh)
        try:
            os.link(draft, place)
        except FileExistsError:
            fresh = place.read_bytes()
        finally:
            draft.unlink()
    except OSError as error:
        _warn(error)
    return fresh


def _append(event: dict[str, Any]) -> None:
    event = {"v": 1, "time": datetime.now(timezone.utc).isoformat(), **event}
    # It begins with the line break, so that one torn by a crash does not swallow it. To look whether the last one
    # ends with a break is no help: what another kernel writes at this moment may be seen by half.
    line = b"\n" + json.dumps(event, ensure_ascii=True, separators=(",", ":")).encode()
    place = _file()
    try:
        # A full disk takes a part of a line, and that is no error yet.
        with os.fdopen(_opened(place), "ab", buffering=0) as file:  # one write with O_APPEND: kernels tear no lines
            fault = None if file.write(line) == len(line) else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        _syncer.see_to(place)
    except OSError as error:
        fault = error
    if fault is not None:
        _unwritten.setdefault(place, []).append(event)
        _warn(fault)


_unwritten: dict[Path, list[dict[str, Any]]] = {}
"""What a disk did not take."""


def _opened(place: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    try:
        return os.open(place, flags, 0o600)
    except FileNotFoundError:
        paths.private_folder(place.parent)
        return os.open(place, flags, 0o600)


class _Syncer:
    """Brings what was written to the disk, in a thread that lives while there is something to bring.

    It gathers for a moment first, so that the two lines of a start are one fsync, and none of it competes for
    the disk with an embedded server that is accepting the run. The thread is no daemon: an interpreter that
    ends waits for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[Path] = set()
        self._thread: threading.Thread | None = None

    def see_to(self, place: Path) -> None:
        with self._lock:
            self._waiting.add(place)
            if self._thread is not None and self._thread.is_alive():
                return
            try:
                self._thread = threading.Thread(target=self._work, name="orchestra-journal")
                self._thread.start()
            except RuntimeError:  # no more threads, or the interpreter ends: the system brings it to the disk
                self._thread = None

    def settle(self) -> None:
        thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
            time.sleep(GATHER_SECONDS)
            with self._lock:
                place = self._waiting.pop()
            with contextlib.suppress(OSError):  # it was written; a disk that fails now fails everything
                handle = os.open(place, os.O_RDWR)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)


_syncer = _Syncer()


def _lines() -> Iterator[dict[str, Any]]:
    place = _file()
    try:
        text = place.read_bytes() if place.is_file() else b""  # a device or a pipe may have no end
    except OSError:
        text = b""
    for line in text.split(b"\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue  # torn, or of a later version
        if isinstance(event, dict):
            yield event
    yield from _unwritten.get(place, ())


def _warn(error: OSError) -> None:
    message = (
        f"The journal of runs cannot be written ({error.strerror or error}): note the run id yourself, since this "
        f"computer will not remember it. Make {paths.home()} writable, or set ORCHESTRA_HOME to a folder that is."
    )
    try:
        warnings.warn(message, stacklevel=2)
    except Warning:  # where warnings are errors too, a run that was started is not to be lost to one
        log.warning(message)
