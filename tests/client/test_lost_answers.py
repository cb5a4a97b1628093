"""A start whose answer is lost: never a second POST, adopted when exactly one run fits, else said so."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from scripted import Reply, Said, Scripted, reset

from orchestra_magic import Orchestra, RunUnconfirmed
from orchestra_magic.client import journal, reconcile

WF = "1234f567-bb12-1234-b7cd-f7a71a98cd24"
INPUTS = {"prompt": "hello"}


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "PAUSES", (0.0, 0.0, 0.0))


def past(run_id: str, *, age: float = 0.0, inputs: Any = None, **members: Any) -> dict[str, Any]:
    start = (datetime.now(timezone.utc) - timedelta(seconds=age)).isoformat()
    return {
        "id": run_id,
        "status": "running",
        "start_time": start,
        "inputs": INPUTS if inputs is None else inputs,
        **members,
    }


LOST = {
    "reset": Reply(act=reset),
    "500": Reply(500, {"detail": "oops"}),
    "502 page": Reply(502, body=b"<html><title>Bad Gateway</title></html>"),
    "503": Reply(503, {"detail": "busy"}),
    "no JSON": Reply(200, body=b"<html>welcome</html>"),
    "cut JSON": Reply(200, body=b'{"message": "Workflow execution st'),
    "no run id": Reply(200, {"message": "started"}),
    "not an object": Reply(200, [1]),
}


@pytest.mark.parametrize("reply", LOST.values(), ids=LOST)
def test_one_run_that_fits_is_adopted(orchestra: Orchestra, server: Scripted, reply: Reply) -> None:
    old, other = past("old", age=60), past("other", inputs={"prompt": "else"})
    server.on("POST", f"/workflows/{WF}/execute", reply)
    server.on("GET", f"/workflows/{WF}/runs", [past("new"), other, old])
    run = orchestra.execute(WF, INPUTS)
    assert run.id == "new"
    assert "found in the history" in run.note
    assert len(server.posts) == 1
    assert [entry.run_id for entry in journal.entries()] == ["new"]


@pytest.mark.parametrize(("ids", "words"), [([], "no new run"), (["a", "b"], "2 runs that may be it")])
def test_none_or_several_are_said(orchestra: Orchestra, server: Scripted, ids: list[str], words: str) -> None:
    runs = [past(run_id) for run_id in ids]
    server.on("POST", f"/workflows/{WF}/execute", Reply(act=reset))
    server.on("GET", f"/workflows/{WF}/runs", runs)
    with pytest.raises(RunUnconfirmed, match=words) as caught:
        orchestra.execute(WF, INPUTS)
    lost = caught.value
    assert (lost.workflow_id, dict(lost.inputs), [run.id for run in lost.candidates]) == (WF, INPUTS, ids)
    assert len(server.posts) == 1
    assert [entry.unconfirmed for entry in journal.entries()] == [True]
    # later the history shows it
    server.on("GET", f"/workflows/{WF}/runs", [past("late")])
    assert orchestra.reconcile(lost).id == "late"
    assert len(server.posts) == 1


def test_runs_that_the_journal_has_are_left_out(orchestra: Orchestra, server: Scripted) -> None:
    server.on("POST", f"/workflows/{WF}/execute", {"run_id": "mine"}, Reply(act=reset))
    server.on("GET", f"/workflows/{WF}/runs", [past("mine")], [past("new"), past("mine")])
    orchestra.execute(WF, INPUTS)
    assert orchestra.execute(WF, INPUTS).id == "new"


def test_the_servers_own_clock_decides(orchestra: Orchestra, server: Scripted) -> None:
    """A server whose clock is an hour behind, and a run of this computer's last hour with equal inputs."""
    behind = 3600.0
    date = (datetime.now(timezone.utc) - timedelta(seconds=behind)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    def history(_: Said) -> Reply:
        return Reply(data=[past("new", age=behind), past("old", age=behind + 60)], headers={"Date": date})

    server.on("POST", f"/workflows/{WF}/execute", Reply(act=reset))
    server.on("GET", f"/workflows/{WF}/runs", history)
    assert orchestra.execute(WF, INPUTS).id == "new"


def test_the_idempotency_key_makes_it_exact(orchestra: Orchestra, server: Scripted) -> None:
    def history(_: Said) -> list[Any]:
        sent = server.posts[0].headers["Idempotency-Key"]
        return [past("twin"), past("mine", idempotency_key=sent)]

    server.on("POST", f"/workflows/{WF}/execute", Reply(act=reset))
    server.on("GET", f"/workflows/{WF}/runs", history)
    assert orchestra.execute(WF, INPUTS).id == "mine"


def test_history_that_cannot_be_read_is_no_second_post(orchestra: Orchestra, server: Scripted) -> None:
    server.on("POST", f"/workflows/{WF}/execute", Reply(act=reset))
    server.on("GET", f"/workflows/{WF}/runs", Reply(500, {"detail": "down"}))
    with pytest.raises(RunUnconfirmed, match="cannot be read either.*down"):
        orchestra.execute(WF, INPUTS)
    assert len(server.posts) == 1
