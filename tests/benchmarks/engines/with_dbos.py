"""dbos, a library for durable workflows, set up as well as SQLite lets it be. Run in an environment of its own.

Its defaults are a rollback journal and twenty connections, which take a second for what this takes in milliseconds.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import sqlalchemy
from dbos import DBOS, SetWorkflowID
from dbos._serialization import DBOSPortableJSONSerializer
from pace import pace, say
from sqlalchemy import event

NODES = ("a", "b", "c")
over: dict[str, asyncio.Event] = {}


def _connect(path: Path) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", pool_size=2, max_overflow=0, pool_timeout=30)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        if sqlite3.sqlite_version_info < (3, 42):
            connection.create_function("unixepoch", 1, lambda _: round(time.time(), 3))
        if sys.version_info < (3, 12):
            connection.create_function("strftime", 2, lambda *_: f"{time.time():.3f}")

    return engine


@DBOS.workflow()
async def graph(run_id: str) -> None:
    """Three nodes, one after the other."""
    for name, place in [(name, DBOS.reserve_step()) for name in NODES]:
        await place.run_async({"name": name}, lambda: {"output": {}})
    over[run_id].set()


async def _run(_number: int) -> None:
    run_id = str(uuid.uuid4())
    over[run_id] = asyncio.Event()
    with SetWorkflowID(run_id):
        await DBOS.start_workflow_async(graph, run_id)
    await over[run_id].wait()


async def _main(folder: str, runs: int, clients: int) -> None:
    DBOS(
        config={
            "name": "benchmark",
            "system_database_engine": _connect(Path(folder) / "dbos.sqlite"),
            "application_version": "1",
            "executor_id": "local",
            "serializer": DBOSPortableJSONSerializer(),
            "max_executor_threads": 16,
            "log_level": "WARNING",
        }
    )
    DBOS.launch()
    figures = await pace(_run, runs, clients)
    DBOS.destroy(workflow_completion_timeout_sec=0)
    say(figures)


asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
