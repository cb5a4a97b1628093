"""Runs what was accepted, durably: each step is on the disk before what follows it begins.

Whatever ended the server before, the next one runs again every run that has no end. A step that is recorded
returns what it returned; one that was under way begins anew, so what it does outside may happen twice.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .changes import Changes
from .database import persistently
from .nodes import Call, Node, Services
from .steps import COMPLETED, FAILED, Record, Stop, begin, run_step
from .store import Ending, Store
from .values import dumps, loads
from .versions import Versions
from .walk import Walk

MAX_ACTIVE = 64
MAX_RECOVERIES = 20
_STOP_PATIENCE = 5.0
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Live:
    """A run that is under way in this process. ``row`` is None until it is read."""

    run_id: str
    row: sqlite3.Row | None
    fresh: bool
    """Whether it was accepted just now, so that nothing of it can be recorded."""
    steps: dict[str, Record] = field(default_factory=dict)
    stop: Stop = field(default_factory=Stop)
    walk: Walk | None = None
    task: asyncio.Task[None] | None = None

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of its nodes so far."""
        return self.walk.outputs() if self.walk else {}


class Engine:
    """Takes runs to their end, :data:`MAX_ACTIVE` at a time, in the order in which they were accepted.

    Parameters
    ----------
    store : Store
        Where runs and their steps are recorded.
    versions : Versions
        The graphs that they go through.
    services : Services
        What their nodes may use.
    changes : Changes
        Who hears of their steps and their ends.
    """

    def __init__(self, store: Store, versions: Versions, services: Services, changes: Changes) -> None:
        self._store = store
        self._versions = versions
        self._services = services
        self._changes = changes
        self._live: dict[str, Live] = {}
        self._waiting: deque[str] = deque()

    @property
    def active(self) -> int:
        """How many runs are under way or waiting."""
        return len(self._live) + len(self._waiting)

    def live(self, run_id: str) -> Live | None:
        """Return a run that is under way."""
        return self._live.get(run_id)

    async def recover(self, *, crashed: bool) -> None:
        """Take up every run that has no end. Those that a crash interrupted are counted."""
        run_ids = await self._store.unfinished()
        if crashed:
            await self._store.count_recovery(run_ids[:MAX_ACTIVE])
        for run_id in run_ids:
            self.start(run_id)

    def start(self, run_id: str, row: sqlite3.Row | None = None) -> None:
        """Start a run, or let it wait for its turn; ``row`` is what was written of it just now."""
        if self._waiting or len(self._live) >= MAX_ACTIVE:
            self._waiting.append(run_id)
        else:
            self._begin(run_id, row)

    async def stop(self, run_id: str, row: sqlite3.Row | None) -> None:
        """End the steps of a run that was ended from outside; ``row`` says how. One that waits never begins."""
        if run_id in self._waiting:
            self._waiting.remove(run_id)
        live = self._live.get(run_id)
        if live and live.task:
            live.row = row or live.row
            live.stop.set()
            await asyncio.wait({live.task}, timeout=_STOP_PATIENCE)
            if not live.task.done():
                _log.warning("run %s is slow to stop", run_id)

    async def close(self) -> None:
        """Leave what is under way, as a crash would: the next server goes on with it."""
        self._waiting.clear()
        tasks = [live.task for live in self._live.values() if live.task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_PATIENCE)

    def _begin(self, run_id: str, row: sqlite3.Row | None = None) -> None:
        live = self._live[run_id] = Live(run_id, row, fresh=row is not None)
        live.task = asyncio.create_task(self._work(live))

    async def _work(self, live: Live) -> None:
        """Take a run to its end. It has one, whatever happens."""
        ended = None
        try:
            row = live.row = live.row or await self._store.run(live.run_id)
            if row is not None and row["ended"] is None:
                ending = await self._walk(live, row)
                ended = await self._finish(live, ending)
        except Exception as error:  # noqa: BLE001  (a run has to end, whatever happened)
            _log.exception("run %s ended by a fault of the server", live.run_id)
            said = f"a fault of the server, see its log: {type(error).__name__}: {error}"
            ended = await self._finish(live, Ending(FAILED, said, {}))
        finally:
            del self._live[live.run_id]
            self._changes.tell(live.run_id, ended, over=True)
            while self._waiting and len(self._live) < MAX_ACTIVE:
                self._begin(self._waiting.popleft())

    async def _walk(self, live: Live, row: sqlite3.Row) -> Ending:
        if row["recovered"] > MAX_RECOVERIES:
            return Ending(FAILED, f"the server died {row['recovered']} times while this run was under way", {})
        graph, trusted = await self._versions.graph(row["workflow_id"], row["version"])
        recorded = [] if live.fresh else await self._store.steps(row["seq"])

        async def execute(node: Node, key: str, scope: Mapping[str, Any], absent: Mapping[str, str]) -> Record:
            record = begin(node, key)
            live.steps[key] = record
            self._changes.tell(live.run_id)
            call = Call(node, live.run_id, scope, self._services, trusted=trusted)
            done = await run_step(dict(record), call, absent, live.stop)
            await persistently(lambda: self._store.record(row["seq"], done), f"step {key}")
            return done

        def seen(record: Record) -> None:
            live.steps[record["key"]] = record
            self._changes.tell(live.run_id)

        walk = live.walk = Walk(
            graph,
            {**loads(row["inputs"]), **loads(row["defaults"])},
            recorded={record["key"]: record for record in recorded},
            execute=execute,
            seen=seen,
            stop=live.stop,
        )
        await walk.run()
        selected = None if graph.selected is None else dumps(walk.selected())
        return Ending(FAILED if walk.failure else COMPLETED, walk.failure, walk.outputs(), selected)

    async def _finish(self, live: Live, ending: Ending) -> sqlite3.Row | None:
        """Write down how a run ended; return its row, or None where it had ended before."""
        finish = self._store.finish
        row = await persistently(lambda: finish(live.run_id, ending), f"the end of run {live.run_id}")
        live.row = row or live.row
        return row
