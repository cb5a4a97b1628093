"""The floor: a graph interpreted by plain asyncio, each change of state one commit in a SQLite of its own.

It does what an engine cannot do without: accept a run, run what can run, and write both down. It commits inside
its event loop, which answers nobody while the disk is busy; with "threaded", in a thread, as a server should.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_CREATE = """
CREATE TABLE runs (run_id TEXT PRIMARY KEY, inputs TEXT, status TEXT, started INTEGER, ended INTEGER, outputs TEXT);
CREATE TABLE steps (run_id TEXT, node TEXT, ended INTEGER, output TEXT, PRIMARY KEY (run_id, node));
"""
NODES = ("a", "b", "c")
EDGES = {"a": (), "b": ("a",), "c": ("b",)}


class Floor:
    """Runs the graph of three nodes that do nothing."""

    def __init__(self, folder: Path, *, threaded: bool) -> None:
        self._db = sqlite3.connect(folder / "floor.sqlite", isolation_level=None, check_same_thread=False)
        self._writer = ThreadPoolExecutor(1) if threaded else None
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_CREATE)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def _commit(self, query: str, row: tuple[Any, ...]) -> None:
        if self._writer:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._db.execute, query, row)
        else:
            self._db.execute(query, row)

    async def accept(self, inputs: Any) -> str:
        """Write a run down, and start it."""
        run_id = str(uuid.uuid4())
        row = (run_id, json.dumps(inputs), "running", time.time_ns())
        await self._commit("INSERT INTO runs VALUES (?, ?, ?, ?, NULL, NULL)", row)
        self._tasks[run_id] = asyncio.create_task(self._work(run_id))
        return run_id

    async def finish(self, run_id: str) -> tuple[Any, ...]:
        """Return the row of a run when it is over."""
        task = self._tasks.get(run_id)
        if task:
            await task
        return self._db.execute("SELECT * FROM runs WHERE run_id = ?", (run_id,)).fetchone()

    async def _work(self, run_id: str) -> None:
        done: dict[str, asyncio.Task[None]] = {}
        for name in NODES:
            done[name] = asyncio.create_task(self._node(run_id, name, [done[source] for source in EDGES[name]]))
        await asyncio.gather(*done.values())
        query = "UPDATE runs SET status = 'completed', ended = ?, outputs = ? WHERE run_id = ?"
        await self._commit(query, (time.time_ns(), "{}", run_id))
        del self._tasks[run_id]

    async def _node(self, run_id: str, name: str, before: list[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        row = (run_id, name, time.time_ns(), json.dumps({"output": {}}))
        await self._commit("INSERT INTO steps VALUES (?, ?, ?, ?)", row)


async def _main(folder: str, runs: int, clients: int, *, threaded: bool) -> None:
    from pace import pace, say

    floor = Floor(Path(folder), threaded=threaded)

    async def run(number: int) -> None:
        row = await floor.finish(await floor.accept({"n": number}))
        assert row[2] == "completed", row

    say(await pace(run, runs, clients))


def _serve(folder: str, port: int, *, threaded: bool) -> None:
    """Answer POST (accept) and GET (the run, when it is over), as the embedded Orchestra does."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    floor = Floor(Path(folder), threaded=threaded)

    async def accept(request: Request) -> JSONResponse:
        return JSONResponse({"run_id": await floor.accept(await request.json())})

    async def finish(request: Request) -> JSONResponse:
        return JSONResponse([await floor.finish(request.path_params["run_id"])])

    routes = [Route("/execute", accept, methods=["POST"]), Route("/runs/{run_id}", finish, methods=["GET"])]
    config = {"loop": "asyncio", "http": "h11", "ws": "none", "access_log": False, "lifespan": "off"}
    uvicorn.run(Starlette(routes=routes), port=port, log_level="error", **config)


def main(*, threaded: bool = False) -> None:
    """Do what the command line says."""
    if sys.argv[1] == "serve":
        _serve(sys.argv[2], int(sys.argv[3]), threaded=threaded)
    else:
        asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), threaded=threaded))


if __name__ == "__main__":
    main()
