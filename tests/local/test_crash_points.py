"""A server that dies at any write: before it or after it, every one of a run with branches, a choice and a loop."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from orchestra_magic.local.nodes import TYPES
from orchestra_magic.local.store import Store

from .engines import Doing, choice, doing, life
from .graphs import graph

GRAPH = graph(
    {
        "a": doing("{{n}}"),
        "left": doing("{{a}}"),
        "right": doing("{{a}}"),
        "which": choice("{{left}}", ">", 100, "never", "join"),
        "never": doing("{{left}}"),
        "join": doing("{{right}}"),
        "again": doing("{{again}}"),
        "enough": choice("{{again}}", "<", 3, "again", "last"),
        "last": doing("{{again}}"),
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


async def until_death(folder, at, *, written):
    """Run the graph in a server that dies; return the run's id. The run is over where it does not come to that."""
    store = Dying(folder, at, written=written)
    async with life(store) as server:
        run_id = await server.start(GRAPH, {"n": 4})
        over = asyncio.ensure_future(server.runs.wait(run_id, None, 20))
        died = asyncio.ensure_future(store.died.wait())
        await asyncio.wait({over, died}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        died.cancel()
    return run_id, store.writes


async def afterlife(folder, run_id):
    """Let the next server go on; return the run and its steps."""
    async with life(folder) as server:
        await server.engine.recover(crashed=True)
        view = await server.runs.wait(run_id, None, 20)
        return view, await server.runs.steps(view)


@pytest.fixture
def executed(monkeypatch):
    counted = Counter()

    async def add(to, call):
        counted[call.key] += 1
        await asyncio.sleep(0)
        return (to or 0) + 1

    monkeypatch.setitem(TYPES, "doing", Doing(add))
    return counted


def test_a_life_without_death(executed, tmp_path):
    run_id, writes = asyncio.run(until_death(tmp_path, 100, written=False))
    view, steps = asyncio.run(afterlife(tmp_path, run_id))
    assert (view.status, view.row["outputs"]) == ("completed", "4")
    assert sorted(step["key"] for step in steps) == KEYS
    assert writes == len(KEYS) + 1
    assert set(executed.values()) == {1}


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, len(KEYS) + 2))
def test_death_at_every_write(executed, tmp_path, at, written):
    run_id, _ = asyncio.run(until_death(tmp_path, at, written=written))
    before = set(executed)
    view, steps = asyncio.run(afterlife(tmp_path, run_id))
    assert (view.status, view.row["outputs"], view.row["error"]) == ("completed", "4", None)
    assert sorted(step["key"] for step in steps) == KEYS
    # At most what was under way is run again: the step whose write was cut off, and its neighbour in parallel.
    again = {name: times for name, times in executed.items() if times > 1}
    assert again.items() <= dict.fromkeys(before, 2).items()
    assert len(again) <= (1 if written else 2)
