"""The server process: everything put together, from its start to its stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from .. import paths
from .._version import __version__
from . import files
from .app import BASE, Routes, build
from .changes import Changes
from .connections import ACCEPTED_AT_ONCE, Connection
from .database import DataError, unusable
from .engine import Engine
from .idle import DEFAULT_HOURS, Idle
from .knowledge.bases import Bases
from .models.small import SmallModel
from .nodes import Services
from .private import PrivateLog, refuse_links
from .runs import Runs
from .sandbox.access import limits_of_the_sandbox
from .sandbox.runner import Sandbox
from .store import Store
from .versions import Versions

_GRACE = 2
_WAITING = 2048
_log = logging.getLogger(__name__)


class StartError(Exception):
    """The server cannot start. The message says why and what to do."""


@dataclass(frozen=True)
class Options:
    """How a server is to run."""

    data: Path
    port: int | None = None
    idle_hours: float = DEFAULT_HOURS


def serve(options: Options, ready: Callable[[dict[str, Any]], None]) -> None:
    """Run the server until it is told to stop. ``ready`` is called when it answers.

    Raises
    ------
    StartError
        If it cannot start; nothing was changed.
    """
    refuse_links(files.folder().iterdir())
    refuse_links(_files_in(paths.private_folder(options.data)))
    theirs = files.read_json(paths.server_file()).get("data")
    locks = [_take(files.server_lock(), theirs), _take(files.Lock(options.data / "lock"), options.data)]
    paths.stopped_file().unlink(missing_ok=True)
    identity = files.read_identity()
    listener = _listen(options.port, identity.port)
    address = listener.getsockname()
    files.write_identity(files.Identity(address[1], identity.token))
    _log_to_file()
    about = {
        "base_url": f"http://127.0.0.1:{address[1]}{BASE}",
        "token": identity.token,
        "pid": os.getpid(),
        "version": __version__,
        "data": str(options.data),
    }

    def answers() -> None:
        files.write_json(paths.server_file(), {**about, "idle_hours": options.idle_hours})
        _log.info(limits_of_the_sandbox())
        _log.info("version %s answers at %s, data in %s", __version__, about["base_url"], options.data)
        ready(about)

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_serve(options, listener, about, answers))
    except (DataError, OSError, sqlite3.Error) as error:
        loop.close()
        problem = error if isinstance(error, DataError) else unusable(options.data, error)
        raise StartError(str(problem)) from None
    finally:
        if files.read_json(paths.server_file()).get("pid") == os.getpid():
            paths.server_file().unlink(missing_ok=True)
        for lock in locks:
            lock.close()


def _files_in(data: Path) -> list[Path]:
    """Return what is ours in a folder that may hold other things as well."""
    databases = [*data.glob("*.sqlite*"), *data.glob("knowledge/*.sqlite*")]
    return [data / "lock", data / "knowledge", *databases]


async def _serve(options: Options, listener: socket.socket, about: dict[str, Any], answers: Callable[[], None]) -> None:
    store = Store(options.data)
    await _ship(store)
    sandbox = Sandbox()
    bases = Bases(options.data / "knowledge")
    small = SmallModel()
    versions, changes = Versions(store), Changes()
    engine = Engine(store, versions, Services(sandbox, bases, small), changes)
    runs = Runs(store, versions, engine, changes)
    crashed = await store.fact("stopped") == "no"
    await store.fact("stopped", "no")
    await engine.recover(crashed=crashed)
    if runs.active:
        _log.info("runs that are taken up again: %d", runs.active)
    sandbox.prepare()

    def status() -> dict[str, Any]:
        return {key: about[key] for key in about if key != "token"} | {"runs": runs.active}

    idle = Idle(options.idle_hours * 3600, lambda: runs.active)
    routes = Routes(store, versions, runs, bases, status)
    app = build(routes, about["token"], idle.touch)

    async def stopping() -> None:
        # Before anything else: a step whose process is ended under it would be a failed one.
        await engine.close()
        routes.close()

    server = _Server(app, stopping, answers)
    watch = asyncio.create_task(_stop_when_idle(server, idle))
    await server.serve([listener])
    watch.cancel()
    await sandbox.close()
    await small.close()
    await bases.close()
    await store.fact("stopped", "yes")
    store.close()
    _log.info("stopped")


async def _stop_when_idle(server: _Server, idle: Idle) -> None:
    await idle.over()
    _log.info("nobody has used this server for a while: it stops")
    server.should_exit = True


class _Server(uvicorn.Server):
    """Uvicorn that says when it answers, and lets waiting requests go before it stops."""

    def __init__(self, app: Any, stopping: Callable[[], Awaitable[None]], answers: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            loop="asyncio",
            http=Connection,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
            timeout_keep_alive=75,
            backlog=ACCEPTED_AT_ONCE,
        )
        super().__init__(config)
        self._stopping = stopping
        self._answers = answers

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        files.mark_stopped()  # before anybody can miss the server
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_WAITING)  # more may wait in line than are taken at once
        self._answers()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn's own would raise the signal again at the end, and nothing would be closed.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield


async def _ship(store: Store) -> None:
    """Put the workflows that come with the package into the store."""
    for entry in sorted(resources.files(__package__).joinpath("workflows").iterdir(), key=lambda one: one.name):
        if entry.name.endswith(".json"):
            shipped = json.loads(entry.read_text(encoding="utf-8"))
            await store.save(shipped["workflow_id"], shipped["name"], shipped["graph"], shipped=True)


def _take(lock: files.Lock, data: Path | str | None) -> files.Lock:
    try:
        lock.take()
    except files.HeldError as error:
        raise StartError(
            f"another server, process {error.pid}, works on {data or 'data of its own'}; "
            "use it (orchestra-local status), or end it first (orchestra-local stop)"
        ) from None
    return lock


def _listen(asked: int | None, last: int) -> socket.socket:
    """Return a socket on the port that was asked for, else the last one, else any that is free."""
    for port in [asked] if asked is not None else [last, 0]:
        # With the protocol named, asyncio turns off Nagle's delay, which costs 40 ms for each answer.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(_WAITING)
        except OSError as error:
            listener.close()
            reason = error.strerror
        else:
            return listener
    raise StartError(f"port {asked or last} cannot be used ({reason}); choose another with --port, or none")


def _log_to_file() -> None:
    handler = PrivateLog(files.log_file(), maxBytes=5_000_000, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("orchestra_magic").setLevel(logging.INFO)
    # Of each request that is none it would write a line: strangers could push ours out of the file.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
