"""Runs what was accepted, durably: each step is on the disk before what follows it begins.

Whatever ended the server before, the next one runs again every run that has no end. A step that is recorded
returns what it returned; one that was under way begins anew, so what it does outside may happen twice.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .changes import Changes
from .nodes import Call, Node, Services
from .patience import persistently
from .steps import CANCELLED, COMPLETED, FAILED, Record, Stop, begin, outline, run_step
from .store import QUEUED, Ending, Store
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
    """Its steps, without what is large once they are recorded."""
    stop: Stop = field(default_factory=Stop)
    cancelled: bool = False
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
        self._waiting: dict[str, None] = {}  # in the order of its keys
        self._closed = False

    @property
    def active(self) -> int:
        """How many runs are under way or waiting."""
        return len(self._live) + len(self._waiting)

    def live(self, run_id: str) -> Live | None:
        """Return a run that is under way."""
        return self._live.get(run_id)

    def waits(self, run_id: str) -> bool:
        """Tell whether a run waits for its turn."""
        return run_id in self._waiting

    async def recover(self, *, crashed: bool) -> None:
        """Take up every run that has no end. Those that a crash interrupted are counted."""
        run_ids = await self._store.unfinished()
        if crashed:
            await self._store.count_recovery(run_ids[:MAX_ACTIVE])
        for run_id in run_ids:
            self.start(run_id)

    def start(self, run_id: str, row: sqlite3.Row | None = None) -> None:
        """Start a run, or let it wait for its turn; ``row`` is what was written of it just now."""
        if self._waiting or self._closed or len(self._live) >= MAX_ACTIVE:
            self._waiting[run_id] = None
        else:
            self._begin(run_id, row)

    async def cancel(self, run_id: str) -> bool:
        """Stop a run; return whether there was anything to stop.

        Raises
        ------
        sqlite3.Error
            If it has not begun and its end cannot be written down.
        """
        live = self._live.get(run_id)
        if live:
            # Whatever becomes of the disk, nothing of it goes on.
            live.cancelled = True
            live.stop.set()
        ended = None
        try:
            ended = await self._store.finish(run_id, _cancelled(live))
        except (OSError, sqlite3.Error):
            if live is None:
                raise
        self._waiting.pop(run_id, None)
        live = live or self._live.get(run_id)  # it may have begun meanwhile
        if live and live.task:
            live.row = ended or live.row
            live.stop.set()
            await asyncio.wait({live.task}, timeout=_STOP_PATIENCE)
            if not live.task.done():
                _log.warning("run %s is slow to stop", run_id)
        self._changes.tell(run_id, ended, over=True)
        return ended is not None or bool(live and live.row and live.row["status"] in (QUEUED, CANCELLED))

    async def close(self) -> None:
        """Leave what is under way, as a crash would: the next server goes on with it."""
        self._closed = True
        tasks = [live.task for live in self._live.values() if live.task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_PATIENCE)

    def _next(self) -> None:
        while self._waiting and len(self._live) < MAX_ACTIVE:
            first = next(iter(self._waiting))
            del self._waiting[first]
            self._begin(first)

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
                ended = await self._finish(live, _cancelled(live) if live.cancelled else ending)
        except Exception as error:  # noqa: BLE001  (a run has to end, whatever happened)
            _log.exception("run %s ended by a fault of the server", live.run_id)
            said = f"a fault of the server, see its log: {type(error).__name__}: {error}"
            ended = await self._finish(live, Ending(FAILED, said, live.outputs()))
        finally:
            if not self._closed:  # else it is still under way, for whoever looks
                del self._live[live.run_id]
                self._changes.tell(live.run_id, ended, over=True)
                self._next()

    async def _walk(self, live: Live, row: sqlite3.Row) -> Ending:
        graph, trusted = await self._versions.graph(row["workflow_id"], row["version"])
        recorded = [] if live.fresh else await self._store.steps(row["seq"])
        live.steps.update((record["key"], outline(record)) for record in recorded)

        async def execute(node: Node, key: str, scope: Mapping[str, Any], absent: Mapping[str, str]) -> Record:
            record = begin(node, key)
            live.steps[key] = record
            self._changes.tell(live.run_id)
            call = Call(node, live.run_id, key, scope, self._services, trusted=trusted)
            done = await run_step(dict(record), call, absent, live.stop)
            await persistently(lambda: self._store.record(row["seq"], done), f"step {key}")
            return done

        def seen(record: Record) -> None:
            live.steps[record["key"]] = outline(record)
            self._changes.tell(live.run_id)

        walk = live.walk = Walk(
            graph,
            {**loads(row["inputs"]), **loads(row["defaults"])},
            recorded={record["key"]: record for record in recorded},
            execute=execute,
            seen=seen,
            stop=live.stop,
        )
        if row["recovered"] > MAX_RECOVERIES:
            said = f"the server died {row['recovered']} times while this run was under way"
            return Ending(FAILED, said, live.outputs())
        await walk.run()
        selected = None if graph.selected is None else dumps(walk.selected())
        return Ending(FAILED if walk.failure else COMPLETED, walk.failure, walk.outputs(), selected)

    async def _finish(self, live: Live, ending: Ending) -> sqlite3.Row | None:
        """Write down how a run ended; return its row, or None where it had ended before."""
        finish = self._store.finish
        row = await persistently(lambda: finish(live.run_id, ending), f"the end of run {live.run_id}")
        live.row = row or live.row
        return row


def _cancelled(live: Live | None) -> Ending:
    return Ending(CANCELLED, "the run was cancelled", live.outputs() if live else {})
