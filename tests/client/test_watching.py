"""The watcher: one thread for all runs, current states, an end for every reason to end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from scripted import Reply, Said, Scripted

from orchestra_magic import Orchestra, RunDetached, RunFailed
from orchestra_magic.client import schedule
from orchestra_magic.client.run import Run
from orchestra_magic.client.watcher import watcher

WF = "1234f567-bb12-1234-b7cd-f7a71a98cd24"


def one(run_id: str, status: str = "completed", **members: Any) -> list[dict[str, Any]]:
    return [{"id": run_id, "status": status, **members}]


class Onlooker:
    """Collects what the watcher tells, and says when something holds."""

    def __init__(self, notes: Callable[[Run], str] = lambda run: run.latest.status) -> None:
        self.seen: list[str] = []
        self._notes = notes
        self._told = threading.Condition()

    def __call__(self, run: Run) -> None:
        with self._told:
            self.seen.append(self._notes(run))
            self._told.notify_all()

    def wait(self, holds: Callable[[], bool]) -> None:
        with self._told:
            assert self._told.wait_for(holds, timeout=20), self.seen


@pytest.fixture(autouse=True)
def no_watcher_is_left() -> Any:
    yield
    watcher.stop()
    assert "orchestra-watcher" not in {thread.name for thread in threading.enumerate()}


def threads() -> int:
    return sum(thread.name == "orchestra-watcher" for thread in threading.enumerate())


def test_a_run_is_followed_to_its_end(orchestra: Orchestra, server: Scripted) -> None:
    server.on("GET", f"/workflows/{WF}/runs/r", one("r", "queued"), one("r", "running"), one("r"))
    steps = [{"node_id": "a", "status": "completed"}]
    server.on("GET", f"/workflows/{WF}/runs/r/steps", steps)
    told, run = Onlooker(), orchestra.run("r", workflow=WF)
    run.on_change(told)
    told.wait(lambda: "completed" in told.seen)
    assert told.seen == ["queued", "running", "completed"]
    assert run.known_steps is not None
    assert [step.node for step in run.known_steps] == ["a"]


def test_a_hundred_runs_are_one_thread(orchestra: Orchestra, server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_budget", schedule.Budget(rate=1000))  # which has a test of its own
    over = threading.Event()
    told: list[Onlooker] = []
    for n in range(100):
        server.on(
            "GET",
            f"/workflows/{WF}/runs/r{n}",
            lambda _, n=n: one(f"r{n}", "completed" if over.is_set() else "running"),
        )
        told.append(Onlooker())
        orchestra.run(f"r{n}", workflow=WF).on_change(told[-1])
    for each in told:
        each.wait(lambda each=each: "running" in each.seen)  # type: ignore[misc]
    assert threads() == 1
    over.set()
    for each in told:
        each.wait(lambda each=each: each.seen[-1] == "completed")  # type: ignore[misc]


def test_many_runs_of_one_workflow_are_one_request(orchestra: Orchestra, server: Scripted) -> None:
    over = threading.Event()
    server.on(
        "GET",
        f"/workflows/{WF}/runs",
        lambda _: [one(f"r{n}", "completed" if over.is_set() else "running")[0] for n in range(9)],
    )
    told = [Onlooker() for _ in range(9)]
    first = Onlooker()
    server.on("GET", f"/workflows/{WF}/runs/r0", one("r0", "running"))
    for n, each in enumerate(told):
        orchestra.run(f"r{n}", workflow=WF).on_change(each)
    orchestra.run("r0", workflow=WF).on_change(first)
    for each in told:
        each.wait(lambda each=each: each.seen.count("running") >= 3)  # type: ignore[misc]
    singles = [
        said
        for said in server.said
        if said.path.startswith(f"/workflows/{WF}/runs/") and not said.path.endswith("steps")
    ]
    assert len(singles) <= 9  # at most the first looks, before the others were there
    assert (
        len([said for said in server.said if said.path.startswith(f"/workflows/{WF}/runs?")])
        <= max(len(each.seen) for each in told) + 3
    )
    over.set()
    for each in told:
        each.wait(lambda each=each: each.seen[-1] == "completed")  # type: ignore[misc]


def test_the_steps_of_runs_that_are_refreshed_together_are_followed(orchestra: Orchestra, server: Scripted) -> None:
    second = threading.Event()  # the second node is under way
    for run_id in ("r0", "r1"):
        tag = {"ETag": f'"{run_id}"'}
        server.on("GET", f"/workflows/{WF}/runs/{run_id}", Reply(data=one(run_id, "running"), headers=tag))
        server.on(
            "GET",
            f"/workflows/{WF}/runs/{run_id}/steps",
            lambda _: [{"node_id": "b" if second.is_set() else "a", "status": "running"}],
        )
    history = [one(run_id, "running")[0] for run_id in ("r0", "r1")]
    server.on("GET", f"/workflows/{WF}/runs", history)
    runs = [orchestra.run(run_id, workflow=WF) for run_id in ("r0", "r1")]
    seen = [Onlooker(lambda run: ",".join(step.node for step in run.known_steps or ())) for _ in runs]
    for run, each in zip(runs, seen, strict=True):
        run.refresh().on_change(each)
        each.wait(lambda each=each: "a" in each.seen)  # type: ignore[misc]
    second.set()
    for each in seen:
        each.wait(lambda each=each: "b" in each.seen)  # type: ignore[misc]


def test_passing_faults_keep_the_last_state(orchestra: Orchestra, server: Scripted) -> None:
    server.on("GET", f"/workflows/{WF}/runs/r", one("r", "running"), Reply(503, {"detail": "busy"}), one("r"))
    told, run = Onlooker(), orchestra.run("r", workflow=WF)
    troubles: list[str | None] = []
    run.on_change(lambda run: (troubles.append(run.trouble), told(run))[0])
    told.wait(lambda: "completed" in told.seen)
    assert told.seen == ["running", "running", "completed"]
    assert [trouble and "busy" in trouble for trouble in troubles] == [None, True, None]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_ends_the_watch_with_its_reason(orchestra: Orchestra, server: Scripted, status: int) -> None:
    server.on("GET", f"/workflows/{WF}/runs/r", Reply(status, {"detail": "no more"}))
    told, run = Onlooker(), orchestra.run("r", workflow=WF)
    run.on_change(told)
    told.wait(lambda: bool(told.seen))
    assert "no more" in (run.trouble or "")
    with watcher._changed:
        assert watcher._changed.wait_for(lambda: not watcher._watches, timeout=20)


def test_an_onlooker_that_fails_harms_no_other(orchestra: Orchestra, server: Scripted) -> None:
    server.on("GET", f"/workflows/{WF}/runs/r", one("r", "running"), one("r"))
    told, run = Onlooker(), orchestra.run("r", workflow=WF)

    def broken(_: Run) -> None:
        raise ZeroDivisionError

    run.on_change(broken)
    run.on_change(told)
    told.wait(lambda: "completed" in told.seen)


def test_an_answer_that_nobody_foresaw_ends_one_watch_and_no_other(
    orchestra: Orchestra, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(run: Run, *given: Any, **named: Any) -> bool:
        if run.id == "odd":
            raise ZeroDivisionError("odd")
        return looked(run, *given, **named)

    looked = Run.look
    monkeypatch.setattr(Run, "look", look)
    other = "1234f567-bb12-1234-b7cd-000000000000"
    server.on("GET", f"/workflows/{other}/runs/r", one("r", "running"), one("r"))
    odd, told = Onlooker(), Onlooker()
    run = orchestra.run("odd", workflow=WF)
    run.on_change(odd)
    orchestra.run("r", workflow=other).on_change(told)
    told.wait(lambda: "completed" in told.seen)
    odd.wait(lambda: bool(odd.seen))
    assert "Followed no longer. ZeroDivisionError: odd" in (run.trouble or "")


def test_a_server_that_can_is_asked_to_hold_its_answer(orchestra: Orchestra, server: Scripted) -> None:
    def answer(said: Said) -> Reply:
        held = said.headers.get("If-None-Match") == '"1"'
        tag = {"ETag": '"2"', "Preference-Applied": "wait"} if held else {"ETag": '"1"'}
        return Reply(data=one("r", "completed" if held else "running"), headers=tag)

    server.on("GET", f"/workflows/{WF}/runs/r", answer)
    orchestra.run("r", workflow=WF).wait(timeout=20)
    first, second, *_ = server.said
    assert "Prefer" not in first.headers
    assert second.headers["Prefer"].startswith("wait=")


def test_await(orchestra: Orchestra, server: Scripted) -> None:
    server.on("GET", f"/workflows/{WF}/runs/r", one("r", "running"), one("r"))
    server.on("GET", f"/workflows/{WF}/runs/bad", one("bad", "failed", error="boom"))

    async def main() -> str:
        with pytest.raises(RunFailed, match="boom"):
            await orchestra.run("bad", workflow=WF)
        return (await orchestra.run("r", workflow=WF)).status

    assert asyncio.run(main()) == "completed"


def test_an_await_that_is_interrupted_detaches(orchestra: Orchestra, server: Scripted) -> None:
    server.on("GET", f"/workflows/{WF}/runs/r", one("r", "running"))
    run = orchestra.run("r", workflow=WF)

    async def main() -> None:
        async def waits() -> None:
            await run

        task = asyncio.ensure_future(waits())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(RunDetached, match="run r goes on") as caught:
        asyncio.run(main())
    assert caught.value.run is run


def test_the_interval_stays_in_its_bounds() -> None:
    for age in (0.0, 1.0, 10.0, 100.0, 10_000.0):
        for _ in range(50):
            assert 0.225 <= schedule.interval(age) <= 33.0
    assert schedule.interval(100.0) == pytest.approx(12.0, rel=0.11)


def test_the_schedule_asks_seldom_enough() -> None:
    """By a clock of its own: 20 s take some 29 looks, a day some 2,900."""

    def looks(seconds: float) -> int:
        age, count = 0.0, 0
        while age < seconds:
            age += schedule.interval(age)
            count += 1
        return count

    assert 20 <= looks(20) <= 40
    assert looks(86_400) <= 3_300


def test_retry_after_is_obeyed() -> None:
    from orchestra_magic import ServerError

    pace = schedule.Pace(age=1.0)
    assert pace.after(ServerError("busy", status=429, retry_after=12.0)) == 12.0
    assert pace.after(None) < 0.3
