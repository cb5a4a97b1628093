"""A server that was stopped on purpose stays stopped; one that crashed comes back to whoever follows a run."""

import asyncio
import os
import signal
import threading
import time

import pytest

from orchestra_magic import Orchestra, OrchestraConnectionError
from orchestra_magic.client.watcher import watcher

STOPPED = "The embedded Orchestra was stopped; `%orchestra_connect local` starts it again, and the run goes on."


class Followed:
    """A run that goes on and is watched, as by a card."""

    def __init__(self, orchestra):
        self.run = orchestra.execute("countdown", {"seconds": 60})
        self._looked = threading.Condition()
        self.run.on_change(self._note)
        self.until(lambda run: run.latest.status == "running")

    def _note(self, _):
        with self._looked:
            self._looked.notify_all()

    def until(self, holds):
        with self._looked:
            assert self._looked.wait_for(lambda: holds(self.run), timeout=60), self.run.trouble


@pytest.fixture
def server(make_server, monkeypatch):
    made = make_server().start()
    monkeypatch.setenv("ORCHESTRA_HOME", str(made.home))
    return made


@pytest.fixture
def followed(server):
    yield Followed(Orchestra("local"))
    watcher.stop()


@pytest.mark.parametrize("way", ["stop", signal.SIGTERM, signal.SIGINT], ids=str)
def test_who_follows_a_run_leaves_a_server_stopped(server, followed, way):
    server.command("stop") if way == "stop" else os.kill(server.pid, way)
    followed.until(lambda run: run.trouble and STOPPED in run.trouble)
    assert followed.run.trouble.startswith("Not current since ")
    with pytest.raises(OrchestraConnectionError) as caught:
        followed.run.wait()
    assert str(caught.value) == STOPPED
    with pytest.raises(OrchestraConnectionError) as caught:
        asyncio.run(awaited(followed.run))
    assert str(caught.value) == STOPPED
    assert not server.running()
    assert Orchestra("local").execute("hello").wait().status == "completed"  # which starts it again
    followed.until(lambda run: run.trouble is None)
    followed.run.cancel()


async def awaited(run):
    await run


def test_who_waits_is_told_of_a_stop(server, followed):
    threading.Timer(0.5, server.command, ["stop"]).start()
    with pytest.raises(OrchestraConnectionError) as caught:
        followed.run.wait()
    assert str(caught.value) == STOPPED


def test_a_stop_after_a_crash_is_one_too(server):
    run = Orchestra("local").execute("countdown", {"seconds": 60})
    server.kill()
    assert server.command("stop").stdout == "no server runs\n"
    with pytest.raises(OrchestraConnectionError, match="was stopped"):
        run.wait()
    assert not server.running()


def test_a_server_that_crashed_comes_back_to_who_follows_a_run(server, followed):
    before = server.pid
    server.kill()
    deadline = time.monotonic() + 60
    while not server.running():
        assert time.monotonic() < deadline, followed.run.trouble
        time.sleep(0.05)
    assert server.pid != before
    followed.until(lambda run: run.trouble is None)
    followed.run.cancel()


def test_a_server_that_stopped_by_itself_comes_back(server):
    orchestra = Orchestra("local")
    run = orchestra.execute("hello")
    run.wait()
    server.stop()
    server.start("--idle-hours", str(0.2 / 3600))
    deadline = time.monotonic() + 60
    while server.running():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert orchestra.run(run.id, workflow=run.workflow_id).status == "completed"
