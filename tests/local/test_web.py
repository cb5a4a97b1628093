"""Requests that are not waited for any more, against a server on loopback that never answers."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest

from orchestra_magic.local import web
from orchestra_magic.local.web import WebError, fetch

from .graphs import graph


@pytest.fixture
def silent():
    """A port that takes connections and never answers; it counts those that are open."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        taken = []

        def take():
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])

        def still_open():
            """Count those that have not been closed; what they sent is read past."""
            for one in list(taken):
                one.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while one.recv(65536):
                        pass
                    one.close()
                    taken.remove(one)
            return len(taken)

        threading.Thread(target=take, daemon=True).start()
        still_open.port = listener.getsockname()[1]
        yield still_open
        listener.shutdown(socket.SHUT_RDWR)
    for one in taken:
        one.close()


def in_flight():
    return [thread for thread in threading.enumerate() if thread.name == "web"]


async def until(true):
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not become true")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_requests_that_are_cancelled_leave_room_for_others(silent, server, scheme, monkeypatch):
    """Those over TLS are cut in its first words."""
    monkeypatch.setattr(web, "_SLOTS", asyncio.Semaphore(128))  # one waits in the loop that it was first used in

    server.on("GET", "/hello", {})

    async def many():
        url = f"{scheme}://127.0.0.1:{silent.port}/"
        sent = [asyncio.create_task(fetch("GET", url, timeout=60)) for _ in range(150)]
        await until(lambda: silent() == len(in_flight()) >= 64)
        for one in sent:
            one.cancel()
        began = time.monotonic()
        assert (await fetch("GET", server.base_url + "/hello", timeout=3)).status == 200
        await until(lambda: not in_flight())
        assert time.monotonic() - began < 3
        assert silent() == 0

    asyncio.run(many())


def test_a_request_that_is_cancelled_before_it_is_connected_is_cut(silent):
    async def one():
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
            port = full.getsockname()[1]
            for _ in range(3):  # nobody accepts them, and no more are let in
                made = waiting.enter_context(socket.socket())
                made.setblocking(False)
                made.connect_ex(("127.0.0.1", port))
            sent = asyncio.create_task(fetch("GET", f"http://127.0.0.1:{port}/", timeout=60))
            await until(in_flight)
            await asyncio.sleep(0.1)
            sent.cancel()
            await until(lambda: not in_flight())

    asyncio.run(one())


def test_the_time_of_a_request_begins_when_it_is_sent(silent, server, monkeypatch):
    monkeypatch.setattr(web, "_SLOTS", asyncio.Semaphore(1))
    server.on("GET", "/hello", {})

    async def one_after_the_other():
        slow = asyncio.create_task(fetch("GET", f"http://127.0.0.1:{silent.port}/", timeout=1))
        await until(in_flight)
        assert (await fetch("GET", server.base_url + "/hello", timeout=0.8)).status == 200
        with pytest.raises(WebError, match="no answer within 1 s"):
            await slow

    asyncio.run(one_after_the_other())


def test_a_request_under_way_does_not_keep_a_server_that_stops(make_server, silent):
    local = make_server(ORCHESTRA_HTTP_PRIVATE="1").start()
    asked = {"integration": "http_request", "url": f"http://127.0.0.1:{silent.port}/", "timeout": 120}
    local.execute(local.upload(graph({"ask": {"type": "integration", "metadata": asked}}, "START ask", "ask END")))
    asyncio.run(until(silent))
    began = time.monotonic()
    local.stop()
    assert time.monotonic() - began < 15
