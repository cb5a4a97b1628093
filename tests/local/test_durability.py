"""kill -9 at any moment: nothing that was accepted is lost, and no finished step is done again."""

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from .graphs import code, graph

OURS = Path(__file__).parents[1] / "benchmarks/engines/ours.py"

WAIT = "import time\ntime.sleep(0.25)\nopen({path!r}, 'a').write('{{{{n}}}} {name}\\n')\n{{{{n}}}}"


def slow(folder, *names):
    """Return a graph whose nodes write down that they are done."""
    nodes = {
        name: code(WAIT.format(path=str(folder / "done"), name=name), output_mapping={f"{name}_n": "data.results"})
        for name in names
    }
    chain = ["START", *names, "END"]
    edges = [f"{one} {two}" for one, two in pairwise(chain)]
    return graph(nodes, *edges, selectedOutput=names[-1], input_data={"n": "integer"})


def test_accepted_runs_survive_being_killed(restarted, code_files):
    server = restarted
    workflow = server.upload(slow(code_files, "a", "b", "c"), name="killed")
    choose = random.Random(4)
    runs = {}
    recorded = {}
    for n in range(18):
        runs[n] = server.execute(workflow, {"n": n})
        if n % 6 == 5:
            time.sleep(choose.uniform(0.2, 0.9))
            for run_id in runs.values():
                for step in server.steps(workflow, run_id):
                    if step["status"] == "completed":
                        recorded[step["id"]] = step
            server.kill()
            server.start()
    finished = {n: server.run(workflow, run_id) for n, run_id in runs.items()}
    assert {n: (run["status"], run["outputs"]) for n, run in finished.items()} == {n: ("completed", n) for n in runs}
    # A step that was under way is done again; one that was recorded is not, and keeps its times.
    assert len(recorded) > 10
    after = {step["id"]: step for run_id in runs.values() for step in server.steps(workflow, run_id)}
    assert recorded == {name: after[name] for name in recorded}
    lines = (code_files / "done").read_text().splitlines()
    assert set(lines) == {f"{n} {name}" for n in runs for name in "abc"}
    history = server.get(f"/workflows/{workflow}/runs")
    assert [run["id"] for run in history] == [runs[n] for n in sorted(runs, reverse=True)]


def test_a_finished_step_is_not_done_again(restarted, code_files):
    server = restarted
    workflow = server.upload(slow(code_files, "a", "b", "c"), name="once")
    run_id = server.execute(workflow, {"n": 7})
    path = f"/workflows/{workflow}/runs/{run_id}"
    tag = None
    while [step["node_id"] for step in server.steps(workflow, run_id)] != ["a", "b"]:
        response = server.request("GET", path, headers={"Prefer": "wait=5", "If-None-Match": tag} if tag else {})
        tag = response.headers["ETag"]
    before = server.steps(workflow, run_id)[0]
    server.kill()
    server.start()
    assert server.run(workflow, run_id, wait=0)["status"] in ("running", "completed")
    assert server.run(workflow, run_id)["status"] == "completed"
    steps = server.steps(workflow, run_id)
    assert steps[0] == before
    assert (code_files / "done").read_text().splitlines().count("7 a") == 1
    assert [step["node_id"] for step in steps] == ["a", "b", "c"]


def test_a_run_goes_on_after_an_orderly_stop(restarted, code_files):
    server = restarted
    workflow = server.upload(slow(code_files, "a", "b"), name="stopped")
    run_id = server.execute(workflow, {"n": 1}, **{"Idempotency-Key": "once"})
    server.stop()
    server.start()
    assert server.execute(workflow, {"n": 1}, **{"Idempotency-Key": "once"}) == run_id
    assert server.run(workflow, run_id)["outputs"] == 1


def test_what_has_ended_stays_as_it_was(restarted):
    server = restarted
    run = server.finish("hello", {"name": "Ada"})
    steps = server.steps("hello", run["id"])
    tag = server.request("GET", f"/workflows/{server.id_of('hello')}/runs/{run['id']}").headers["ETag"]
    cancelled = server.execute("countdown", {"seconds": 30})
    path = f"/workflows/{server.id_of('countdown')}/runs/{cancelled}"
    server.request("POST", f"{path}/cancel")
    server.kill()
    server.start()
    assert server.run("hello", run["id"], wait=0) == run
    assert server.steps("hello", run["id"]) == steps
    again = server.request("GET", f"/workflows/{server.id_of('hello')}/runs/{run['id']}")
    assert again.headers["ETag"] == tag
    assert server.run("countdown", cancelled)["status"] == "cancelled"


def test_old_runs_keep_the_version_that_they_were_started_with(restarted, code_files):
    server = restarted
    first = slow(code_files, "a", "b")
    workflow = server.upload(first, name="versions")
    old = server.execute(workflow, {"n": 1})
    second = graph({"other": code("'new'")}, "START other", "other END", selectedOutput="other")
    assert server.request("PUT", f"/workflows/{workflow}", json=second).json()["version"] == 2
    new = server.execute(workflow)
    server.kill()
    server.start()
    assert server.run(workflow, old)["outputs"] == 1
    assert server.run(workflow, new)["all_outputs"]["other"]["data"]["results"] == "new"
    assert [step["node_id"] for step in server.steps(workflow, old)] == ["a", "b"]
    assert [step["node_id"] for step in server.steps(workflow, new)] == ["other"]
    assert server.get(f"/workflows/{workflow}")["graph"] == second


def test_a_run_outlives_its_workflow(restarted, code_files):
    server = restarted
    workflow = server.upload(slow(code_files, "a", "b"), name="deleted")
    run_id = server.execute(workflow, {"n": 3})
    assert server.request("DELETE", f"/workflows/{workflow}").status_code == 200
    server.kill()
    server.start()
    [run] = server.get(f"/workflows/{workflow}/runs/{run_id}", headers={"Prefer": "wait=60"})
    assert (run["status"], run["outputs"]) == ("completed", 3)


def test_more_runs_than_there_are_places_for(tmp_path):
    """The next begins where one ends; each has all its steps, once."""
    subprocess.run([sys.executable, OURS, tmp_path, "150", "80"], check=True, capture_output=True, timeout=300)
    with contextlib.closing(sqlite3.connect(tmp_path / "orchestra.sqlite")) as db:
        recorded = db.execute("SELECT key, count(*) FROM steps GROUP BY 1").fetchall()
    assert dict(recorded) == {"a": 155, "b": 155, "c": 155}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("first", ["server", "programs"])
def test_a_computer_that_shuts_down_fails_no_step(restarted, code_files, first):
    """It tells every process to end, in any order: what is under way is left for the next start."""
    server = restarted
    began = code_files / "began"
    program = f"open({str(began)!r}, 'w').close()\nimport time\ntime.sleep(1.5)\n'done'"
    nodes = {"a": code(program), "b": code("{{a.successful}}", output_mapping={"good": "data.results"})}
    workflow = server.upload(graph(nodes, "START a", "a b", "b END", selectedOutput="b"), name=f"shutdown {first}")
    run_id = server.execute(workflow)
    while not began.exists():
        time.sleep(0.01)
    processes = [server.pid, *descendants(server.pid)]
    assert len(processes) > 2
    for pid in processes if first == "server" else reversed(processes):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    while server.running():
        time.sleep(0.01)
    server.start()
    run = server.run(workflow, run_id)
    assert (run["status"], run["outputs"]) == ("completed", True)
    assert [step["status"] for step in server.steps(workflow, run_id)] == ["completed", "completed"]


def descendants(pid):
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
    ]
    return [one for child in children for one in (child, *descendants(child))]
