"""The way of a run through its graph: what can run at the same time does, and what no way leads to does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from .graph import START, Graph
from .nodes import TYPES, Node
from .order import later
from .steps import COMPLETED, FAILED, Record, Stop, mapped

T = TypeVar("T")
Scope = tuple[Mapping[str, Any], Mapping[str, str]]
"""What a node may refer to, and why names are missing that it could have been given."""


class Execute(Protocol):
    """Runs one node: what the walk asks for."""

    def __call__(self, node: Node, key: str, scope: Mapping[str, Any], absent: Mapping[str, str]) -> Awaitable[Record]:
        """Return the finished record of the step, when it is written down."""


class Walk:
    """One run's way through ``graph``.

    Parameters
    ----------
    graph : Graph
        What to run.
    inputs : Mapping[str, Any]
        The inputs, defaults included.
    recorded : Mapping[str, dict]
        What earlier attempts at this run recorded, by the keys of the steps: it is recalled, not run again.
    execute : Execute
        Runs one node.
    seen : Callable[[Record], None]
        Hears of every finished step, also one that is only recalled.
    stop : Stop
        Ends the steps under way, and begins no more.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Mapping[str, Any],
        *,
        recorded: Mapping[str, Record],
        execute: Execute,
        seen: Callable[[Record], None],
        stop: Stop,
    ) -> None:
        self._graph = graph
        self._inputs = inputs
        self._recorded = dict(recorded)
        self._execute = execute
        self._seen = seen
        self._stop = stop
        self.failure: str | None = None
        """Why the run failed, with the node named."""
        self._last: dict[str, Record] = {}
        failed = [record for record in recorded.values() if _is_the_end(record)]
        if failed:
            # Before it is recalled in its place, the others would begin what they never would have.
            first = min(failed, key=lambda record: int(record["ended"]))
            self._fail(first["node"], first["error"])

    async def run(self) -> None:
        """Go the whole way."""
        done: dict[str, asyncio.Task[None]] = {}
        for component in self._graph.components:
            sources = {source for name in component for source in self._graph.sources.get(name, ())}
            before = [done[source] for source in sources if source in done]
            task = asyncio.create_task(self._component(component, before))
            done.update(dict.fromkeys(component, task))
        await _all(set(done.values()))

    def outputs(self) -> dict[str, Any]:
        """Return the variables of every node that has an output, in topological order."""
        found: dict[str, Any] = {}
        for component in self._graph.components:
            for name in component:
                found.update(self._mapped(name))
        return found

    def selected(self) -> Any:
        """Return the output of the node that the graph selects, or None if it was not run."""
        name = self._graph.selected
        if name not in self._graph.nodes:
            return self.outputs().get(str(name))
        variables = self._mapped(name)
        return next(iter(variables.values())) if len(variables) == 1 else variables or None

    async def _component(self, component: list[str], before: list[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        if self._graph.in_loop(component):
            await self._loop(component)
        elif self._entered(component[0], component):
            await self._node(component[0], component[0])

    async def _loop(self, component: list[str]) -> None:
        """Go round: what was reached runs, once nothing else can still lead to it in the same round."""
        reached = [name for name in component if self._entered(name, component)]
        inner = {name: [target for target in self._graph.inner(name) if target in component] for name in component}
        after = later(reached, inner)
        visits = dict.fromkeys(component, 0)
        while reached:
            ready = [name for name in reached if not any(name in after[one] for one in reached if one != name)]
            for name in ready:
                visits[name] += 1
                if visits[name] > self._graph.max_visits:
                    limit = self._graph.max_visits
                    self._fail(name, f"the loop came round more than settings.max_visits = {limit} times")
                    return
            # Each sees what there was before any of them ran, also where some are only recalled.
            works = [self._node(name, f"{name}#{visits[name]}") for name in ready]
            if not all(await _all({asyncio.ensure_future(work) for work in works})):
                return
            reached = [
                name
                for name in component
                if (name in reached and name not in ready) or any(self._leads(source, name) for source in ready)
            ]

    def _entered(self, name: str, component: list[str]) -> bool:
        """Tell whether a live edge leads to ``name`` from outside its loop."""
        sources = self._graph.sources.get(name, ())
        return any(self._leads(source, name) for source in sources if source not in component)

    def _leads(self, source: str, target: str) -> bool:
        if source == START:
            return True
        record = self._last.get(source)
        if record is None or target not in self._graph.edges.get(source, ()) or not _has_output(record):
            return False
        return record["targets"] is None or target in record["targets"]

    def _node(self, name: str, key: str) -> Awaitable[bool]:
        """Return what runs a node, or recalls it, with what there is to refer to now; it tells whether it did."""
        recorded = self._recorded.pop(key, None)
        return self._run(name, key, recorded, self._scope(name))

    async def _run(self, name: str, key: str, record: Record | None, scope: Scope) -> bool:
        if record is None:
            if self._stop.is_set():
                return False
            record = await self._execute(self._graph.nodes[name], key, *scope)
        self._last[name] = record
        self._seen(record)
        if _is_the_end(record):
            self._fail(name, record["error"])
        return True

    def _fail(self, name: str, message: str) -> None:
        self.failure = self.failure or f"{name}: {message}"
        self._stop.set()

    def _scope(self, name: str) -> Scope:
        """Return what ``name`` may refer to, and why names are missing that it could have been given."""
        scope = dict(self._inputs)
        absent: dict[str, str] = {}
        mates = next(one for one in self._graph.components if name in one)
        for other in self._graph.earlier[name]:
            variables = self._mapped(other)
            scope.update(variables)
            for variable in self._graph.mapping(other).keys() - variables.keys():
                if other in mates and other not in self._last:
                    # In the first round, what comes later in the loop has not been yet.
                    scope.setdefault(variable, None)
                elif other in self._last:
                    absent[variable] = f"{other!r} failed: {self._last[other]['error']}"
                else:
                    absent[variable] = f"{other!r} was not run: the way led past it"
        return scope, {variable: why for variable, why in absent.items() if variable not in scope}

    def _mapped(self, name: str | None) -> dict[str, Any]:
        record = self._last.get(name or "")
        if record is None or not _has_output(record):
            return {}
        node = self._graph.nodes[record["node"]]
        return mapped(TYPES[node.type], node, record["output"], partly=True)


async def _all(tasks: set[asyncio.Future[T]]) -> list[T]:
    """Return what each gives. Where one raises, or this is cancelled, the others have ended first."""
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _is_the_end(record: Record) -> bool:
    """Tell whether the run fails by this step."""
    return record["status"] == FAILED and not record["survived"]


def _has_output(record: Record) -> bool:
    return bool(record["status"] == COMPLETED or record["survived"])
