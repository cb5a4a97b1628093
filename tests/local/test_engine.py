"""What the engine does at its edges: with nodes that go wrong in their own ways, and disks that do."""

import asyncio
import sqlite3

import pytest

from orchestra_magic.local.answers import step_answer
from orchestra_magic.local.nodes import TYPES, NodeError
from orchestra_magic.local.store import Store

from .engines import Doing, choice, doing, life
from .graphs import graph

# A round runs "left" and "right" side by side, and "right" uses what "left" gave in the round before.
SIDE_BY_SIDE = graph(
    {
        "fork": doing("{{left}}"),
        "left": doing("{{fork}}"),
        "right": doing("{{left}}"),
        "join": doing("{{right}}"),
        "enough": choice("{{join}}", ">", 5, "last", "fork"),
        "last": doing("{{right}}"),
    },
    *("START fork", "fork left", "fork right", "left join", "right join", "join enough", "enough fork"),
    *("enough last", "last END"),
    settings={"max_visits": 20},
    selectedOutput="last",
)


@pytest.fixture
def doer(monkeypatch):
    """Set what the nodes of a test do: what is set for a node's name, else one more than it is given."""
    works = {}

    async def do(to, call):
        return await works[call.node.name](to, call) if call.node.name in works else (to or 0) + 1

    monkeypatch.setitem(TYPES, "doing", Doing(do))
    return works


class Dying(Store):
    """A store whose server dies when it is to write down one step, or the end."""

    def __init__(self, folder, key):
        super().__init__(folder)
        self.key = key
        self.died = asyncio.Event()

    async def _or_die(self, key):
        if key == self.key:
            self.died.set()
            await asyncio.Future()

    async def record(self, seq, step):
        await self._or_die(step["key"])
        await super().record(seq, step)

    async def finish(self, run_id, ending):
        await self._or_die("END")
        return await super().finish(run_id, ending)


async def die_and_go_on(folder, document, key):
    """Return the run, and its steps by their keys."""
    async with life(Dying(folder, key) if key else folder) as first:
        run_id = await first.start(document)
        await (first.store.died.wait() if key else first.runs.wait(run_id, None, 20))
    async with life(folder) as second:
        await second.engine.recover(crashed=True)
        view = await second.runs.wait(run_id, None, 20)
        return view, {step["key"]: step for step in await second.runs.steps(view)}


def test_a_loop_that_is_taken_up_again_sees_what_it_would_have_seen(doer, tmp_path):
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    undisturbed, steps = asyncio.run(die_and_go_on(tmp_path / "one", SIDE_BY_SIDE, None))
    again, after = asyncio.run(die_and_go_on(tmp_path / "other", SIDE_BY_SIDE, "right#2"))
    assert undisturbed.row["outputs"] == again.row["outputs"]
    assert {key: step["inputs"] for key, step in steps.items()} == {key: step["inputs"] for key, step in after.items()}


def test_a_join_in_a_loop_waits_for_all_that_is_alive(doer, tmp_path):
    document = graph(
        {
            "a": doing(1),
            "b": doing("{{a}}"),
            "c": doing("{{a}}"),
            "e": doing("{{c}}"),
            "d": doing(["{{b}}", "{{e}}"]),
            "k": choice("{{d}}", ">", 0, "out", "a"),
            "out": doing("{{d}}"),
        },
        *("START a", "a b", "a c", "b d", "c e", "e d", "d k", "k a", "k out", "out END"),
        settings={"max_visits": 1},
        selectedOutput="out",
    )
    doer["d"] = lambda to, _call: asyncio.sleep(0, sum(to))
    view, steps = asyncio.run(die_and_go_on(tmp_path, document, None))
    assert (view.status, view.row["outputs"]) == ("completed", "8")
    assert list(steps) == ["a#1", "b#1", "c#1", "e#1", "d#1", "k#1", "out"]


def test_a_run_that_failed_begins_nothing_more_in_its_next_life(doer, tmp_path):
    begun = []

    async def fail(_to, _call):
        raise NodeError("refused")

    async def note(_to, call):
        begun.append(call.node.name)

    doer |= {"bad": fail, "mail": note}
    nodes = {name: doing() for name in ("a", "b", "bad", "x", "mail")}
    document = graph(nodes, "START a", "a b", "b bad", "bad END", "START x", "x mail", "mail END")

    class Together(Dying):
        """The good step is written down with the bad one, when the run is to stop already."""

        async def record(self, seq, step):
            if step["key"] == "x":
                while not [one for one in await self.steps(seq) if one["status"] == "failed"]:
                    await asyncio.sleep(0.01)
            await super().record(seq, step)

    async def both():
        async with life(Together(tmp_path, "END")) as first:
            run_id = await first.start(document)
            await first.store.died.wait()
        async with life(tmp_path) as second:
            await second.engine.recover(crashed=True)
            return await second.runs.wait(run_id, None, 20)

    view = asyncio.run(both())
    assert (view.status, view.row["error"], begun) == ("failed", "bad: refused", [])


def test_a_loops_other_nodes_end_before_the_run_does(doer, tmp_path):
    went_on = []

    async def fault(_to, _call):
        raise ZeroDivisionError

    async def slow(_to, _call):
        await asyncio.sleep(0.2)
        went_on.append("slow")

    doer |= {"left": fault, "right": slow}

    async def run():
        async with life(tmp_path) as server:
            view = await server.runs.wait(await server.start(SIDE_BY_SIDE), None, 20)
            await asyncio.sleep(0.3)
            return view

    view = asyncio.run(run())
    assert view.status == "failed"
    assert view.row["error"].startswith("a fault of the server, see its log: ZeroDivisionError")
    assert went_on == []


def test_a_node_that_cancels_itself_has_failed(doer, tmp_path):
    async def give_up(_to, _call):
        asyncio.current_task().cancel()
        await asyncio.sleep(1)

    doer["pay"] = give_up
    document = graph({"pay": doing(), "mail": doing()}, "START pay", "pay mail", "mail END")
    view, steps = asyncio.run(die_and_go_on(tmp_path, document, None))
    assert (view.status, view.row["error"]) == ("failed", "pay: the node gave up: it cancelled itself")
    assert list(steps) == ["pay"]


def test_a_service_can_tell_the_rounds_of_a_loop_apart(doer, tmp_path):
    keys = []

    async def send(to, call):
        keys.append(call.idempotency_key)
        return (to or 0) + 1

    doer["post"] = send
    nodes = {"post": doing("{{post}}"), "enough": choice("{{post}}", "<", 3, "post", "END")}
    edges = ("START post", "post enough", "enough post", "enough END")
    view, _ = asyncio.run(die_and_go_on(tmp_path, graph(nodes, *edges, settings={"max_visits": 5}), None))
    assert keys == [f"{view.row['run_id']}:post#{n}" for n in (1, 2, 3)]


def test_a_disk_that_is_read_only_for_a_while(doer, tmp_path, caplog):
    gate = asyncio.Event()
    doer["a"] = lambda _to, _call: gate.wait()

    async def run():
        async with life(tmp_path) as server:
            run_id = await server.start(graph({"a": doing()}, "START a", "a END"))
            await server.store.write(lambda db: db.execute("PRAGMA query_only=1"))
            gate.set()
            while "step a waits: attempt to write a readonly database" not in caplog.text:
                await asyncio.sleep(0.01)
            assert (await server.runs.view(run_id)).status == "running"
            server.store._connection.execute("PRAGMA query_only=0")
            return await server.runs.wait(run_id, None, 20)

    assert asyncio.run(run()).status == "completed"


def test_a_run_on_a_full_disk_can_be_stopped(doer, tmp_path):
    stopped = asyncio.Event()

    async def go_on(_to, _call):
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    doer["a"] = go_on

    class Full(Store):
        full = False

        async def finish(self, run_id, ending):
            if self.full:
                raise sqlite3.OperationalError("database or disk is full")
            return await super().finish(run_id, ending)

    async def run():
        async with life(Full(tmp_path)) as server:
            run_id = await server.start(graph({"a": doing()}, "START a", "a END"))
            while not (await server.runs.view(run_id)).steps:
                await asyncio.sleep(0.01)
            server.store.full = True
            cancelling = asyncio.create_task(server.runs.cancel(run_id))
            await asyncio.wait_for(stopped.wait(), 5)
            server.store.full = False
            return await cancelling, await server.runs.wait(run_id, None, 20)

    said, view = asyncio.run(run())
    assert (said, view.status, view.row["error"]) == (True, "cancelled", "the run was cancelled")


def test_too_little_memory_for_one_write_spoils_no_other(tmp_path):
    async def run():
        async with life(tmp_path) as server:

            def too_large(db):
                db.execute("ROLLBACK")  # as SQLite does it by itself
                raise MemoryError

            with pytest.raises(MemoryError):
                await server.store.write(too_large)
            return await asyncio.wait_for(server.store.fact("a", "b"), 5)

    assert asyncio.run(run()) == "b"


def test_a_row_that_was_read_before_the_end_is_read_again(doer, tmp_path):
    gate = asyncio.Event()
    doer["a"] = lambda _to, _call: gate.wait()

    async def run():
        async with life(tmp_path) as server:
            run_id = await server.start(graph({"a": doing()}, "START a", "a END"))
            before = await server.store.run(run_id)
            gate.set()
            await server.runs.wait(run_id, None, 20)
            return (await server.runs.view_of(before)).status

    assert asyncio.run(run()) == "completed"


def test_what_is_recorded_is_not_kept_in_memory_too(doer, tmp_path):
    gate = asyncio.Event()
    doer |= {"a": lambda _to, _call: asyncio.sleep(0, "x" * 1000), "b": lambda _to, _call: gate.wait()}

    async def run():
        async with life(tmp_path) as server:
            run_id = await server.start(graph({"a": doing(), "b": doing()}, "START a", "a b", "b END"))
            while len((await server.runs.view(run_id)).steps) < 2:
                await asyncio.sleep(0.01)
            view = await server.runs.view(run_id)
            return view.steps, await server.runs.steps(view)

    kept, shown = asyncio.run(run())
    assert "xxx" not in str(kept)
    assert [(step["key"], step["status"]) for step in shown] == [("a", "completed"), ("b", "running")]
    assert shown[0]["output"] == "x" * 1000


def test_a_step_that_ends_while_the_steps_are_read_is_shown_whole(doer, tmp_path):
    gate = asyncio.Event()
    doer["a"] = lambda _to, _call: gate.wait()

    class Slow(Store):
        async def steps(self, seq):
            read = await super().steps(seq)
            gate.set()
            while [step["status"] for step in self.live.steps.values()] != ["completed", "running"]:
                await asyncio.sleep(0.01)
            return read

    async def run():
        async with life(Slow(tmp_path)) as server:
            document = graph({"a": doing(), "b": doing()}, "START a", "a b", "b END")
            doer["b"] = lambda _to, _call: asyncio.sleep(60)
            run_id = await server.start(document)
            while not (await server.runs.view(run_id)).steps:
                await asyncio.sleep(0.01)
            view = await server.runs.view(run_id)
            server.store.live = server.engine.live(run_id)
            return [step_answer(view, step) for step in await server.runs.steps(view)]

    [step] = asyncio.run(run())
    assert (step["node_id"], step["status"], step["end_time"]) == ("a", "running", None)
