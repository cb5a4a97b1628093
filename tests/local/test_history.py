"""The history of a workflow: every run is in it, however many and however large, and nobody else waits for it."""

import sqlite3
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from .embedded import LocalServer
from .graphs import code, graph

LARGE, LARGE_RUNS = 3_000_000, 30
SMALL_RUNS = 1_500


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = LocalServer(tmp_path_factory.mktemp("history")).start()
    yield running
    running.close()


def repeated(server, workflow, runs):
    """Copy the only run of a workflow until it has so many; return their ids, the newest first."""
    with closing(sqlite3.connect(server.home / "local" / "data" / "orchestra.sqlite")) as db:
        db.row_factory = sqlite3.Row
        row = dict(db.execute("SELECT * FROM runs WHERE workflow_id = ?", (workflow,)).fetchone())
        del row["seq"]
        query = f"INSERT INTO runs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        ids = [row["run_id"], *(str(uuid.uuid4()) for _ in range(runs - 1))]
        with db:
            db.executemany(query, (tuple({**row, "run_id": run_id}.values()) for run_id in ids[1:]))
    return ids[::-1]


def peak(server):
    """Return the most bytes that the server has held since it was last asked."""
    process = Path(f"/proc/{server.pid}")
    [line] = [line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM")]
    (process / "clear_refs").write_text("5")
    return 1024 * int(line.split()[1])


def test_a_history_of_large_runs_keeps_nobody_waiting_and_is_never_held_whole(server):
    workflow = server.upload(graph({"a": code(f"'x' * {LARGE}")}, "START a", "a END"), name="large")
    server.finish(workflow)
    ids = repeated(server, workflow, LARGE_RUNS)
    path = f"{server.base_url}/workflows/{workflow}/runs"
    received = bytearray()
    headers = {"Authorization": f"Bearer {server.token}"}

    def read():
        with server.http.get(path, headers=headers, stream=True, timeout=60) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            for piece in answer.iter_content(1 << 16):
                received.extend(piece)

    asking = LocalServer(server.home)
    asking.read()
    asking.get("/workflows/" + workflow)
    peak(server)
    before = peak(server)
    reading = threading.Thread(target=read)
    reading.start()
    waited = []
    while reading.is_alive():
        began = time.monotonic()
        asking.get("/workflows/" + workflow)
        waited.append(time.monotonic() - began)
    held = peak(server) - before
    print(f"{len(received)} bytes, others waited {max(waited):.2f} s at most of {len(waited)}, {held} bytes held")
    assert len(received) > 2 * LARGE * LARGE_RUNS
    assert [received.count(f'"id":"{run_id}"'.encode()) for run_id in ids] == [1] * LARGE_RUNS
    assert max(waited) < 0.5
    assert held < len(received) / 2


def test_who_goes_away_in_the_middle_leaves_no_trace(server):
    path = f"{server.base_url}/workflows/{server.id_of('large')}/runs"
    with server.http.get(path, stream=True, timeout=60) as answer:
        assert next(answer.iter_content(1)) == b"["
    assert server.get(f"/workflows/{server.id_of('large')}")["name"] == "large"
    assert "ERROR" not in (server.home / "local" / "server.log").read_text()


def test_every_run_that_is_asked_for_comes(server):
    workflow = server.upload(graph({"a": code("{{n}}")}, "START a", "a END"), name="many")
    run = server.finish(workflow, {"n": "\u00e9" * 2_000})
    ids = repeated(server, workflow, SMALL_RUNS)
    path = f"/workflows/{workflow}/runs"
    everything = server.get(path, params={"limit": 10**30})
    assert [one["id"] for one in everything] == ids
    assert everything[-1] == run
    for limit, offset in ((1_200, 0), (1_200, 100), (1_499, 1), (1, 1_499), (0, 0), (5, 1_500)):
        page = server.get(path, params={"limit": limit, "offset": offset})
        assert [one["id"] for one in page] == ids[offset : offset + limit]
    assert len(server.get(path)) == 100


def test_runs_of_every_state_are_in_it(server):
    program = "import time\ntime.sleep({{seconds}})\nassert {{good}}\n1"
    nodes = {"a": code(program), "b": code("{{a.data.results}}")}
    workflow = server.upload(graph(nodes, "START a", "a b", "b END"), name="states")
    states = {}
    for name, inputs in (
        ("completed", {"seconds": 0, "good": True}),
        ("failed", {"seconds": 0, "good": False}),
        ("cancelled", {"seconds": 30, "good": True}),
        ("running", {"seconds": 30, "good": True}),
    ):
        run_id = server.execute(workflow, inputs)
        path = f"/workflows/{workflow}/runs/{run_id}"
        if name == "cancelled":
            server.request("POST", f"{path}/cancel")
        if name != "running":
            server.run(workflow, run_id)
        states[run_id] = name
    history = server.get(f"/workflows/{workflow}/runs")
    assert {run["id"]: run["status"] for run in history} == states
    assert history == [server.run(workflow, run["id"], wait=0) for run in history]
    assert [run["outputs"] is None for run in history] == [True, True, True, False]
    server.request("POST", f"/workflows/{workflow}/runs/{history[0]['id']}/cancel")
