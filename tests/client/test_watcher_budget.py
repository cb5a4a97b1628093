"""The watcher's bounds: requests a second, one thread, and an end for every wait."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from scripted import Reply, Said, Scripted

from orchestra_magic import NotFound, Orchestra, OrchestraAuthError, RunDetached
from orchestra_magic.client import schedule
from orchestra_magic.client.run import Run
from orchestra_magic.client.watcher import watcher

WF = "1234f567-bb12-1234-b7cd-f7a71a98cd24"


def named(n: int) -> str:
    """The id of a workflow."""
    return f"1234f567-bb12-1234-b7cd-{n:012x}"


@pytest.fixture(autouse=True)
def no_watcher_is_left() -> Iterator[None]:
    yield
    watcher.stop()
    assert "orchestra-watcher" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("kind", ["a workflow each", "one workflow", "one workflow that forgets them"])
def test_a_hundred_runs_keep_to_the_budget(kind: str, orchestra: Orchestra, server: Scripted) -> None:
    together = kind != "a workflow each"
    everything = [{"id": f"r{n}", "status": "running"} for n in range(100)]
    times: list[float] = []

    def answer(said: Said) -> Reply:
        times.append(time.monotonic())
        name = said.path.split("?")[0].split("/")[4:]
        if not name:
            return Reply(data=everything if kind == "one workflow" else [])
        return Reply(data=[] if name[1:] else [{"id": name[0], "status": "running"}])

    seen: dict[str, int] = {}
    changed = threading.Condition()

    def told(run: Run) -> None:
        with changed:
            seen[run.id] = seen.get(run.id, 0) + (run.latest.status == "running")
            changed.notify_all()

    for n in range(100):
        workflow = WF if together else named(n)
        for route in (f"/workflows/{workflow}/runs", f"/workflows/{workflow}/runs/r{n}"):
            server.on("GET", route, answer)
        server.on("GET", f"/workflows/{workflow}/runs/r{n}/steps", answer)
    begun = time.monotonic()
    for n in range(100):
        orchestra.run(f"r{n}", workflow=WF if together else named(n)).on_change(told)
    with changed:
        assert changed.wait_for(lambda: len(seen) == 100 and min(seen.values()) >= 1, timeout=60)
    assert sum(thread.name == "orchestra-watcher" for thread in threading.enumerate()) == 1
    watcher.stop()
    # The budget's own arithmetic: a second's worth at once, then so many a second. A glance at the list is apart.
    asked = len(times)
    assert asked <= schedule.REQUESTS_PER_SECOND * (max(times) - begun + 1) + 3
    if kind == "one workflow":
        assert asked <= 60  # one history for all of them
    time.sleep(0.1)
    assert len(times) <= asked + 1  # what is stopped asks no more


def test_stopping_ends_a_watcher_that_waits_for_its_budget(orchestra: Orchestra, server: Scripted) -> None:
    looked = threading.Event()
    for n in range(300):
        server.on(
            "GET", f"/workflows/{named(n)}/runs/r", lambda _: (looked.set(), [{"id": "r", "status": "running"}])[1]
        )
        orchestra.run("r", workflow=named(n)).on_change(lambda run: None)
    assert looked.wait(20)
    watcher.stop()  # and the fixture sees that its thread is gone


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (401, OrchestraAuthError), (403, OrchestraAuthError)])
def test_await_ends_where_the_server_refuses(
    status: int, kind: type[Exception], orchestra: Orchestra, server: Scripted
) -> None:
    server.on("GET", f"/workflows/{WF}/runs/r", Reply(status, {"detail": "no more"}))

    async def main() -> None:
        await asyncio.wait_for(orchestra.run("r", workflow=WF)._over(), 30)

    with pytest.raises(kind, match="no more"):
        asyncio.run(main())


def test_a_wait_tells_each_look_with_the_steps_at_hand(orchestra: Orchestra, server: Scripted) -> None:
    states = [[{"id": "r", "status": status}] for status in ("queued", "running", "completed")]
    server.on("GET", f"/workflows/{WF}/runs/r", *states)
    server.on("GET", f"/workflows/{WF}/runs/r/steps", [{"node_id": "a", "status": "running"}])
    told: list[tuple[str, int]] = []
    orchestra.run("r", workflow=WF).wait(
        timeout=30, told=lambda run: told.append((run.latest.status, len(run.known_steps or ())))
    )
    assert told == [("queued", 1), ("running", 1), ("completed", 1)]


def test_a_look_that_fails_says_since_when_the_state_is_old(orchestra: Orchestra, server: Scripted) -> None:
    server.on(
        "GET",
        f"/workflows/{WF}/runs/r",
        [{"id": "r", "status": "running"}],
        Reply(503, {"detail": "busy"}),
        [{"id": "r", "status": "completed"}],
    )
    server.on("GET", f"/workflows/{WF}/runs/r/steps", [])
    troubles: list[str] = []
    run = orchestra.run("r", workflow=WF)
    run.wait(timeout=30, told=lambda run: troubles.append(run.trouble or ""))
    assert troubles[0] == troubles[2] == ""
    assert troubles[1].startswith("Not current since ")
    assert "busy" in troubles[1]


def test_a_status_that_nobody_knows_means_that_it_goes_on(orchestra: Orchestra, server: Scripted) -> None:
    server.on("GET", f"/workflows/{WF}/runs/r", [{"id": "r", "status": "Waiting_For_Goods"}])
    run = orchestra.run("r", workflow=WF)
    from orchestra_magic import RunTimeout

    with pytest.raises(RunTimeout, match="run r goes on") as caught:
        run.wait(timeout=0.3)
    assert caught.value.run is run
    assert "· waiting_for_goods · " in run._repr_mimebundle_()["text/plain"]


def test_an_interrupt_of_a_wait_that_tells_detaches(orchestra: Orchestra, server: Scripted) -> None:
    server.on("GET", f"/workflows/{WF}/runs/r", [{"id": "r", "status": "running"}])
    run = orchestra.run("r", workflow=WF)

    def told(_: Run) -> None:
        raise KeyboardInterrupt

    with pytest.raises(RunDetached, match="run r goes on") as caught:
        run.wait(told=told)
    assert caught.value.run is run
