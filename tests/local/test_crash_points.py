"""A server that dies at any write: before it or after it, every one of a run with branches, a choice and a loop."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from orchestra_magic.local.changes import Changes
from orchestra_magic.local.engine import Engine
from orchestra_magic.local.nodes import TYPES, NodeType, Outcome, Services
from orchestra_magic.local.references import fill
from orchestra_magic.local.runs import Runs
from orchestra_magic.local.store import Store
from orchestra_magic.local.versions import Versions

from .graphs import graph


class Adding(NodeType):
    """Adds one to what it is given, and counts how often it was run."""

    name = "adding"

    def __init__(self):
        self.executed = Counter()

    def inputs(self, call):
        return {"to": fill(call.node.metadata["to"], call.scope) or 0}

    async def run(self, inputs, call):
        self.executed[call.node.name, inputs["to"]] += 1
        await asyncio.sleep(0)
        return Outcome(inputs["to"] + 1)


def adding(to):
    return {"type": "adding", "metadata": {"to": to}}


def choice(variable, operator, value, then, otherwise):
    criteria = [{"variable": variable, "operator": operator, "value": value}]
    conditions = [{"name": "first", "criteria": criteria, "then": then}]
    return {"type": "conditional", "metadata": {"conditions": conditions, "else": otherwise}}


GRAPH = graph(
    {
        "a": adding("{{n}}"),
        "left": adding("{{a}}"),
        "right": adding("{{a}}"),
        "which": choice("{{left}}", ">", 100, "never", "join"),
        "never": adding("{{left}}"),
        "join": adding("{{right}}"),
        "again": adding("{{again}}"),
        "enough": choice("{{again}}", "<", 3, "again", "last"),
        "last": adding("{{again}}"),
    },
    *("START a", "a left", "a right", "left which", "which never", "which join", "right join", "never join"),
    *("join again", "again enough", "enough again", "enough last", "last END"),
    settings={"max_visits": 5},
    selectedOutput="last",
    input_data={"n": "integer"},
)
KEYS = ["a", "again#1", "again#2", "again#3", "enough#1", "enough#2", "enough#3", "join", "last", "left", "right"]
KEYS += ["which"]


class Dying(Store):
    """A store whose server dies at one write of a run: just before it, or just after."""

    def __init__(self, folder, at, *, written):
        super().__init__(folder)
        self.writes = 0
        self.at = at
        self.written = written
        self.died = asyncio.Event()

    async def _or_die(self, write: Any) -> Any:
        self.writes += 1
        if self.writes < self.at:
            return await write
        if self.writes == self.at and self.written:
            await write
        else:
            write.close()
        self.died.set()
        return await asyncio.Future()

    async def record(self, seq, step):
        return await self._or_die(super().record(seq, step))

    async def finish(self, run_id, ending):
        return await self._or_die(super().finish(run_id, ending))


def assembled(store):
    versions, changes = Versions(store), Changes()
    engine = Engine(store, versions, Services(None, None), changes)
    return engine, Runs(store, versions, engine, changes)


async def life(folder, at, *, written):
    """Run the graph in a server that dies; return the run's id. The run is over where it does not come to that."""
    store = Dying(folder, at, written=written)
    await store.save("w", "w", GRAPH)
    engine, runs = assembled(store)
    run_id = await runs.accept("w", 1, {"n": 4}, None)
    over = asyncio.ensure_future(runs.wait(run_id, None, 20))
    died = asyncio.ensure_future(store.died.wait())
    await asyncio.wait({over, died}, return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    died.cancel()
    await engine.close()
    store.close()
    return run_id, store.writes


async def afterlife(folder, run_id):
    """Let the next server go on; return the run and its steps."""
    store = Store(folder)
    engine, runs = assembled(store)
    await engine.recover(crashed=True)
    view = await runs.wait(run_id, None, 20)
    steps = await runs.steps(view)
    await engine.close()
    store.close()
    return view, steps


@pytest.fixture
def node(monkeypatch):
    made = Adding()
    monkeypatch.setitem(TYPES, "adding", made)
    return made


def test_a_life_without_death(node, tmp_path):
    run_id, writes = asyncio.run(life(tmp_path, 100, written=False))
    view, steps = asyncio.run(afterlife(tmp_path, run_id))
    assert (view.status, view.row["outputs"]) == ("completed", "4")
    assert sorted(step["key"] for step in steps) == KEYS
    assert writes == len(KEYS) + 1
    assert set(node.executed.values()) == {1}


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, len(KEYS) + 2))
def test_death_at_every_write(node, tmp_path, at, written):
    run_id, _ = asyncio.run(life(tmp_path, at, written=written))
    recorded = dict(node.executed)
    view, steps = asyncio.run(afterlife(tmp_path, run_id))
    assert (view.status, view.row["outputs"], view.row["error"]) == ("completed", "4", None)
    assert sorted(step["key"] for step in steps) == KEYS
    # At most what was under way is run again: the step whose write was cut off, and its neighbour in parallel.
    again = {name: times for name, times in node.executed.items() if times > 1}
    assert again.items() <= dict.fromkeys(recorded, 2).items()
    assert len(again) <= (1 if written else 2)
