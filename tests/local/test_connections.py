"""Many connections of programs that have the token: each is answered."""

import contextlib
import resource
import socket
import time
from contextlib import ExitStack, closing
from http.client import HTTPResponse
from urllib.parse import urlsplit

import pytest

from orchestra_magic.local import connections

from .embedded import LocalServer

WAITERS, OTHERS = 430, 40


@pytest.fixture
def server(make_server) -> LocalServer:
    return make_server().start()


@pytest.fixture
def connect(server):
    """Open connections that close at the end."""
    with ExitStack() as stack:

        def opened():
            port = urlsplit(server.base_url).port
            return stack.enter_context(closing(socket.create_connection(("127.0.0.1", port), 30)))

        yield opened


def ask(server, connection, path="/status", *lines):
    key = f"Authorization: Bearer {server.token}"
    connection.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", key, *lines, "", ""]).encode())


def answer(connection):
    response = HTTPResponse(connection)
    response.begin()
    return response, response.read()


def status(connection):
    return answer(connection)[0].status


def test_everybody_with_the_token_is_answered_while_many_wait(server, connect):
    run_id = server.execute("countdown", {"seconds": 60})
    path = f"{urlsplit(server.base_url).path}/workflows/{server.id_of('countdown')}/runs/{run_id}"
    waiting = [connect() for _ in range(WAITERS)]
    for connection in waiting:
        ask(server, connection, path, "Prefer: wait=60")
    others = [connect() for _ in range(OTHERS)]
    for connection in others:
        ask(server, connection)
    assert [status(connection) for connection in others] == [200] * OTHERS
    server.request("POST", f"/workflows/{server.id_of('countdown')}/runs/{run_id}/cancel")
    assert [status(connection) for connection in waiting] == [200] * WAITERS


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="prlimit is of Linux")
def test_one_more_than_there_can_be_is_told_so(server, connect):
    allowed = 128
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (allowed, hard))
    server.http.close()
    most = min(connections.most_open(), allowed // 2)
    known = [connect() for _ in range(most)]
    for connection in known:
        ask(server, connection)
    assert [status(connection) for connection in known] == [200] * most
    # None of these is dropped for those that come after it, though it has shown nothing yet.
    newcomers = [connect() for _ in range(most // 8)]
    for connection in newcomers:
        ask(server, connection)
        refused, said = answer(connection)
        assert (refused.status, refused.headers["Retry-After"], refused.will_close) == (503, "1", True)
        assert b"close some, and ask again" in said
    for connection in known:  # those that are in stay
        ask(server, connection)
        assert status(connection) == 200
    known.pop().close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        connection = connect()
        ask(server, connection)
        with contextlib.suppress(ConnectionError):
            if status(connection) == 200:
                break
    else:
        raise AssertionError("nobody was let in again")
