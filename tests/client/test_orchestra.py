"""The facade against a real HTTP server: what goes over the wire, what comes back, what is never sent."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from scripted import Reply, Scripted

from orchestra_magic import (
    NotFound,
    Orchestra,
    OrchestraAuthError,
    OrchestraConnectionError,
    OrchestraError,
    OrchestraInputError,
    OrchestraUsageError,
    RunFailed,
    RunTimeout,
    ServerError,
)
from orchestra_magic.client import journal

SAMPLES = Path(__file__).parents[1] / "samples"
WF = "1234f567-bb12-1234-b7cd-f7a71a98cd24"
RUN = "fda37c90-dd1c-4317-82d1-797b7f77fca5"
STARTED = {"message": "Workflow execution started", "run_id": RUN}


def run_json(status: str = "completed", **members: Any) -> list[dict[str, Any]]:
    ended = None if status in {"queued", "running"} else "2025-04-24T03:18:13.048954Z"
    return [{"id": RUN, "status": status, "start_time": "2025-04-24T03:18:12.322630Z", "end_time": ended, **members}]


@pytest.fixture
def started(server: Scripted) -> Scripted:
    server.on("POST", f"/workflows/{WF}/execute", STARTED)
    server.on("GET", f"/workflows/{WF}/runs/{RUN}", run_json(outputs="Hi"))
    server.on("GET", f"/workflows/{WF}/runs/{RUN}/steps", [])
    return server


def test_execute_sends_exactly_the_flat_object(orchestra: Orchestra, started: Scripted, key: str) -> None:
    inputs = {"prompt": "hello \U0001f600", "n": 12345678901234567890, "x": 0.1, "deep": {"a": [None, True]}}
    run = orchestra.execute(WF, inputs)
    (sent,) = started.said  # an id in UUID form needs no look-up
    assert (sent.method, sent.path) == ("POST", f"/workflows/{WF}/execute")
    assert sent.json == inputs
    assert sent.headers["Authorization"] == f"Bearer {key}"
    assert sent.headers["Content-Type"] == "application/json"
    assert re.fullmatch(r"[0-9a-f-]{36}", sent.headers["Idempotency-Key"])
    assert sent.headers["User-Agent"].startswith("orchestra-magic/")
    assert (run.id, run.workflow_id, run.short_id) == (RUN, WF, "fda37c90")


def test_execute_without_inputs_sends_an_empty_object(orchestra: Orchestra, started: Scripted) -> None:
    orchestra.execute(WF)
    assert started.said[0].body == b"{}"


def test_each_execute_has_its_own_idempotency_key(orchestra: Orchestra, started: Scripted) -> None:
    orchestra.execute(WF)
    orchestra.execute(WF)
    first, second = (each.headers["Idempotency-Key"] for each in started.posts)
    assert first != second


def test_wait_gives_the_outputs(orchestra: Orchestra, started: Scripted) -> None:
    started.on("GET", f"/workflows/{WF}/runs/{RUN}", [], run_json("running"), run_json(outputs={"n": 3}))
    run = orchestra.execute(WF).wait(timeout=20)
    assert run.outputs == {"n": 3}
    assert (run.status, run.finished, run.error) == ("completed", True, None)
    assert run.duration == pytest.approx(0.726324)


def test_a_run_that_the_server_does_not_know_yet_is_waited_for(orchestra: Orchestra, started: Scripted) -> None:
    started.on("GET", f"/workflows/{WF}/runs/{RUN}", Reply(404, {"detail": "no such run"}), run_json())
    assert orchestra.execute(WF).wait(timeout=20).status == "completed"


def test_a_failed_run_raises_and_carries_itself(orchestra: Orchestra, started: Scripted) -> None:
    started.on("GET", f"/workflows/{WF}/runs/{RUN}", run_json("failed", error="node model_1: out of tokens"))
    run = orchestra.execute(WF)
    with pytest.raises(RunFailed, match="fda37c90 ended as failed: node model_1: out of tokens") as caught:
        run.wait(timeout=20)
    assert caught.value.run is run
    assert run.wait(check=False) is run


def test_a_wait_that_times_out_says_how_to_come_back(orchestra: Orchestra, started: Scripted) -> None:
    started.on("GET", f"/workflows/{WF}/runs/{RUN}", run_json("running"))
    with pytest.raises(RunTimeout, match=f"`%orchestra_run {RUN} --workflow {WF}`"):
        orchestra.execute(WF).wait(timeout=0.3)


def test_a_wait_outlives_passing_faults(orchestra: Orchestra, started: Scripted) -> None:
    path = f"/workflows/{WF}/runs/{RUN}"
    started.on("GET", path, Reply(502, body=b"<html><title>Bad Gateway</title></html>"), Reply(429), run_json())
    assert orchestra.execute(WF).wait(timeout=20).status == "completed"


def test_a_wait_ends_when_the_key_is_refused(orchestra: Orchestra, started: Scripted) -> None:
    started.on("GET", f"/workflows/{WF}/runs/{RUN}", Reply(401, {"detail": "expired"}))
    with pytest.raises(OrchestraAuthError, match="expired"):
        orchestra.execute(WF).wait(timeout=20)


def test_the_same_handle_again(orchestra: Orchestra, started: Scripted) -> None:
    run = orchestra.run(RUN, workflow=WF)
    assert started.said == []  # loaded at first use
    assert run.outputs == "Hi"
    assert run == orchestra.execute(WF)
    assert repr(run) == "<Run fda37c90 completed>"


def test_a_run_by_its_id_alone_comes_from_the_journal(orchestra: Orchestra, started: Scripted) -> None:
    orchestra.execute(WF)
    assert orchestra.run(RUN).workflow_id == WF


def test_a_run_by_its_id_alone_is_looked_for_in_each_workflow(orchestra: Orchestra, server: Scripted) -> None:
    server.on("GET", "/workflows", [{"workflow_id": "other", "name": "a"}, {"workflow_id": WF, "name": "b"}])
    server.on("GET", f"/workflows/{WF}/runs/{RUN}", run_json())
    assert orchestra.run(RUN).workflow_id == WF
    with pytest.raises(NotFound, match="No workflow has a run nowhere"):
        orchestra.run("nowhere")


def test_workflows_by_name(orchestra: Orchestra, server: Scripted) -> None:
    listed = [
        {"workflow_id": "a1", "name": "daily"},
        {"workflow_id": "a2", "name": "twice"},
        {"workflow_id": "a3", "name": "twice"},
    ]
    server.on("GET", "/workflows", listed)
    assert orchestra.resolve("daily") == "a1"
    assert orchestra.resolve("a2") == "a2"
    with pytest.raises(OrchestraUsageError, match="2 workflows are named 'twice'.* a2, a3"):
        orchestra.resolve("twice")
    with pytest.raises(NotFound, match="Did you mean daily?"):
        orchestra.resolve("dayly")
    assert len(server.said) == 1  # the list is kept for a while


def test_history(orchestra: Orchestra, server: Scripted) -> None:
    sample = json.loads((SAMPLES / "run-history.example.json").read_text(encoding="utf-8"))
    server.on("GET", f"/workflows/{WF}/runs", sample)
    (run,) = runs = orchestra.history(WF, limit=5, offset=10)
    assert server.said[0].path == f"/workflows/{WF}/runs?limit=5&offset=10"
    assert run.inputs == {"prompt": "Tell me a joke about the weather"}
    frame = runs.to_frame()  # type: ignore[attr-defined]
    assert list(frame["status"]) == ["completed"]
    assert frame["duration"][0] == pytest.approx(5.656683)


def test_diagram_from_the_servers_text(orchestra: Orchestra, server: Scripted, tmp_path: Path) -> None:
    sample = json.loads((SAMPLES / "diagram.response.example.json").read_text(encoding="utf-8"))
    server.on("GET", f"/workflows/{WF}/diagram", sample)
    diagram = orchestra.diagram(WF)
    assert diagram.mermaid == sample["diagram"]
    assert "slack_integration" in diagram.svg
    assert diagram.save(tmp_path / "x.svg").read_text(encoding="utf-8") == diagram.svg


def test_upload_and_cancel(orchestra: Orchestra, started: Scripted) -> None:
    started.on("POST", "/workflows", {"workflow_id": "new", "name": "mine"})
    graph = {"nodes": {}, "edges": []}
    assert orchestra.upload(graph, name="mine", trusted=False).id == "new"
    assert started.said[0].json == {"name": "mine", "graph": graph, "trusted": False}
    run = orchestra.execute(WF)
    with pytest.raises(OrchestraUsageError, match="cannot cancel"):
        run.cancel()
    started.on("POST", f"/workflows/{WF}/runs/{RUN}/cancel", {"message": "ok"})
    assert run.cancel().status == "completed"


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (Reply(400, {"detail": "missing input 'table'"}), ServerError, "did not accept the request (400): missing input 'table'"),
        (Reply(422, {"detail": [{"loc": ["body", "n"], "msg": "not a number"}]}), ServerError, "body.n: not a number"),
        (Reply(401, {"message": "bad token"}), OrchestraAuthError, "refused the API key (401): bad token"),
        (Reply(403, {"error": {"message": "no access"}}), OrchestraAuthError, "no access"),
        (Reply(404, {"detail": "Workflow not found"}), NotFound, "Workflow not found"),
        (Reply(409, body=b"already\nthere"), ServerError, "(409): already there"),
        (Reply(429, headers={"Retry-After": "7"}), ServerError, "too many requests (429).* Wait 7 s"),
        (Reply(302, headers={"Location": "https://elsewhere.example/x"}), OrchestraConnectionError, "redirects to https://elsewhere"),
        (Reply(307, headers={"Location": "/api/v1/other"}), OrchestraConnectionError, "nothing was started"),
    ],
)  # fmt: skip
def test_what_a_refused_start_says(
    orchestra: Orchestra, server: Scripted, reply: Reply, kind: type, words: str
) -> None:
    server.on("POST", f"/workflows/{WF}/execute", reply)
    with pytest.raises(kind, match=words.replace("(", r"\(").replace(")", r"\)")) as caught:
        orchestra.execute(WF)
    assert len(server.posts) == 1
    assert caught.value._render_traceback_() == [f"{kind.__name__}: {caught.value}"]
    assert journal.entries() == []  # it is known that nothing runs


def test_a_server_that_is_down(orchestra: Orchestra, server: Scripted) -> None:
    server.close()
    with pytest.raises(OrchestraConnectionError, match="refused the connection"):
        orchestra.execute(WF)
    assert journal.entries() == []


def test_a_host_that_is_not_there(key: str) -> None:
    with pytest.raises(OrchestraConnectionError, match="There is no server named nowhere.invalid"):
        Orchestra("https://nowhere.invalid/api", key).execute(WF)


@pytest.mark.parametrize("inputs", [[1], "text", {"x": float("nan")}, {1: 2}, {"x": object()}, {"x": b"raw"}])
def test_inputs_that_cannot_be_sent_are_not(orchestra: Orchestra, server: Scripted, inputs: Any) -> None:
    with pytest.raises(OrchestraInputError):
        orchestra.execute(WF, inputs)
    assert server.said == []


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_ids_that_would_name_another_route(orchestra: Orchestra, server: Scripted, name: str) -> None:
    server.on("GET", "/workflows", [{"workflow_id": name}])
    with pytest.raises(OrchestraError):
        orchestra.history(name)
    assert [said.path for said in server.said] in ([], ["/workflows"])


def test_the_key_stays_in_its_process(orchestra: Orchestra, key: str) -> None:
    copy = pickle.loads(pickle.dumps(orchestra))
    assert copy.base_url == orchestra.base_url
    for each in (pickle.dumps(orchestra), repr(orchestra), repr(vars(orchestra)), repr(orchestra._key)):
        assert key not in str(each)


def test_a_key_that_the_server_echoes_is_masked(orchestra: Orchestra, server: Scripted, key: str) -> None:
    server.on("POST", f"/workflows/{WF}/execute", Reply(401, {"detail": f"unknown key {key}"}))
    with pytest.raises(OrchestraAuthError, match=r"unknown key \*{8}") as caught:
        orchestra.execute(WF)
    assert key not in str(caught.value)
    assert caught.value.__context__ is None  # no exception of requests, which holds the header, rides along


def test_netrc_does_not_replace_the_key(
    orchestra: Orchestra, started: Scripted, isolated: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = isolated / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    orchestra.execute(WF)
    assert started.said[0].headers["Authorization"] == f"Bearer {key}"


def test_no_proxy_stands_between_us_and_this_computer(
    orchestra: Orchestra, started: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert orchestra.execute(WF).id == RUN
