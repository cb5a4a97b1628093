"""The engine in this process, with nodes that do what a test wants."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestra_magic.local.changes import Changes
from orchestra_magic.local.engine import Engine
from orchestra_magic.local.nodes import Call, NodeType, Outcome, Services
from orchestra_magic.local.references import fill
from orchestra_magic.local.runs import Runs
from orchestra_magic.local.store import Store
from orchestra_magic.local.versions import Versions


class Doing(NodeType):
    """A node that awaits ``work`` with what its ``to`` stands for, and gives what it returns."""

    name = "doing"

    def __init__(self, work: Callable[[Any, Call], Awaitable[Any]]) -> None:
        self.work = work

    def inputs(self, call: Call) -> dict[str, Any]:
        return {"to": fill(call.node.metadata.get("to"), call.scope)}

    async def run(self, inputs: dict[str, Any], call: Call) -> Outcome:
        return Outcome(await self.work(inputs["to"], call))


def doing(to: Any = None, **metadata: Any) -> dict[str, Any]:
    """Return such a node."""
    return {"type": "doing", "metadata": {"to": to, **metadata}}


def choice(variable: str, operator: str, value: Any, then: str, otherwise: str) -> dict[str, Any]:
    """Return a node that leads to ``then`` or ``otherwise``."""
    criteria = [{"variable": variable, "operator": operator, "value": value}]
    conditions = [{"name": "first", "criteria": criteria, "then": then}]
    return {"type": "conditional", "metadata": {"conditions": conditions, "else": otherwise}}


@dataclass
class Life:
    """One life of a server, from its start to its end or its death."""

    store: Store
    engine: Engine
    runs: Runs

    async def start(self, graph: Any, inputs: Any = None) -> str:
        await self.store.save("w", "w", graph)
        return await self.runs.accept("w", inputs or {}, None)


@contextlib.asynccontextmanager
async def life(store: Store | Path) -> AsyncIterator[Life]:
    """Live on a store, or on the one in a folder; at the end, what is under way is left as it is."""
    made = Store(store) if isinstance(store, Path) else store
    versions, changes = Versions(made), Changes()
    engine = Engine(made, versions, Services(None, None), changes)  # type: ignore[arg-type]
    try:
        yield Life(made, engine, Runs(made, versions, engine, changes))
    finally:
        await engine.close()
        made.close()
