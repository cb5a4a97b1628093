"""The journal under kills, several kernels and bad disks: what was started is known afterwards."""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Reply, Scripted

from orchestra_magic import Orchestra, RunUnconfirmed, paths
from orchestra_magic.client import journal, reconcile

WF = "1234f567-bb12-1234-b7cd-f7a71a98cd24"
EXECUTE, RUNS = f"/workflows/{WF}/execute", f"/workflows/{WF}/runs"
INPUTS = {"prompt": "hello"}

START = f"""
from orchestra_magic import Orchestra
print(Orchestra().execute({WF!r}, {INPUTS!r}).id)
"""


def file() -> Path:
    return paths.home() / "journal.jsonl"


def child(server: Scripted, code: str, **how: object) -> subprocess.Popen[str]:
    """A process of its own that is connected to ``server``, and shares this test's home."""
    environment = os.environ | {"ORCHESTRA_BASE_URL": server.base_url, "ORCHESTRA_API_KEY": "sk-child"}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how
    )  # type: ignore[call-overload]


def test_a_kernel_that_is_killed_while_it_starts_leaves_a_trace(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has the request, and the kernel dies before the answer."""
    arrived = threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        arrived.set()
        handler.server.closing.wait()  # type: ignore[attr-defined]

    server.on("POST", EXECUTE, Reply(act=hang))
    kernel = child(server, START)
    assert arrived.wait(60)
    kernel.send_signal(signal.SIGKILL)
    kernel.communicate()
    (entry,) = journal.entries()
    assert entry.unconfirmed
    assert (entry.workflow_id, entry.base_url, entry.run_id) == (WF, server.base_url, None)
    assert entry.digest == journal.digest(INPUTS)
    assert entry.key == server.posts[0].headers["Idempotency-Key"]
    # the next kernel lists it, and finds the run when the history shows one
    server.on("GET", "/workflows", [])
    server.on("GET", RUNS, [])
    orchestra = Orchestra(server.base_url, "sk-child")
    (known,) = orchestra.runs().unconfirmed
    monkeypatch.setattr(reconcile, "PAUSES", (0.0,))
    with pytest.raises(RunUnconfirmed, match="no new run"):
        orchestra.reconcile(known)
    began = entry.sent_at.isoformat()
    server.on("GET", RUNS, [{"id": "r1", "status": "running", "start_time": began, "inputs": INPUTS}])
    assert orchestra.reconcile(known).id == "r1"
    assert orchestra.runs().unconfirmed == []
    assert len(server.posts) == 1


def test_a_kernel_that_is_killed_once_it_has_started_keeps_the_run(server: Scripted) -> None:
    server.on("POST", EXECUTE, {"run_id": "r1"})
    kernel = child(server, START + "import time; print(flush=True); time.sleep(600)")
    assert kernel.stdout is not None
    assert kernel.stdout.readline() == "r1\n"
    kernel.send_signal(signal.SIGKILL)
    kernel.communicate()
    assert [entry.run_id for entry in journal.entries()] == ["r1"]


def test_kernels_start_at_once_and_every_run_is_known(server: Scripted) -> None:
    """One file, several processes, threads in each: no line is torn and none is missing."""
    server.on("POST", EXECUTE, lambda said: {"run_id": f"run-{said.headers['Idempotency-Key']}"})
    code = f"""
from concurrent.futures import ThreadPoolExecutor
from orchestra_magic import Orchestra
orchestra = Orchestra()
with ThreadPoolExecutor(4) as pool:
    for run in pool.map(lambda n: orchestra.execute({WF!r}, {{"n": n}}), range(20)):
        print(run.id)
"""
    kernels = [child(server, code) for _ in range(3)]
    said = [kernel.communicate(timeout=120) for kernel in kernels]
    assert [kernel.returncode for kernel in kernels] == [0, 0, 0], said
    started = {line for out, _ in said for line in out.split()}
    assert len(started) == 60 == len(server.posts)
    assert {entry.run_id for entry in journal.entries()} == started
    before, *lines = file().read_text().split("\n")  # each begins with its break
    assert before == ""
    assert len([json.loads(line) for line in lines]) == 2 * 60


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5).map(
                lambda value: json.dumps(value).encode()
            ),
            st.fixed_dictionaries(
                {"event": st.sampled_from(["intended", "started", "claimed", "lost", "dropped", "later", 7, [], {}])},
                optional={
                    "key": st.sampled_from(["k0", "k9", 7, None, []]),
                    "run_id": st.sampled_from(["r0", "r9", 7, None, {}]),
                    "time": st.sampled_from(["2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "yesterday", 7]),
                },
            ).map(lambda value: json.dumps(value).encode()),
            st.just(b"[" * 100_000),
        ),
        max_size=8,
    )
)
def test_nothing_in_the_file_makes_it_unreadable(lines: list[bytes]) -> None:
    file().parent.mkdir(parents=True, exist_ok=True)
    file().write_bytes(b"\n".join(lines))
    journal.entries()
    journal.intended("mine", base_url="local", workflow_id="wf", digest="d")
    journal.started("mine", "run-mine")
    assert "run-mine" in journal.run_ids()


def started_with_a_warning(server: Scripted) -> list[str]:
    """Start a run, which must succeed and be known in this process, and return the warnings."""
    server.on("POST", EXECUTE, {"run_id": "r1"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = Orchestra(server.base_url, "sk-x").execute(WF, INPUTS)
    assert run.id == "r1"
    assert [entry.run_id for entry in journal.entries()] == ["r1"]
    assert len(server.posts) == 1
    return [str(each.message) for each in caught]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk to be had")
def test_a_full_disk_is_a_warning(server: Scripted) -> None:
    file().parent.mkdir(parents=True)
    file().symlink_to("/dev/full")
    said = started_with_a_warning(server)
    assert "No space left on device" in said[0]
    assert "note the run id yourself" in said[0]


def test_a_folder_that_cannot_be_written_is_a_warning(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_HOME", "/proc/nowhere")  # read-only for root too
    assert "ORCHESTRA_HOME" in started_with_a_warning(server)[0]


def test_where_warnings_are_errors_a_run_is_not_lost_to_one(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ORCHESTRA_HOME", "/proc/nowhere/either")
    server.on("POST", EXECUTE, {"run_id": "r1"})
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING, "orchestra_magic"):
        warnings.simplefilter("error")
        assert Orchestra(server.base_url, "sk-x").execute(WF, INPUTS).id == "r1"
    assert "note the run id yourself" in caplog.text


def test_a_disk_that_takes_half_a_line(server: Scripted) -> None:
    """A quota that ends in the middle of a line: the half costs itself alone, and the run goes on."""
    journal.intended("before", base_url=server.base_url, workflow_id=WF, digest="d")
    journal.started("before", "r0")
    server.on("POST", EXECUTE, {"run_id": "r1"})
    room = file().stat().st_size + 40

    def narrow() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    kernel = child(
        server,
        START + "from orchestra_magic.client import journal\nprint(*[entry.run_id for entry in journal.entries()])",
        preexec_fn=narrow,
    )
    out, err = kernel.communicate(timeout=60)
    assert out == "r1\nr0 r1\n", err
    assert "The journal of runs cannot be written" in err
    assert file().stat().st_size == room
    assert [entry.run_id for entry in journal.entries()] == ["r0"]
    journal.intended("after", base_url=server.base_url, workflow_id=WF, digest="d")
    journal.started("after", "r2")
    assert [entry.run_id for entry in journal.entries()] == ["r0", "r2"]


def test_no_thread_to_be_had_is_no_lost_run(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.settle()

    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    server.on("POST", EXECUTE, {"run_id": "r1"})
    orchestra = Orchestra(server.base_url, "sk-x")
    real = threading.Thread.start
    with monkeypatch.context() as patched:
        patched.setattr(
            threading.Thread,
            "start",
            lambda thread: full(thread) if thread.name == "orchestra-journal" else real(thread),
        )
        assert orchestra.execute(WF, INPUTS).id == "r1"
    assert [entry.run_id for entry in journal.entries()] == ["r1"]
    journal.intended("next", base_url="local", workflow_id="wf", digest="d")
    journal.settle()


def test_one_run_is_claimed_once() -> None:
    for key in ("a", "b"):
        journal.intended(key, base_url="local", workflow_id="wf", digest="d")
        journal.lost(key)
    assert journal.claim("a", "r1")
    assert not journal.claim("b", "r1")
    assert journal.claim("a", "r1")
    assert {entry.key: entry.run_id for entry in journal.entries()} == {"a": "r1", "b": None}
    journal.started("b", "r1")  # the server's own word
    assert {entry.key: entry.run_id for entry in journal.entries()} == {"a": None, "b": "r1"}


def test_an_interrupt_while_it_starts_is_in_the_journal(server: Scripted) -> None:
    """As a kernel is interrupted: by a signal, while the answer is waited for."""
    arrived = threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        arrived.set()
        handler.server.closing.wait()  # type: ignore[attr-defined]

    server.on("POST", EXECUTE, Reply(act=hang))
    server.on("GET", RUNS, [])

    def interrupt() -> None:
        assert arrived.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=interrupt)
    presser.start()
    with pytest.raises(RunUnconfirmed, match="Interrupted while the run was being started") as caught:
        Orchestra(server.base_url, "sk-x").execute(WF, INPUTS)
    presser.join()
    (entry,) = journal.entries()
    assert entry.unconfirmed
    assert entry.lost
    assert caught.value.key == entry.key
