"""The way of a run through its graph: what can run at the same time does, and what no way leads to does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from .graph import START, Graph
from .nodes import TYPES, Node
from .steps import COMPLETED, FAILED, Record, Stop, mapped


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
        self._recorded = recorded
        self._execute = execute
        self._seen = seen
        self._stop = stop
        self.failure: str | None = None
        """Why the run failed, with the node named."""
        self._last: dict[str, Record] = {}

    async def run(self) -> None:
        """Go the whole way."""
        done: dict[str, asyncio.Task[None]] = {}
        for component in self._graph.components:
            sources = {source for name in component for source in self._graph.sources.get(name, ())}
            before = [done[source] for source in sources if source in done]
            task = asyncio.create_task(self._component(component, before))
            done.update(dict.fromkeys(component, task))
        tasks = set(done.values())
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            # Steps end their processes before anybody thinks that the run is over.
            await asyncio.wait(tasks)

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
        """Go round in steps: all nodes that were reached run together, then those that they lead to."""
        visits = dict.fromkeys(component, 0)
        reached = [name for name in component if self._entered(name, component)]
        while reached and not self._stop.is_set():
            for name in reached:
                visits[name] += 1
                if visits[name] > self._graph.max_visits:
                    limit = self._graph.max_visits
                    self._fail(name, f"the loop came round more than settings.max_visits = {limit} times")
                    return
            await asyncio.gather(*(self._node(name, f"{name}#{visits[name]}") for name in reached))
            reached = [name for name in component if any(self._leads(source, name) for source in reached)]

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

    async def _node(self, name: str, key: str) -> None:
        if self._stop.is_set():
            return
        record = self._recorded.get(key)
        if record is None:
            scope, absent = self._scope(name)
            record = await self._execute(self._graph.nodes[name], key, scope, absent)
        self._last[name] = record
        self._seen(record)
        if record["status"] == FAILED and not record["survived"]:
            self._fail(name, record["error"])

    def _fail(self, name: str, message: str) -> None:
        self.failure = self.failure or f"{name}: {message}"
        self._stop.set()

    def _scope(self, name: str) -> tuple[dict[str, Any], dict[str, str]]:
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


def _has_output(record: Record) -> bool:
    return bool(record["status"] == COMPLETED or record["survived"])
