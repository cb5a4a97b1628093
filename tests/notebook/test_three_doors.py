"""Function, magic and form are one feature: what one of them does, each of them does."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from scripted import Reply, Scripted, reset

from orchestra_magic import (
    NotFound,
    Orchestra,
    OrchestraAuthError,
    OrchestraConfigError,
    OrchestraConnectionError,
    OrchestraInputError,
    Run,
    RunUnconfirmed,
    ServerError,
)
from orchestra_magic.client import journal, reconcile
from orchestra_magic.notebook.form import Form

from .cells import Cells
from .workflows import EXECUTE, RUN, STATE, WF, run_json, workflow_json

INPUTS: dict[str, dict[str, Any]] = {
    "prompt": {"type": "string"},
    **{
        name: {"type": kind, "required": False}
        for name, kind in {"n": "integer", "x": "number", "loud": "boolean", "rows": "array", "about": "object"}.items()
    },
}
SAID: dict[str, Any] = {
    "prompt": "Grüß Gott \U0001f600, it costs 5 $\n\tand \"more\" <b> {{name}} 'yes'",
    "n": 2**70,
    "x": 0.1,
    "loud": True,
    "rows": [{"a": 1}, {"a": None}, [], "null"],
    "about": {"deep": {"er": [1.5, False]}, "": 0},
}

SHORT = {"prompt": "hi", "loud": False}
"""A form always says whether a box is ticked."""

Door = Callable[[dict[str, Any]], Run]


@pytest.fixture(params=["function", "magic", "form"])
def door(request: pytest.FixtureRequest, cells: Cells, connected: Scripted) -> Door:
    """One way in: takes inputs, starts a run, returns it or raises."""
    connected.on("GET", "/workflows", [workflow_json(inputs=INPUTS)])
    orchestra = Orchestra()

    def by_function(inputs: dict[str, Any]) -> Run:
        return orchestra.execute(WF, inputs)

    def by_magic(inputs: dict[str, Any]) -> Run:
        return cells.run(f"%%orchestra_execute {WF} --quiet\n{json.dumps(inputs)}")

    workflow = orchestra.workflow(WF)
    connected.said.clear()

    def by_form(inputs: dict[str, Any]) -> Run:
        form = Form(orchestra, workflow, cells.shell).set(**inputs)
        form.submit()
        assert form.settled(timeout=20)
        return form.run

    return {"function": by_function, "magic": by_magic, "form": by_form}[request.param]


def test_the_inputs_arrive_as_they_were_given(door: Door, connected: Scripted, key: str) -> None:
    run = door(SAID)
    (sent,) = connected.posts
    assert sent.path == EXECUTE
    assert sent.json == SAID
    assert sent.headers["Authorization"] == f"Bearer {key}"
    assert re.fullmatch(r"[0-9a-f-]{36}", sent.headers["Idempotency-Key"])
    assert (run.id, run.workflow_id) == (RUN, WF)


def test_the_run_can_be_waited_for(door: Door, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("running"), run_json(outputs={"n": 3}))
    assert door({"prompt": "hi"}).wait(timeout=20).outputs == {"n": 3}


def test_the_run_id_is_bound_in_the_notebook(door: Door, cells: Cells, request: pytest.FixtureRequest) -> None:
    door({"prompt": "hi"})
    if "function" in request.node.callspec.id:  # it returns the run, and binds nothing
        assert "run_id" not in cells
    else:
        assert cells["run_id"] == RUN
        assert type(cells["run_id"]) is str


def test_the_journal_has_the_run_before_anything_else(door: Door) -> None:
    door({"prompt": "hi"})
    (entry,) = journal.entries()
    assert (entry.run_id, entry.workflow_id) == (RUN, WF)


REFUSALS = [
    (401, {"detail": "Invalid API key"}, OrchestraAuthError),
    (403, {"detail": "Not authenticated"}, OrchestraAuthError),
    (404, {"detail": "Workflow not found"}, NotFound),
    (422, {"detail": [{"loc": ["body", "prompt"], "msg": "field required"}]}, ServerError),
    (429, {"detail": "slow down"}, ServerError),
]


@pytest.mark.parametrize(("status", "data", "kind"), REFUSALS)
def test_a_refusal_is_the_same_error(
    status: int, data: Any, kind: type[Exception], door: Door, cells: Cells, connected: Scripted
) -> None:
    connected.on("POST", EXECUTE, Reply(status, data))
    with pytest.raises(kind) as caught:
        door({"prompt": "hi"})
    assert caught.value.status == status
    assert len(connected.posts) == 1
    assert "run_id" not in cells


def test_a_server_that_is_down(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("ORCHESTRA_BASE_URL", f"http://127.0.0.1:{port}/api/v1/workflow")
    with pytest.raises(OrchestraConnectionError, match="refused the connection"):
        door({"prompt": "hi"})


def test_no_key(door: Door, connected: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORCHESTRA_API_KEY")
    with pytest.raises(OrchestraConfigError, match="There is no API key"):
        door({"prompt": "hi"})
    assert not connected.said


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have(number: float, door: Door, connected: Scripted) -> None:
    with pytest.raises(OrchestraInputError):
        door({"prompt": "hi", "x": number})
    assert not connected.posts


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The looks for a lost run follow each other at once."""
    monkeypatch.setattr(reconcile, "PAUSES", (0.0, 0.0, 0.0))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("reply", [Reply(act=reset), Reply(502)], ids=["reset", "502"])
def test_a_lost_answer_is_not_sent_again(reply: Reply, door: Door, cells: Cells, connected: Scripted) -> None:
    connected.on("POST", EXECUTE, reply)
    connected.on("GET", f"/workflows/{WF}/runs", [])
    with pytest.raises(RunUnconfirmed) as caught:
        door(SHORT)
    assert caught.value.inputs == SHORT
    assert len(connected.posts) == 1
    assert "run_id" not in cells


@pytest.mark.usefixtures("soon")
def test_a_run_whose_answer_was_lost_is_found_again(door: Door, connected: Scripted) -> None:
    now = datetime.now(timezone.utc).isoformat()
    found = {"id": RUN, "status": "running", "inputs": SHORT, "start_time": now, "end_time": None}
    connected.on("POST", EXECUTE, Reply(act=reset))
    connected.on("GET", f"/workflows/{WF}/runs", [found])
    run = door(SHORT)
    assert run.id == RUN
    assert "lost" in run.note
    assert len(connected.posts) == 1


def test_many_at_once_are_as_many_runs(door: Door, connected: Scripted, request: pytest.FixtureRequest) -> None:
    if "magic" in request.node.callspec.id:
        pytest.skip("a shell runs one cell at a time")
    threads = [threading.Thread(target=door, args=({"prompt": f"hi {n}"},)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(sent.json["prompt"] for sent in connected.posts) == [f"hi {n}" for n in range(5)]
    assert len({sent.headers["Idempotency-Key"] for sent in connected.posts}) == 5
