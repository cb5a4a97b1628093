"""What a run shows of itself, however its handle was made: whole, within a second, asked for once."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from scripted import Reply, Scripted

from orchestra_magic import Orchestra
from orchestra_magic.client.run import Run

WF = "1234f567-bb12-1234-b7cd-f7a71a98cd24"
RUN = "fda37c90-dd1c-4317-82d1-797b7f77fca5"
STATE = {"id": RUN, "status": "completed", "outputs": "Hi <Ada>", "end_time": "2025-04-24T03:18:13Z"}
GRAPH = {"nodes": {"greet": {"type": "model"}}, "edges": [["START", "greet"], ["greet", "END"]]}
WORKFLOW = {"workflow_id": WF, "name": "Say hi", "graph": GRAPH}
WAYS = {
    "its id": lambda orchestra: orchestra.run(RUN, workflow=WF),
    "the history": lambda orchestra: orchestra.history(WF)[0],
    "a start": lambda orchestra: orchestra.execute(WF, {}),
    "the journal": lambda orchestra: (orchestra.execute(WF, {}), orchestra.runs()[0])[1],
    "its id alone": lambda orchestra: (orchestra.workflows(), orchestra.run(RUN))[1],
}


@pytest.fixture
def far(server: Scripted) -> Scripted:
    server.on("GET", "/workflows", [WORKFLOW])
    server.on("POST", f"/workflows/{WF}/execute", {"run_id": RUN})
    server.on("GET", f"/workflows/{WF}/runs", [STATE])
    server.on("GET", f"/workflows/{WF}/runs/{RUN}", [STATE])
    server.on("GET", f"/workflows/{WF}/runs/{RUN}/steps", [{"node_id": "greet", "status": "completed"}])
    return server


@pytest.mark.parametrize("way", WAYS)
def test_every_handle_shows_all_and_asks_once(way: str, orchestra: Orchestra, far: Scripted) -> None:
    run: Run = WAYS[way](orchestra)
    bundle = run._repr_mimebundle_()
    for said in (bundle["text/plain"], bundle["text/html"]):
        for word in ("completed", "Say hi", "run fda37c90", "greet", f"%orchestra_run {RUN} --workflow {WF}"):
            assert word in said
    assert "Hi <Ada>" in bundle["text/plain"]
    assert '<img alt="' in bundle["text/html"]
    assert "<details>" in bundle["text/html"]
    asked = len(far.said)
    assert run._repr_mimebundle_() == bundle
    assert len(far.said) == asked


@pytest.mark.parametrize("hangs", ["runs/" + RUN, f"runs/{RUN}/steps", ""])
def test_a_server_that_hangs_holds_no_display_up(hangs: str, orchestra: Orchestra, far: Scripted) -> None:
    release = threading.Event()

    def slow(_: Any) -> Reply:
        release.wait(30)
        return Reply(503)

    far.on("GET", f"/workflows/{WF}/{hangs}" if hangs else "/workflows", slow)
    begun = time.monotonic()
    bundle = orchestra.run(RUN, workflow=WF)._repr_mimebundle_()
    took = time.monotonic() - begun
    still_hung = not release.is_set()
    release.set()
    assert still_hung
    assert took < 10  # and not the 60 s that a request may take
    assert "did not answer within a second" in bundle["text/plain"] or "completed" in bundle["text/plain"]
    assert f"%orchestra_run {RUN}" in bundle["text/html"]


def test_a_run_that_the_server_does_not_know_says_why(orchestra: Orchestra, far: Scripted) -> None:
    far.on("GET", f"/workflows/{WF}/runs/{RUN}", Reply(404, {"detail": "Run not found"}))
    shown = orchestra.run(RUN, workflow=WF)._repr_mimebundle_()["text/plain"]
    assert "unknown" in shown
    assert "Followed no longer." in shown
    assert "Run not found" in shown
