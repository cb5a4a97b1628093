"""The durable engine, behind a port of our own: nothing else here knows which one it is.

The port is small. :meth:`Engine.start` runs the function that the engine was given, in this process, under
the id of a run; :class:`Places` gives each of its steps a place, at which its result is recorded before the
next begins. After a crash the same function is run again, and the recorded steps return what they returned.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import Context
from pathlib import Path
from typing import Any

import sqlalchemy
from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos._serialization import DBOSPortableJSONSerializer, DefaultSerializer
from sqlalchemy import event

from .database import persistently, private_file, unusable

Record = dict[str, Any]
Work = Callable[[str, "Places"], Awaitable[None]]

# Never change it: the engine leaves runs of another version alone, and theirs would be lost.
_VERSION = "orchestra-engine-1"
_THREADS = 16
_PAGE = 500
# Our own count of recoveries ends a run that keeps killing the server, and says so.
_ATTEMPTS = 1000
_OLD_SQLITE = (3, 42)
# One of the engine's threads looks up this often, mostly at nothing, and a stop waits until it does.
_LOOKS_UP = 0.1


class Places:
    """Hands out the places of steps, in the order in which they are asked for.

    Parameters
    ----------
    recorded : Mapping[str, dict]
        What earlier attempts at this run recorded, by the names of the steps.
    """

    def __init__(self, recorded: Mapping[str, Record]) -> None:
        self._recorded = recorded

    def reserve(self, name: str) -> Callable[[Callable[[], Awaitable[Record]]], Awaitable[Record]]:
        """Reserve the next place; return what runs a step there, or recalls it."""
        place = DBOS.reserve_step()

        async def run(step: Callable[[], Awaitable[Record]]) -> Record:
            if name in self._recorded:
                return self._recorded[name]
            record = await step()

            async def keep() -> Record:
                # A place serves one attempt. A step is recalled by its name, so it may stand at any.
                at = places.pop() if places else DBOS.reserve_step()
                # The engine takes a plain function through a thread once, and a coroutine three times.
                with _errors_of_sqlite():
                    return await at.run_async({"name": name}, lambda: record)

            return await persistently(keep, f"step {name}")

        places = [place]
        return run


class Engine:
    """Runs ``work`` durably.

    Parameters
    ----------
    folder : Path
        Where the engine keeps its file.
    work : Callable[[str, Places], Awaitable[None]]
        What a run is. It must not raise, and reserve the same places each time.
    """

    def __init__(self, folder: Path, work: Work) -> None:
        _refuse_pickles()
        self._path = path = folder / "engine.sqlite"
        try:
            private_file(path)
        except OSError as error:
            raise unusable(path, error) from None
        self._database = _connect(path)
        config: DBOSConfig = {
            "name": "orchestra-embedded",
            "system_database_engine": self._database,
            "application_version": _VERSION,
            "executor_id": "local",
            "serializer": DBOSPortableJSONSerializer(),
            "max_executor_threads": _THREADS,
            "notification_listener_polling_interval_sec": _LOOKS_UP,
            "log_level": "WARNING",
        }
        self._dbos = DBOS(config=config)

        self._fresh: set[str] = set()

        async def run_graph(run_id: str) -> None:
            fresh = run_id in self._fresh
            self._fresh.discard(run_id)
            # Asked from within a run, the question would take the place of a step.
            recorded = [] if fresh else await Context().run(asyncio.ensure_future, self.steps(run_id))
            await work(run_id, Places({record["key"]: record for record in recorded}))

        self._run_graph = DBOS.workflow(name="run_graph", max_recovery_attempts=_ATTEMPTS)(run_graph)

    def launch(self) -> None:
        """Open the file, and run again what a crash interrupted. Call it in the event loop that is to run them.

        Raises
        ------
        DataError
            If the file cannot be used.
        """
        # It logs what it raises as well, with a page of where that came from.
        log = logging.getLogger("dbos")
        log.addFilter(_not_of_the_launch)
        try:
            with _errors_of_sqlite():
                DBOS.launch()
        except sqlite3.Error as error:
            raise unusable(self._path, error) from None
        finally:
            log.removeFilter(_not_of_the_launch)

    def close(self) -> None:
        """Let go of the file. What is running stays unfinished, and goes on at the next launch."""
        DBOS.destroy(workflow_completion_timeout_sec=0)
        # The last connection that is closed puts everything into the one file, as a copy of it needs.
        self._database.dispose()

    async def start(self, run_id: str) -> None:
        """Start a run. One that was started before is not started again."""
        self._fresh.add(run_id)
        with SetWorkflowID(run_id), _errors_of_sqlite():
            await DBOS.start_workflow_async(self._run_graph, run_id)

    async def known(self, run_ids: list[str]) -> dict[str, bool]:
        """Return which of these runs were ever started, each with whether it is over."""
        found = {}
        for first in range(0, len(run_ids), _PAGE):
            with _errors_of_sqlite():
                page = await DBOS.list_workflows_async(
                    workflow_ids=run_ids[first : first + _PAGE], load_input=False, load_output=False
                )
            for status in page:
                found[status.workflow_id] = status.status not in ("PENDING", "ENQUEUED", "DELAYED")
        return found

    async def steps(self, run_id: str) -> list[Record]:
        """Return the recorded steps of a run, in the order of their places."""
        with _errors_of_sqlite():
            return [step["output"] for step in await DBOS.list_workflow_steps_async(run_id) if step["output"]]

    async def forget(self, run_ids: list[str]) -> None:
        """Delete runs with their steps."""
        with _errors_of_sqlite():
            await DBOS.delete_workflows_async(run_ids)


def _not_of_the_launch(record: logging.LogRecord) -> bool:
    return "failed to launch" not in record.getMessage()


@contextlib.contextmanager
def _errors_of_sqlite() -> Iterator[None]:
    """Raise what SQLite said, not what the layers above make of it."""
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        raise error.orig or error from None


def _connect(path: Path) -> sqlalchemy.Engine:
    # SQLite has one write lock: two connections use it best, and twenty fight for it for seconds.
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", pool_size=2, max_overflow=0, pool_timeout=30)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        # The engine's tables use functions that older SQLites have not, or count in whole seconds.
        if sqlite3.sqlite_version_info < _OLD_SQLITE:
            connection.create_function("unixepoch", 1, lambda _: round(time.time(), 3))
        if sys.version_info < (3, 12):
            connection.create_function("strftime", 2, lambda *_: f"{time.time():.3f}")

    return engine


def _refuse_pickles() -> None:
    # A row that says it is pickled is unpickled on reading, whatever serializer is set:
    # who can write the file could run code.
    def refuse(_self: DefaultSerializer, _data: str) -> Any:
        raise ValueError("a pickled value is not read")

    DefaultSerializer.deserialize = refuse  # type: ignore[method-assign, assignment]
