"""Runs as they are asked for: accepted, looked at, waited for, cancelled, and deleted when they are old."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .changes import Changes
from .engine import Engine
from .steps import RUNNING, Record
from .store import QUEUED, NewRun, Store
from .values import dumps, loads, now
from .versions import Versions

_PRUNED_AT_ONCE = 500


@dataclass(frozen=True)
class View:
    """A run as it is now. ``steps`` are those of a run that is under way; :meth:`Runs.steps` gives all, and whole."""

    row: sqlite3.Row
    status: str
    node_outputs: Mapping[str, Any]
    steps: list[Record]

    @property
    def finished(self) -> bool:
        """Whether it is over."""
        return self.row["ended"] is not None

    @property
    def tag(self) -> str:
        """Tell this state of the run and its steps from every other, also after a restart."""
        states = [[step["key"], step["status"]] for step in self.steps]
        said = dumps([self.row["run_id"], self.status, self.row["ended"], states])
        return f'"{hashlib.sha256(said.encode()).hexdigest()[:20]}"'


class Runs:
    """Every run of this server.

    Parameters
    ----------
    store : Store
        Where they are written down.
    versions : Versions
        The graphs of the workflows.
    engine : Engine
        What takes them to their end.
    changes : Changes
        How who waits for them is woken.
    """

    def __init__(self, store: Store, versions: Versions, engine: Engine, changes: Changes) -> None:
        self._store = store
        self._versions = versions
        self._engine = engine
        self._changes = changes
        self._closing = False

    @property
    def active(self) -> int:
        """How many runs are under way or waiting."""
        return self._engine.active

    def close(self) -> None:
        """Let those who wait for a run go."""
        self._closing = True
        self._changes.close()

    async def accept(self, workflow_id: str, inputs: Mapping[str, Any], key: str | None) -> str:
        """Accept a run, and return its id. When this returns, it is on the disk.

        Raises
        ------
        LookupError
            If there is no such workflow.
        ValueError
            If the inputs are not those that the workflow declares.
        KeyReusedError
            If the idempotency key belongs to a different run.
        """
        try:
            version, graph = await self._versions.current(workflow_id)
            complete = graph.complete(inputs)
        except (LookupError, ValueError):
            # What is asked again after its answer was lost has begun, whatever became of the workflow since.
            row = await self._store.accepted(workflow_id, inputs, key)
            if row is None:
                raise
            return str(row["run_id"])
        defaults = {name: value for name, value in complete.items() if name not in inputs}
        row, new = await self._store.accept(
            NewRun(str(uuid.uuid4()), workflow_id, version, inputs, defaults, key),
        )
        run_id = str(row["run_id"])
        if new:
            self._engine.start(run_id, row)
        return run_id

    async def view(self, run_id: str) -> View | None:
        """Return a run as it is now."""
        live = self._engine.live(run_id)
        row = live.row if live and live.row else await self._store.run(run_id)
        return None if row is None else await self.view_of(row)

    async def view_of(self, row: sqlite3.Row) -> View:
        """Return the run whose row was read just now."""
        run_id = row["run_id"]
        live = self._engine.live(run_id)
        if row["ended"] is None and live is None and not self._engine.waits(run_id):
            # It ended between the reading and now.
            row = await self._store.run(run_id) or row
        if row["ended"] is not None:
            return View(row, row["status"], loads(row["node_outputs"]), [])
        if live is None:
            return View(row, QUEUED, {}, [])
        return View(row, RUNNING, live.outputs(), list(live.steps.values()))

    async def steps(self, view: View) -> list[Record]:
        """Return the steps of a run, in the order in which they began."""
        live = self._engine.live(view.row["run_id"])
        # Those first: what ends while the store is read is whole in one of the two.
        running = [step for step in live.steps.values() if step["status"] == RUNNING] if live else []
        recorded = await self._store.steps(view.row["seq"])
        known = {step["key"] for step in recorded}
        under_way = [step for step in running if step["key"] not in known]
        return sorted([*recorded, *under_way], key=lambda step: int(step["started"]))

    async def wait(self, run_id: str, tag: str | None, seconds: float) -> View | None:
        """Return a run when its state is no longer ``tag`` (without one: when it is over), or the time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        ended = None
        while True:
            with self._changes.listening(run_id, to_the_end=tag is None) as listener:
                view = await self.view_of(ended) if ended else await self.view(run_id)
                left = deadline - loop.time()
                if view is None or view.finished or left <= 0 or self._closing:
                    return view
                if tag is not None and view.tag != tag:
                    return view
                await asyncio.wait({listener.change}, timeout=left)
                ended = listener.change.result() if listener.change.done() else None

    async def cancel(self, run_id: str) -> bool:
        """Stop a run; return whether there was anything to stop."""
        return await self._engine.cancel(run_id)

    async def prune(self, *, days: float | None, keep: int | None) -> int:
        """Delete finished runs that are older, or more for a workflow, than asked; return how many."""
        before = None if days is None else now() - int(days * 86_400_000_000)
        # One that was cancelled may still be ending its steps, and they are written down.
        old = [run_id for run_id in await self._store.old_runs(before, keep) if not self._engine.live(run_id)]
        for first in range(0, len(old), _PRUNED_AT_ONCE):
            await self._store.forget(old[first : first + _PRUNED_AT_ONCE])
        return len(old)
