"""Runs from their acceptance to their end: which are under way, how far they are, and who waits for them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sqlite3
import uuid
from collections import OrderedDict, deque
from collections.abc import Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .database import is_passing, persistently
from .graph import Graph, read_graph
from .inputs import with_defaults
from .nodes import Call, Node, Services
from .steps import CANCELLED, COMPLETED, FAILED, RUNNING, Record, begin, run_step
from .store import Ending, NewRun, Store
from .values import dumps, loads, now
from .walk import Walk

if TYPE_CHECKING:
    from .engine import Engine, Places

QUEUED = "queued"
MAX_ACTIVE = 64
MAX_RECOVERIES = 20
_GRAPHS_KEPT = 128
_PRUNED_AT_ONCE = 500
_START_AGAIN = 3.0
_CANCEL_PATIENCE = 5.0
_log = logging.getLogger(__name__)


@dataclass
class _Live:
    """A run that is under way in this process."""

    row: sqlite3.Row
    graph: Graph
    steps: dict[str, Record] = field(default_factory=dict)
    walk: Walk | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class _Listener:
    """Somebody who waits: for the end of a run, or for any change."""

    change: asyncio.Future[sqlite3.Row | None]
    to_the_end: bool


@dataclass(frozen=True)
class View:
    """A run as it is now. ``steps`` is None where the engine has them; see :meth:`Runs.steps`."""

    row: Mapping[str, Any]
    status: str
    node_outputs: Mapping[str, Any]
    steps: list[Record] | None

    @property
    def finished(self) -> bool:
        """Whether it is over."""
        return self.row["ended"] is not None

    @property
    def tag(self) -> str:
        """Tell this state of the run and its steps from every other, also after a restart."""
        states = [[step["key"], step["status"]] for step in self.steps or ()]
        said = dumps([self.row["run_id"], self.status, self.row["ended"], states])
        return f'"{hashlib.sha256(said.encode()).hexdigest()[:20]}"'


class Runs:
    """Every run of this server.

    Parameters
    ----------
    store : Store
        Where they are written down.
    services : Services
        What their nodes may use.
    """

    _engine: Engine

    def __init__(self, store: Store, services: Services) -> None:
        self._store = store
        self._services = services
        self._live: dict[str, _Live] = {}
        self._waiting: deque[str] = deque()
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._interrupted: set[str] = set()
        # Rows that are as the store has them, so that it need not be asked again.
        self._accepted: dict[str, sqlite3.Row] = {}
        self._listeners: dict[str, list[_Listener]] = {}
        self._graphs: OrderedDict[tuple[str, int], tuple[Graph, bool]] = OrderedDict()
        self._ready = asyncio.Event()
        self._closing = False

    @property
    def active(self) -> int:
        """How many runs are under way or waiting."""
        return len(self._live.keys() | self._starting.keys() | self._interrupted) + len(self._waiting)

    async def recover(self, engine: Engine, *, crashed: bool) -> None:
        """Take up what an earlier server left unfinished. The engine has been launched."""
        self._engine = engine
        rows = await self._store.unfinished()
        known = await engine.known([row["run_id"] for row in rows])
        self._interrupted = {run_id for run_id, over in known.items() if not over}
        if crashed:
            await self._store.count_recovery(list(self._interrupted))
        for run_id, over in known.items():
            if over:
                await self._fail(run_id, "the engine ended this run without a result; look at the server's log")
        self._ready.set()
        for row in rows:
            if row["run_id"] not in known:
                self._dispatch(row["run_id"])

    def close(self) -> None:
        """Let those who wait for a run go, and start no more."""
        self._closing = True
        self._waiting.clear()
        for run_id in list(self._listeners):
            self._notify(run_id, over=True)

    async def accept(self, workflow: sqlite3.Row, inputs: Mapping[str, Any], key: str | None) -> str:
        """Accept a run, and return its id. When this returns, it is on the disk.

        Raises
        ------
        ValueError
            If the inputs are not those that the workflow declares.
        KeyReusedError
            If the idempotency key belongs to a different run.
        """
        graph, _ = await self.graph(workflow["workflow_id"], workflow["version"])
        complete = with_defaults(graph.inputs, inputs)
        defaults = {name: value for name, value in complete.items() if name not in inputs}
        run = NewRun(str(uuid.uuid4()), workflow["workflow_id"], workflow["version"], inputs, defaults, key)
        row, new = await self._store.accept(run)
        if new:
            self._accepted[row["run_id"]] = row
            self._dispatch(row["run_id"])
        return str(row["run_id"])

    async def graph(self, workflow_id: str, version: int) -> tuple[Graph, bool]:
        """Return a version of a workflow, and whether its code is trusted."""
        found = self._graphs.get((workflow_id, version))
        if found is None:
            row = await self._store.version(workflow_id, version)
            if row is None:
                raise LookupError(f"version {version} of workflow {workflow_id} is gone")
            found = read_graph(loads(row["document"])), bool(row["trusted"])
            self._graphs[workflow_id, version] = found
            if len(self._graphs) > _GRAPHS_KEPT:
                self._graphs.popitem(last=False)
        return found

    async def view(self, run_id: str) -> View | None:
        """Return a run as it is now."""
        live = self._live.get(run_id)
        row = live.row if live else self._accepted.get(run_id) or await self._store.run(run_id)
        return None if row is None else self.view_of(row)

    def view_of(self, row: sqlite3.Row) -> View:
        """Return the run of ``row`` as it is now."""
        live = self._live.get(row["run_id"])
        if row["ended"] is not None:
            return View(dict(row), row["status"], loads(row["node_outputs"]), None)
        if live is None:
            status = RUNNING if row["run_id"] in self._interrupted else QUEUED
            return View(dict(row), status, {}, None)
        outputs = live.walk.outputs() if live.walk else {}
        return View(dict(row), RUNNING, outputs, list(live.steps.values()))

    async def steps(self, view: View) -> list[Record]:
        """Return the steps of a run, in the order in which they began."""
        steps = view.steps
        if steps is None:
            steps = await self._engine.steps(view.row["run_id"])
        return sorted(steps, key=lambda step: int(step["started"]))

    async def wait(self, run_id: str, tag: str | None, seconds: float) -> View | None:
        """Return a run when its state is no longer ``tag`` (without one: when it is over), or the time is up."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        ended = None
        while True:
            listener = _Listener(loop.create_future(), to_the_end=tag is None)
            self._listeners.setdefault(run_id, []).append(listener)
            try:
                view = self.view_of(ended) if ended else await self.view(run_id)
                left = deadline - loop.time()
                if view is None or view.finished or left <= 0 or self._closing:
                    return view
                if tag is not None and view.tag != tag:
                    return view
                await asyncio.wait({listener.change}, timeout=left)
                ended = listener.change.result() if listener.change.done() else None
            finally:
                listeners = self._listeners.get(run_id, [])
                if listener in listeners:
                    listeners.remove(listener)
                if not listeners:
                    self._listeners.pop(run_id, None)

    async def cancel(self, run_id: str) -> bool:
        """Stop a run; return whether there was anything to stop."""
        live = self._live.get(run_id)
        outputs = live.walk.outputs() if live and live.walk else {}
        row = await self._finish(run_id, Ending(CANCELLED, "the run was cancelled", outputs))
        self._accepted.pop(run_id, None)
        if run_id in self._waiting:
            self._waiting.remove(run_id)
        # It may have begun meanwhile.
        live = self._live.get(run_id)
        if live:
            if live.walk:
                live.walk.stop.set()
            try:
                await asyncio.wait_for(live.over.wait(), _CANCEL_PATIENCE)
            except asyncio.TimeoutError:
                _log.warning("run %s is slow to stop", run_id)
        self._notify(run_id, row, over=True)
        return row is not None

    async def prune(self, *, days: float | None, keep: int | None) -> int:
        """Delete finished runs that are older, or more for a workflow, than asked; return how many."""
        before = None if days is None else now() - int(days * 86_400_000_000)
        old = await self._store.old_runs(before, keep)
        for first in range(0, len(old), _PRUNED_AT_ONCE):
            page = old[first : first + _PRUNED_AT_ONCE]
            await self._engine.forget(page)
            await self._store.forget(page)
        return len(old)

    async def work(self, run_id: str, places: Places) -> None:
        """Run a run to its end: what the engine calls, again after a crash."""
        await self._ready.wait()
        ended = None
        try:
            fresh = self._accepted.get(run_id)
            row = fresh or await self._store.run(run_id)
            if row is None or row["ended"] is not None:
                return
            if row["recovered"] > MAX_RECOVERIES:
                await self._fail(run_id, f"the server died {row['recovered']} times while this run was under way")
                return
            graph, trusted = await self.graph(row["workflow_id"], row["version"])
            if fresh and run_id not in self._accepted:
                return  # cancelled meanwhile
            live = self._live[run_id] = _Live(row, graph)
            self._notify(run_id)
            ending = await self._walk(live, places, trusted=trusted)
            ended = await persistently(lambda: self._finish(run_id, ending), f"the end of run {run_id}")
        except Exception as error:  # noqa: BLE001  (a run has to end, whatever happened)
            _log.exception("run %s ended by a fault of the server", run_id)
            await self._fail(run_id, f"a fault of the server, see its log: {type(error).__name__}: {error}")
        finally:
            self._accepted.pop(run_id, None)
            self._interrupted.discard(run_id)
            gone = self._live.pop(run_id, None)
            if gone:
                gone.over.set()
            self._notify(run_id, ended, over=True)
            self._next()

    async def _walk(self, live: _Live, places: Places, *, trusted: bool) -> Ending:
        row, graph = live.row, live.graph
        inputs = {**loads(row["inputs"]), **loads(row["defaults"])}

        async def execute(node: Node, key: str, scope: Mapping[str, Any], absent: Mapping[str, str]) -> Record:
            record = begin(node, key)
            live.steps[key] = record
            self._notify(row["run_id"])
            call = Call(node, row["run_id"], scope, self._services, trusted=trusted)
            return await run_step(dict(record), call, absent, walk.stop)

        def seen(record: Record) -> None:
            live.steps[record["key"]] = record
            self._notify(row["run_id"])

        walk = Walk(graph, inputs, reserve=places.reserve, execute=execute, seen=seen)
        live.walk = walk
        await walk.run()
        selected = None if graph.selected is None else dumps(walk.selected())
        status = FAILED if walk.failure else COMPLETED
        return Ending(status, walk.failure, walk.outputs(), selected)

    async def _finish(self, run_id: str, ending: Ending) -> sqlite3.Row | None:
        """Write down the end of a run; return its row, or None where it had ended before."""
        row = await self._store.finish(run_id, ending)
        live = self._live.get(run_id)
        if row is not None and live:
            live.row = row
        return row

    async def _fail(self, run_id: str, message: str) -> None:
        ending = Ending(FAILED, message, {})
        row = await persistently(lambda: self._finish(run_id, ending), f"the end of run {run_id}")
        self._notify(run_id, row, over=True)

    def _dispatch(self, run_id: str) -> None:
        self._waiting.append(run_id)
        self._next()

    def _next(self) -> None:
        while self._waiting and len(self._live.keys() | self._starting.keys()) < MAX_ACTIVE:
            run_id = self._waiting.popleft()
            # Begun where another run ends, it would be taken for a step of that one.
            self._starting[run_id] = Context().run(asyncio.create_task, self._start(run_id))

    async def _start(self, run_id: str) -> None:
        try:
            await self._engine.start(run_id)
        except Exception as error:  # noqa: BLE001
            # It stays accepted: after a while, or when the server starts again, it is started.
            _log.error("run %s could not be started: %s", run_id, error, exc_info=not is_passing(error))
            asyncio.get_running_loop().call_later(_START_AGAIN, self._dispatch, run_id)
        finally:
            del self._starting[run_id]

    def _notify(self, run_id: str, row: sqlite3.Row | None = None, *, over: bool = False) -> None:
        """Wake those who wait for a change of a run, or for its end; ``row`` is how it ended, where that is known."""
        listeners = self._listeners.get(run_id, [])
        for listener in [one for one in listeners if over or not one.to_the_end]:
            listeners.remove(listener)
            if not listener.change.done():
                listener.change.set_result(row)
