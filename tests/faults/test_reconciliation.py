"""Starts whose answer is lost: never a second POST, no run lost, none taken twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from local.embedded import LocalServer
from scripted import Reply, Said, Scripted

from orchestra_magic import Orchestra, Run, RunUnconfirmed
from orchestra_magic.client import journal, reconcile

from .acts import break_off
from .proxy import HOW, Proxy

WF = "1234f567-bb12-1234-b7cd-f7a71a98cd24"
EXECUTE, RUNS = f"/workflows/{WF}/execute", f"/workflows/{WF}/runs"
INPUTS = {"prompt": "hello"}
LOST = Reply(act=break_off)


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "PAUSES", (0.0, 0.0, 0.0))


def past(run_id: str, *, ago: float = 0.0, inputs: Any = INPUTS, **members: Any) -> dict[str, Any]:
    """A run of a history that began so many seconds ago."""
    began = (datetime.now(timezone.utc) - timedelta(seconds=ago)).isoformat()
    return {"id": run_id, "status": "running", "start_time": began, "inputs": inputs, **members}


def execute(orchestra: Orchestra, inputs: Any = INPUTS) -> Run | RunUnconfirmed:
    try:
        return orchestra.execute(WF, inputs)
    except RunUnconfirmed as error:
        return error


@pytest.mark.parametrize("hours", [-26, -1, 1, 26])
def test_a_server_whose_clock_is_off(hours: int, orchestra: Orchestra, server: Scripted) -> None:
    """Runs with equal inputs, from a minute before and from after the request, by the server's own clock."""

    def history(_: Said) -> Reply:
        date = datetime.now(timezone.utc) + timedelta(hours=hours)
        runs = [past("new", ago=-3600 * hours), past("old", ago=-3600 * hours + 60)]
        return Reply(data=runs, headers={"Date": format_datetime(date, usegmt=True)})

    server.on("POST", EXECUTE, LOST)
    server.on("GET", RUNS, history)
    assert orchestra.execute(WF, INPUTS).id == "new"
    assert len(server.posts) == 1


@pytest.mark.parametrize(
    "date",
    ["", "now", "Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 1 Jan 99999 0:0:0 GMT"],
)
def test_a_date_that_is_none(date: str, orchestra: Orchestra, server: Scripted) -> None:
    """Our own clock has to do, or nothing is known: in no case another error, and never a second POST."""
    server.on("POST", EXECUTE, LOST)
    server.on("GET", RUNS, lambda _: Reply(data=[past("new")], headers={"Date": date}))
    found = execute(orchestra)
    assert found.id == "new" if isinstance(found, Run) else not isinstance(found, str)
    assert len(server.posts) == 1


def test_a_date_that_a_proxy_has_kept(orchestra: Orchestra, server: Scripted) -> None:
    """With its age: the run of half a minute ago is not a new one."""
    kept = format_datetime(datetime.now(timezone.utc) - timedelta(seconds=60), usegmt=True)
    server.on("POST", EXECUTE, LOST)
    server.on("GET", RUNS, Reply(data=[past("old", ago=30)], headers={"Date": kept, "Age": "60"}))
    lost = execute(orchestra)
    assert isinstance(lost, RunUnconfirmed)
    assert not lost.candidates


def test_a_slow_history_does_not_hide_the_run(
    orchestra: Orchestra, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's time is of the end of a slow answer: a run of its beginning may be new, and is not certain."""
    monkeypatch.setattr(reconcile, "SLACK", timedelta(0))
    closing = threading.Event()
    run: list[dict[str, Any]] = []

    def history(_: Said) -> Reply:
        closing.wait(2.5)
        return Reply(data=run)

    def started(_: Said) -> Reply:
        run.append(past("new"))
        return LOST

    monkeypatch.setattr(reconcile, "PAUSES", (0.0,))
    server.on("POST", EXECUTE, started)
    server.on("GET", RUNS, history)
    lost = execute(orchestra)
    assert isinstance(lost, RunUnconfirmed)
    assert [each.id for each in lost.candidates] == ["new"]
    closing.set()
    monkeypatch.setattr(reconcile, "SLACK", timedelta(seconds=2))
    assert orchestra.reconcile(lost).id == "new"


def test_a_run_that_has_no_start_yet_is_not_certain(orchestra: Orchestra, server: Scripted) -> None:
    queued = {"id": "queued", "status": "queued", "start_time": None, "inputs": INPUTS}
    server.on("POST", EXECUTE, LOST)
    server.on("GET", RUNS, [queued])
    lost = execute(orchestra)
    assert isinstance(lost, RunUnconfirmed)
    assert "a run that may be it" in str(lost)
    server.on("GET", RUNS, [past("queued")])
    assert orchestra.reconcile(lost).id == "queued"


def test_a_run_with_the_key_of_another_start_is_not_it(orchestra: Orchestra, server: Scripted) -> None:
    server.on("POST", EXECUTE, LOST)
    server.on("GET", RUNS, [past("other", idempotency_key="another")])
    lost = execute(orchestra)
    assert isinstance(lost, RunUnconfirmed)
    assert not lost.candidates


def test_a_history_of_many_pages(orchestra: Orchestra, server: Scripted) -> None:
    """The lost run is the oldest of 250 that began since."""
    runs = [past(f"r{n}", inputs={"prompt": str(n)}) for n in range(249)]

    def history(said: Said) -> list[Any]:
        query = dict(part.split("=") for part in said.path.split("?")[1].split("&"))
        first = int(query["offset"])
        return runs[first : first + int(query["limit"])]

    def started(_: Said) -> Reply:
        runs.append(past("mine"))
        return LOST

    server.on("POST", EXECUTE, started)
    server.on("GET", RUNS, history)
    assert orchestra.execute(WF, INPUTS).id == "mine"


def test_a_history_that_has_no_pages_comes_to_an_end(orchestra: Orchestra, server: Scripted) -> None:
    server.on("POST", EXECUTE, LOST)
    server.on("GET", RUNS, lambda _: [past(f"r{n}", inputs={}) for n in range(100)])
    assert isinstance(execute(orchestra), RunUnconfirmed)
    assert len(server.said) <= 1 + 3 * 2


def test_an_answer_that_is_still_to_come_is_not_taken(orchestra: Orchestra, server: Scripted) -> None:
    """Two starts with equal inputs at once: the answer of one is lost, that of the other is on its way."""
    both, ran, looked = threading.Barrier(2), threading.Event(), threading.Event()
    runs: list[dict[str, Any]] = []

    def answer(said: Said) -> Any:
        both.wait(20)
        if said is server.posts[0]:
            runs.append(past("first"))
            ran.set()
            assert looked.wait(20)
            return {"run_id": "first"}
        assert ran.wait(20)
        return LOST

    server.on("POST", EXECUTE, answer)
    server.on("GET", RUNS, lambda _: runs)

    def start() -> Run | RunUnconfirmed:
        done = execute(orchestra)
        looked.set()
        return done

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: start(), range(2)))
    (run,) = [each for each in done if isinstance(each, Run)]
    (lost,) = [each for each in done if isinstance(each, RunUnconfirmed)]
    assert run.id == "first"
    assert len(server.posts) == 2
    # its answer has come now, so that the other start cannot have it
    with pytest.raises(RunUnconfirmed, match="no new run"):
        orchestra.reconcile(lost)


def test_of_two_lost_starts_one_gets_the_one_run(orchestra: Orchestra, server: Scripted) -> None:
    server.on("POST", EXECUTE, LOST)
    server.on("GET", RUNS, [])
    lost = [execute(orchestra), execute(orchestra)]
    server.on("GET", RUNS, lambda _: [past("one")])
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda each: reconciled(orchestra, each), lost))
    assert sorted(each.id if isinstance(each, Run) else "" for each in found) == ["", "one"]
    assert len(server.posts) == 2


def reconciled(orchestra: Orchestra, lost: Any) -> Run | RunUnconfirmed:
    try:
        return orchestra.reconcile(lost)
    except RunUnconfirmed as error:
        return error


def test_to_reconcile_again_gives_the_same_run(orchestra: Orchestra, server: Scripted) -> None:
    server.on("POST", EXECUTE, LOST)
    server.on("GET", RUNS, [])
    lost = execute(orchestra)
    server.on("GET", RUNS, lambda _: [past("one")])
    assert isinstance(lost, RunUnconfirmed)
    assert orchestra.reconcile(lost).id == orchestra.reconcile(lost).id == "one"


def test_a_start_that_goes_out_during_the_look_keeps_its_run(orchestra: Orchestra, server: Scripted) -> None:
    """Of another kernel, with equal inputs: its run is in the history before it has its own answer."""

    def history(_: Said) -> list[dict[str, Any]]:
        journal.intended("theirs", base_url=server.base_url, workflow_id=WF, digest=journal.digest(INPUTS))
        return [past("theirs")]

    server.on("POST", EXECUTE, LOST)
    server.on("GET", RUNS, history)
    lost = execute(orchestra)
    assert isinstance(lost, RunUnconfirmed)
    assert [run.id for run in lost.candidates] == ["theirs"]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    running = LocalServer(tmp_path_factory.mktemp("embedded")).start()
    yield running
    running.close()


@pytest.fixture
def proxy(embedded: LocalServer, embedded_at: Callable[[str, str], None]) -> Iterator[Proxy]:
    """A proxy before the embedded server, which this test's client takes for that server."""
    made = Proxy(embedded.base_url)
    embedded_at(made.base_url, embedded.token)
    yield made
    made.close()


@pytest.mark.parametrize("how", HOW)
def test_the_embedded_server_is_exact(how: str, embedded: LocalServer, proxy: Proxy) -> None:
    """Among twins of this very moment the run is found by its key, or known not to be there."""
    workflow, inputs = embedded.id_of("hello"), {"name": f"Ada, {how}"}
    twins = {embedded.execute("hello", inputs) for _ in range(2)}
    proxy.how = how
    orchestra = Orchestra("local")
    arrives = not how.endswith("before")
    if arrives:
        run = orchestra.execute(workflow, inputs)
        assert run.id not in twins
        assert run.wait(60).outputs
    else:
        with pytest.raises(RunUnconfirmed, match="no new run with these inputs") as caught:
            orchestra.execute(workflow, inputs)
        assert not caught.value.candidates
    runs = [run for run in embedded.get(f"/workflows/{workflow}/runs") if run["inputs"] == inputs]
    assert len(runs) == 2 + arrives
    assert len(proxy.posts) == 1
    assert [entry.unconfirmed for entry in journal.entries()] == [not arrives]


def test_many_cut_starts_at_once_on_the_embedded_server(embedded: LocalServer, proxy: Proxy) -> None:
    """Equal inputs, every answer cut: each start finds its own run."""
    proxy.how = "cut after"
    orchestra, workflow = Orchestra("local"), embedded.id_of("hello")
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: orchestra.execute(workflow, {"name": "Grace"}), range(24)))
    assert len({run.id for run in runs}) == len(set(proxy.posts)) == len(proxy.posts) == 24
    by_key = {entry.key: entry.run_id for entry in journal.entries()}
    for row in embedded.get(f"/workflows/{workflow}/runs?limit=100"):
        if row["idempotency_key"] in by_key:
            assert by_key[row["idempotency_key"]] == row["id"]
