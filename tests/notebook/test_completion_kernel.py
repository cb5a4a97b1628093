"""Tab as a front end asks for it: ``complete_request`` to a real kernel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from jupyter_client.manager import start_new_kernel
from scripted import Reply, Scripted

from .workflows import workflow_json

Tab = Callable[[str], list[str]]


@pytest.fixture
def tab(connected: Scripted) -> Iterator[Tab]:
    """What a kernel answers to Tab at the end of a cell."""
    manager, client = start_new_kernel(kernel_name="python3")

    def ask(cell: str) -> list[str]:
        content = client.complete(cell, len(cell), reply=True, timeout=20)["content"]
        assert content["status"] == "ok"
        return [cell[: content["cursor_start"]] + match for match in content["matches"]]

    client.execute_interactive("%load_ext orchestra_magic\ntable = [1]", timeout=20)
    yield ask
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_kernel_completes_the_line_and_the_body(tab: Tab) -> None:
    deadline = time.monotonic() + 20
    while len(tab("%%orchestra_execute ")) < 2:  # a busy machine may not have the list in the first second
        assert time.monotonic() < deadline
    assert tab("%%orchestra_execute say")[0] == "%%orchestra_execute 'Say hi'"
    assert tab("%%orchestra_execute 'Say hi' --w") == ["%%orchestra_execute 'Say hi' --wait"]
    assert tab("%%orchestra_execute 'Say hi'\npr") == ["%%orchestra_execute 'Say hi'\nprompt: "]
    assert tab("%%orchestra_execute 'Say hi'\n{\"") == ["%%orchestra_execute 'Say hi'\n{\"prompt\": "]
    assert tab("%%orchestra_execute 'Say hi'\nprompt: $ta") == ["%%orchestra_execute 'Say hi'\nprompt: $table"]
    begun = time.monotonic()
    for _ in range(10):
        tab("%%orchestra_execute say")
    assert (time.monotonic() - begun) / 10 < 0.2


def test_a_kernel_with_a_slow_server_answers_in_time(tab: Tab, connected: Scripted) -> None:
    release = threading.Event()

    def slow(_: object) -> Reply:
        release.wait(5)
        return Reply(data=[workflow_json(name="daily-etl")])

    connected.on("GET", "/workflows", slow)
    begun = time.monotonic()
    assert tab("%orchestra_form daily-e") == ["%orchestra_form daily-e"]
    assert time.monotonic() - begun < 2
    assert not release.is_set()
    release.set()
    deadline = time.monotonic() + 10
    while tab("%orchestra_form daily-e") != ["%orchestra_form daily-etl"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
