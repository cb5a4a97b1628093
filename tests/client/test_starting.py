"""Starting without sending, and without starting again: dry runs, reuse, twins, tables in outputs."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from local.embedded import LocalServer
from scripted import Reply, Scripted

from orchestra_magic import Orchestra
from orchestra_magic.client import settings

WF = "1234f567-bb12-1234-b7cd-f7a71a98cd24"
INPUTS = {"prompt": 'it\'s "$HOME" `here`'}


def states(server: Scripted, **by_run: str) -> None:
    """Let the server know runs by their states."""
    for run_id, status in by_run.items():
        server.on("GET", f"/workflows/{WF}/runs/{run_id}", [{"id": run_id, "status": status}])


def test_a_dry_run_sends_nothing(orchestra: Orchestra, server: Scripted, key: str) -> None:
    shown = orchestra.preview(WF, INPUTS)
    assert server.said == []
    assert shown.url == f"{server.base_url}/workflows/{WF}/execute"
    for text in (repr(shown), shown._repr_mimebundle_()["text/plain"], shown._repr_mimebundle_()["text/html"]):
        assert key not in text
    assert "Bearer ********" in repr(shown)
    assert "&quot;$HOME\\&quot;" in shown._repr_mimebundle_()["text/html"]


def test_the_curl_line_sends_the_same_request(orchestra: Orchestra, server: Scripted, key: str) -> None:
    """Run by a real shell with a real curl, and held against what the client sends."""
    server.on("POST", f"/workflows/{WF}/execute", {"run_id": "r"})
    line = orchestra.preview(WF, INPUTS).curl
    assert key not in line
    subprocess.run(
        ["sh", "-c", line], env={"ORCHESTRA_API_KEY": key, "PATH": "/usr/bin:/bin"}, check=True, capture_output=True
    )
    orchestra.execute(WF, INPUTS)
    by_curl, by_client = server.posts
    assert by_curl.body == by_client.body
    assert by_curl.headers["Authorization"] == by_client.headers["Authorization"]
    assert by_curl.path == by_client.path


def test_the_curl_line_opens_the_embedded_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = LocalServer(tmp_path).start()
    try:
        monkeypatch.setenv("ORCHESTRA_HOME", str(tmp_path))
        shown = Orchestra("local").preview(server.id_of("hello"), {"name": "Ada"})
        export = shown.notes[0].partition(": ")[2]
        environment = {**server.environment, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        done = subprocess.run(
            ["sh", "-c", f"{export}; {shown.curl}"], env=environment, check=True, capture_output=True, text=True
        )
        assert json.loads(done.stdout)["run_id"]
        assert server.token not in repr(shown)
    finally:
        server.close()


def test_a_dry_run_of_a_name_says_what_would_be_looked_up(orchestra: Orchestra, server: Scripted) -> None:
    assert "'daily' would be looked up" in repr(orchestra.preview("daily"))
    server.on("GET", "/workflows", [{"workflow_id": "d1", "name": "daily"}])
    orchestra.workflows()
    assert "/workflows/d1/execute" in repr(orchestra.preview("daily"))


def test_a_dry_run_starts_no_server_and_needs_no_key() -> None:
    assert "would be started first" in repr(Orchestra("local").preview(WF))
    assert shlex.split(Orchestra(settings.HOSTED).preview(WF).curl)[0] == "curl"


@pytest.mark.parametrize(("status", "posts"), [("completed", 1), ("running", 1), ("failed", 2), ("cancelled", 2)])
def test_reuse_takes_a_run_that_is_as_good(orchestra: Orchestra, server: Scripted, status: str, posts: int) -> None:
    server.on("POST", f"/workflows/{WF}/execute", {"run_id": "r1"}, {"run_id": "r2"})
    states(server, r1=status, r2="running")
    orchestra.execute(WF, INPUTS)
    again = Orchestra(server.base_url, "sk-other-session").execute(WF, INPUTS, reuse=True)
    assert len(server.posts) == posts
    assert again.id == f"r{posts}"
    assert ("Taken instead of a new run" in again.note) is (posts == 1)


def test_reuse_needs_the_same_inputs_and_server(orchestra: Orchestra, server: Scripted) -> None:
    server.on("POST", f"/workflows/{WF}/execute", {"run_id": "r1"}, {"run_id": "r2"})
    states(server, r1="completed")
    orchestra.execute(WF, INPUTS)
    assert orchestra.execute(WF, {"prompt": "else"}, reuse=True).id == "r2"


def test_reuse_of_a_run_that_the_server_forgot_is_a_new_one(orchestra: Orchestra, server: Scripted) -> None:
    server.on("POST", f"/workflows/{WF}/execute", {"run_id": "r1"}, {"run_id": "r2"})
    server.on("GET", f"/workflows/{WF}/runs/r1", Reply(404))
    orchestra.execute(WF, INPUTS)
    assert orchestra.execute(WF, INPUTS, reuse=True).id == "r2"


def listed(server: Scripted, updated_at: str | None) -> None:
    server.on("GET", "/workflows", [{"workflow_id": WF, "name": "daily", "updated_at": updated_at}])


@pytest.mark.parametrize(
    ("updated_at", "taken", "doubted"),
    [
        ("2000-01-01 00:00:00+00:00", True, False),
        ("2999-01-01 00:00:00+00:00", False, False),
        (None, True, True),
    ],
)
def test_reuse_takes_no_run_from_before_an_update(
    orchestra: Orchestra, server: Scripted, updated_at: str | None, taken: bool, doubted: bool
) -> None:
    server.on("POST", f"/workflows/{WF}/execute", {"run_id": "r1"}, {"run_id": "r2"})
    states(server, r1="completed", r2="running")
    listed(server, "2000-01-01 00:00:00+00:00")
    orchestra.execute("daily", INPUTS)  # its list is fresh, and is not to be trusted for this
    listed(server, updated_at)
    again = orchestra.execute("daily", INPUTS, reuse=True)
    assert again.id == ("r1" if taken else "r2")
    assert ("the workflow may have changed since" in again.note) is doubted


def test_reuse_goes_by_the_clock_of_the_server_too(orchestra: Orchestra, server: Scripted) -> None:
    """By our clock the run began after the update, by that of the server before it."""
    server.on("POST", f"/workflows/{WF}/execute", {"run_id": "r1"}, {"run_id": "r2"})
    run = {"id": "r1", "status": "completed", "start_time": "2020-01-01T00:00:00Z"}
    server.on("GET", f"/workflows/{WF}/runs/r1", [run])
    listed(server, "2020-01-02 00:00:00+00:00")
    orchestra.execute(WF, INPUTS)
    assert orchestra.execute(WF, INPUTS, reuse=True).id == "r2"


def test_reuse_of_a_workflow_that_was_uploaded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = LocalServer(tmp_path).start()
    try:
        monkeypatch.setenv("ORCHESTRA_HOME", str(tmp_path))
        orchestra = Orchestra("local")

        def result(power: int, *, reuse: bool = False) -> Any:
            node = {"type": "code", "metadata": {"code": f"{{{{x}}}} ** {power}"}}
            edges = [["START", "y"], ["y", "END"]]
            orchestra.upload({"nodes": {"y": node}, "edges": edges}, name="my-first")
            run = orchestra.execute("my-first", {"x": 7}, reuse=reuse).wait()
            return run.all_outputs["y"]["data"]["results"]

        assert result(2) == 49
        assert result(3, reuse=True) == 343
        again = orchestra.execute("my-first", {"x": 7}, reuse=True)
        assert "Taken instead of a new run" in again.note
        assert "may have changed" not in again.note
    finally:
        server.close()


@pytest.mark.parametrize(
    ("status", "updated_at", "said"),
    [
        ("completed", "2000-01-01 00:00:00+00:00", "; --reuse would have taken it."),
        ("completed", None, "; --reuse would have taken it."),
        ("failed", "2000-01-01 00:00:00+00:00", ""),
        ("completed", "2999-01-01 00:00:00+00:00", ""),
    ],
)
def test_a_twin_is_said_to_be_reusable_only_where_it_is(
    orchestra: Orchestra, server: Scripted, status: str, updated_at: str | None, said: str
) -> None:
    server.on("POST", f"/workflows/{WF}/execute", {"run_id": "first"}, {"run_id": "second"})
    states(server, first=status)
    listed(server, updated_at)
    first = orchestra.execute("daily", INPUTS)
    first.wait(check=False)
    note = orchestra.execute("daily", INPUTS).note
    assert note == (f"Run first of this session had the same inputs{said}" if said else "")


def test_a_twin_is_sent_and_mentioned(orchestra: Orchestra, server: Scripted) -> None:
    server.on("POST", f"/workflows/{WF}/execute", {"run_id": "first"}, {"run_id": "second"}, {"run_id": "third"})
    assert orchestra.execute(WF, INPUTS).note == ""
    assert "Run first of this session had the same inputs" in orchestra.execute(WF, INPUTS).note
    assert orchestra.execute(WF, {"prompt": "else"}).note == ""
    assert len(server.posts) == 3


ROWS = [{"species": "Gentoo", "mean": 5076.0}, {"species": "Adelie", "mean": 3700.7}]


@pytest.mark.parametrize(
    ("outputs", "table"),
    [
        (ROWS, lambda outputs: outputs),
        ({"summary": ROWS, "n": 2}, lambda outputs: outputs["summary"]),
        ({"data": {"results": ROWS}, "successful": True}, lambda outputs: outputs["data"]["results"]),
    ],
)
def test_tables_in_outputs_become_frames(orchestra: Orchestra, server: Scripted, outputs: Any, table: Any) -> None:
    server.on("GET", f"/workflows/{WF}/runs/r", [{"id": "r", "status": "completed", "outputs": outputs}])
    found = orchestra.run("r", workflow=WF).outputs
    assert found == outputs
    pd.testing.assert_frame_equal(table(found).to_frame(), pd.DataFrame(ROWS))
