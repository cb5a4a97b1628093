"""What this computer started: from the journal, with live states, within a second."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from scripted import Reply, Scripted, reset

from orchestra_magic import NotFound, Orchestra, RunUnconfirmed
from orchestra_magic.client import journal, reconcile

WORKFLOWS = [f"1234f567-bb12-1234-b7cd-{n:012x}" for n in range(3)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "PAUSES", (0.0,))


@pytest.fixture
def far(server: Scripted) -> Scripted:
    """Three workflows; two runs of each were started, and the server says that they are over."""
    server.on("GET", "/workflows", [{"workflow_id": WORKFLOWS[0], "name": "Say hi", "graph": {}}])
    for workflow in WORKFLOWS:
        ids = [f"{workflow[-1]}-{n}" for n in range(2)]
        server.on("POST", f"/workflows/{workflow}/execute", *({"run_id": run_id} for run_id in ids))
        server.on("GET", f"/workflows/{workflow}/runs", [{"id": run_id, "status": "completed"} for run_id in ids])
    return server


def start(orchestra: Orchestra) -> None:
    for n in range(2):
        for workflow in WORKFLOWS:
            orchestra.execute(workflow, {"n": n})


def test_one_history_for_each_workflow(orchestra: Orchestra, far: Scripted) -> None:
    start(orchestra)
    far.said.clear()
    runs = orchestra.runs()
    assert [run.id for run in runs] == ["2-1", "1-1", "0-1", "2-0", "1-0", "0-0"]
    assert {run.latest.status for run in runs} == {"completed"}
    assert len([said for said in far.said if said.path.split("?")[0].endswith("/runs")]) == 3
    assert runs.unconfirmed == []
    shown = runs._repr_mimebundle_()
    assert "Say hi" in shown["text/plain"]
    assert "Say hi" in shown["text/html"]
    assert [run.id for run in orchestra.runs(limit=2)] == ["2-1", "1-1"]


def test_a_server_that_hangs_leaves_its_runs_unknown(orchestra: Orchestra, far: Scripted) -> None:
    start(orchestra)
    release = threading.Event()

    def slow(_: Any) -> Reply:
        release.wait(30)
        return Reply(data=[])

    far.on("GET", f"/workflows/{WORKFLOWS[1]}/runs", slow)
    begun = time.monotonic()
    runs = orchestra.runs()
    took = time.monotonic() - begun
    release.set()
    assert took < 10
    assert {run.id: run.latest.status for run in runs if run.id.startswith("1")} == {"1-0": "unknown", "1-1": "unknown"}
    assert "2 of unknown status." in runs._repr_mimebundle_()["text/plain"]


def test_a_server_that_refuses_is_said(orchestra: Orchestra, far: Scripted) -> None:
    start(orchestra)
    for workflow in WORKFLOWS:
        far.on("GET", f"/workflows/{workflow}/runs", Reply(401, {"detail": "expired"}))
    shown = orchestra.runs()._repr_mimebundle_()
    assert "6 of unknown status." in shown["text/plain"]
    assert "expired" in shown["text/html"]


def test_the_id_that_the_list_shows_is_enough_to_come_back(orchestra: Orchestra, far: Scripted) -> None:
    ids = ["fda37c90-dd1c-4317-82d1", "0a37c90f-1111", "0a37c90f-2222"]
    far.on("POST", f"/workflows/{WORKFLOWS[0]}/execute", *({"run_id": run_id} for run_id in ids))
    for n in range(3):
        orchestra.execute(WORKFLOWS[0], {"n": n})
    shown = orchestra.runs()._repr_mimebundle_()
    for text in shown.values():
        assert "fda37c90" in text
        assert ids[0] not in text
        assert "Say hi" in text
    assert orchestra.run("fda37c90").id == ids[0]
    assert orchestra.run(ids[1]).id == ids[1]
    for unclear in ("0a37c90f", "fda37c9"):  # of two runs, and too short
        with pytest.raises(NotFound):
            orchestra.run(unclear)


def test_a_run_of_another_server_is_said_to_be_there(orchestra: Orchestra, far: Scripted) -> None:
    for run_id, server in (("aaaaaaaa-1", "https://old.example/api"), ("bbbbbbbb-2", "https://old.example/api")):
        journal.intended(run_id, base_url=server, workflow_id=WORKFLOWS[0], digest="d")
        journal.started(run_id, run_id)
    far.on("GET", f"/workflows/{WORKFLOWS[0]}/runs/bbbbbbbb-2", [{"id": "bbbbbbbb-2", "status": "running"}])
    for workflow in (None, WORKFLOWS[0]):
        with pytest.raises(NotFound, match=r"Run aaaaaaaa was started on https://old.example/api, and this is http://"):
            orchestra.run("aaaaaaaa-1", workflow=workflow)
        # A server that has changed its address still has it.
        assert orchestra.run("bbbbbbbb", workflow=workflow).latest.status == "running"


def lose(orchestra: Orchestra, far: Scripted) -> RunUnconfirmed:
    """Start a run whose answer is lost, and which no history shows."""
    far.on("POST", f"/workflows/{WORKFLOWS[0]}/execute", Reply(act=reset))
    far.on("GET", f"/workflows/{WORKFLOWS[0]}/runs", [])
    with pytest.raises(RunUnconfirmed) as caught:
        orchestra.execute(WORKFLOWS[0], {"prompt": "hi"})
    return caught.value


def test_a_start_without_an_answer_is_listed_and_found_later(orchestra: Orchestra, far: Scripted) -> None:
    lose(orchestra, far)
    runs = orchestra.runs()
    (entry,) = runs.unconfirmed
    assert list(runs) == []
    for shown in runs._repr_mimebundle_().values():
        assert "unconfirmed" in shown
        assert "orchestra.reconcile(" in shown
    later = {"id": "late", "status": "running", "inputs": {"prompt": "hi"}, "start_time": entry.sent_at.isoformat()}
    other = {**later, "id": "other", "inputs": {"prompt": "bye"}}
    far.on("GET", f"/workflows/{WORKFLOWS[0]}/runs", [other])
    with pytest.raises(RunUnconfirmed) as caught:
        orchestra.reconcile(entry)
    far.on("GET", f"/workflows/{WORKFLOWS[0]}/runs", [other, later])
    assert orchestra.reconcile(caught.value).id == "late"  # the error of an entry has no inputs, and needs none
    assert orchestra.reconcile(entry).id == "late"  # known by now
    assert orchestra.runs().unconfirmed == []
    assert [run.id for run in orchestra.runs()] == ["late"]
    assert len(far.posts) == 1


def test_a_run_of_another_start_is_not_taken(orchestra: Orchestra, far: Scripted) -> None:
    error = lose(orchestra, far)
    taken = {"id": "taken", "status": "running", "inputs": {"prompt": "hi"}}
    journal.intended("k", base_url=orchestra.base_url, workflow_id=WORKFLOWS[0], digest="d")
    journal.started("k", "taken")
    far.on("GET", f"/workflows/{WORKFLOWS[0]}/runs", [taken])
    with pytest.raises(RunUnconfirmed):
        orchestra.reconcile(error)
