"""The embedded server against strangers on this computer: raw sockets, since no client says such things."""

import contextlib
import http.client
import json
import os
import resource
import socket
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestra_magic.local import connections, security

ROUTES = [
    ("GET", "/api/v1/workflow/workflows"),
    ("POST", "/api/v1/workflow/workflows"),
    ("POST", "/api/v1/workflow/workflows/{hello}/execute"),
    ("DELETE", "/api/v1/workflow/workflows/{hello}"),
    ("GET", "/status"),
    ("POST", "/prune"),
    ("GET", "/openapi.json"),
    ("GET", "/"),
    ("OPTIONS", "/api/v1/workflow/workflows"),
    ("HEAD", "/status"),
    ("TRACE", "/status"),
    ("PROPFIND", "/"),
]
FOREIGN = [
    *("evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "localhost."),
    *("localhost:{port}@evil.example", "127.0.0.1:80.evil.example", "[::1].evil.example", "[::1", "[::ffff:127.0.0.1]"),
    *("127.0.0.2", "127.1", "0.0.0.0", "2130706433", "0x7f.1", "localhost:123456", "localhost:", "localhost:x", ""),
    *("evil.example, localhost", "\u212aocalhost", "user@localhost"),
]


welcome: list[str] = []
"""The workflows that were started by who has the token."""


@pytest.fixture(scope="module")
def server(local_server):
    """The shared server, and what all these requests may not change."""
    before = runs(local_server)
    yield local_server
    for name in welcome:
        before[name] += 1
    assert runs(local_server) == before
    assert local_server.running()


def runs(server):
    return {one["name"]: len(server.get(f"/workflows/{one['workflow_id']}/runs")) for one in server.get("/workflows")}


def port(server):
    return urlsplit(server.base_url).port


def connect(server, timeout=30.0):
    return closing(socket.create_connection(("127.0.0.1", port(server)), timeout))


def said(connection):
    """All that comes until the other side closes."""
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionError:
        pieces.append(b"")
    return b"".join(pieces)


def exchange(server, request, timeout=30.0):
    """Send bytes, and return all that comes back until the server closes the connection."""
    with connect(server, timeout) as connection:
        with contextlib.suppress(ConnectionError):  # it has closed already, and may have said why
            connection.sendall(request)
        return said(connection)


def status(answer):
    return int(answer.split(b" ", 2)[1])


def head(server, method, path, *lines, host=None, token=None):
    host = f"127.0.0.1:{port(server)}" if host is None else host
    key = (f"Authorization: Bearer {token}",) if token else ()
    path = path.replace("{hello}", server.id_of("hello"))
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}", *key, *lines, "", ""]).encode("utf-8")


def answers_others(server, seconds=20.0):
    """Who has the token is served, whatever goes on."""
    begun = time.monotonic()
    assert server.http.get(f"http://127.0.0.1:{port(server)}/status", timeout=seconds).status_code == 200
    return time.monotonic() - begun


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_is_open(method, path, server):
    wrong = ["wrong", server.token[:-1], server.token + "x", server.token.swapcase(), "\u00e9"]
    for token in [None, *wrong]:
        answer = exchange(server, head(server, method, path, token=token))
        assert status(answer) == 401, answer
        assert b"connection: close" in answer.lower()
        assert b"access-control" not in answer.lower()
        assert server.token.encode() not in answer
    for line in (
        f"authorization: Basic {server.token}",
        f"authorization: {server.token}",
        f"X-Api-Key: {server.token}",
    ):
        assert status(exchange(server, head(server, method, path, line))) == 401
    in_address = f"{path}?token={server.token}&access_token={server.token}"
    assert status(exchange(server, head(server, method, in_address))) == 401


@pytest.mark.parametrize("host", FOREIGN)
def test_another_host_is_told_nothing_even_with_the_token(host, server):
    answer = exchange(server, head(server, "GET", "/status", host=host.format(port=port(server)), token=server.token))
    assert status(answer) in {400, 421}
    assert b"pid" not in answer
    if status(answer) == 421:
        assert json.loads(answer.split(b"\r\n\r\n")[1]) == {
            "detail": "this server answers on loopback only: ask it as 127.0.0.1 or localhost"
        }


def test_two_hosts_or_none(server):
    for lines in (["Host: localhost", "Host: evil.example"], ["Host: evil.example", "Host: localhost"], []):
        request = "\r\n".join(["GET /status HTTP/1.1", *lines, f"Authorization: Bearer {server.token}", "", ""])
        assert status(exchange(server, request.encode())) in {400, 421}
    assert (
        status(exchange(server, f"GET /status HTTP/1.0\r\nAuthorization: Bearer {server.token}\r\n\r\n".encode()))
        == 421
    )


PATHS = [
    *("/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "//etc/passwd", "/./status/"),
    *("/api/v1/workflow//workflows", "/api/v1/workflow/workflows/", "/api/v1/workflow/workflows/..%2f..%2fx"),
    *("/api/v1/workflow/workflows/%00", "/api/v1/workflow/workflows/%ff%fe", "/api/v1/workflow/workflows/%ed%a0%80"),
    *("/api/v1/workflow/knowledge_bases/..%2f..%2forchestra", "/api/v1/workflow/knowledge_bases/%2e%2e"),
    *("/api/v1/workflow/knowledge_bases/a%00b", "/api/v1/workflow/knowledge_bases/x%0a", "/%0d%0aX-Injected:1"),
    *("/status%00", "/status;x", "/STATUS", "/status%20", "/%73tatus%2f", "/\\..\\status", "/status\\"),
    *(
        "http://evil.example/status2",
        "*",
        "/api/v1/workflow/workflows?limit=\u00fc",
        "/" + "a" * 60_000,
        "/" + "%2e" * 20_000,
    ),
    "/api/v1/workflow/workflows/" + "a" * 60_000,
]


@pytest.mark.parametrize("path", PATHS, ids=[path[:50] for path in PATHS])
def test_tricks_with_paths_find_nothing(path, server):
    assert status(exchange(server, head(server, "GET", path))) in {400, 401}
    for method in ("GET", "DELETE"):
        request = head(server, method, path, "Connection: close", token=server.token)
        answer = exchange(server, request)
        assert status(answer) in {400, 404, 405}, answer[:300]
        assert b"root:" not in answer
        assert b"\r\nX-Injected" not in answer


def test_an_endless_head_is_cut(server):
    for endless in (
        b"GET /" + b"a" * 1_000_000,
        b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 200_000,
        b"\r\n" * 500_000,
        b"\x00" * 100_000,
    ):
        answer = exchange(server, endless)
        assert answer == b"" or status(answer) == 400
    answers_others(server)


SMUGGLED = [
    ("Content-Length: 5", "Content-Length: 6"),
    ("Content-Length: 5, 6",),
    ("Content-Length: -1",),
    ("Content-Length: +5",),
    ("Content-Length: 0x5",),
    ("Content-Length: " + "9" * 5000,),
    ("Content-Length: " + "0" * 5000 + "5",),
    ("Content-Length: 1e3",),
    ("Content-Length : 5",),
    ("Transfer-Encoding: gzip, chunked",),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    ("Transfer-Encoding: xchunked",),
    ("Transfer-Encoding\t: chunked",),
    ("X: a\r\n folded\x00",),
    ("X: a\nTransfer-Encoding: chunked\x00",),
]


@pytest.mark.parametrize("lines", SMUGGLED, ids=[" | ".join(lines)[:50] for lines in SMUGGLED])
def test_a_request_of_two_meanings_is_refused(lines, server):
    """What follows is never taken for a request of its own."""
    hidden = (
        head(server, "POST", "/api/v1/workflow/workflows/{hello}/execute", "Content-Length: 2", token=server.token)
        + b"{}"
    )
    for token in (None, server.token):
        path = "/api/v1/workflow/workflows/{hello}/execute"
        answer = exchange(server, head(server, "POST", path, *lines, token=token) + b"0\r\n\r\n" + hidden)
        assert status(answer) in {400, 401, 413, 501}, answer
        assert answer.count(b"HTTP/1.1") == 1
        assert b"run_id" not in answer
    answers_others(server)


def test_chunks_go_before_a_length_and_what_follows_a_stranger_is_dropped(server):
    path = "/api/v1/workflow/workflows/{hello}/execute"
    both = ("Content-Length: 6", "Transfer-Encoding: chunked")
    hidden = head(server, "POST", path, "Content-Length: 2", token=server.token) + b"{}"
    answer = exchange(server, head(server, "POST", path, *both) + b"0\r\n\r\n" + hidden)
    assert (status(answer), answer.count(b"HTTP/1.1")) == (401, 1)
    for chunk in (b"FFFFFFFFFFFFFFFFFFFFFFFFF\r\n", b"-1\r\n", b"5;" + b"x" * 100_000, b"zz\r\n", b"1\r\naa\r\n"):
        answer = exchange(server, head(server, "POST", path, both[1], token=server.token) + chunk)
        assert answer == b"" or status(answer) in {400, 413}
    answers_others(server)


def test_an_upgrade_is_no_way_in(server):
    lines = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: " + "A" * 22 + "==",
    )
    assert status(exchange(server, head(server, "GET", "/status", *lines))) == 401
    assert status(exchange(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) == 421
    assert status(exchange(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500)) == 400  # TLS


def test_a_promise_of_too_much_is_refused_before_it_is_kept(server):
    path = "/api/v1/workflow/workflows/{hello}/execute"
    with connect(server) as connection:
        connection.sendall(head(server, "POST", path, "Content-Length: 10000001", token=server.token))
        assert status(connection.recv(65536)) == 413
    with connect(server) as connection:  # who asks first is not even waited for
        lines = ("Content-Length: 100000000000", "Expect: 100-continue")
        connection.sendall(head(server, "POST", path, *lines, token=server.token))
        assert status(said(connection)) == 413


@pytest.mark.parametrize(("known", "refused"), [(True, 413), (False, 401)])
def test_an_endless_body_ends(known, refused, server):
    """The answer comes while the body still does, no matter how much of it: read it, and it is over soon."""
    path = "/api/v1/workflow/workflows/{hello}/execute"
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    before = memory(server)
    sent = 0
    with connect(server) as connection:
        connection.sendall(
            head(server, "POST", path, "Transfer-Encoding: chunked", token=server.token if known else None)
        )
        try:
            while sent < 4000:
                connection.sendall(chunk)
                sent += 1
        except ConnectionError:
            pass
    assert sent < 4000, "it took 4 GB"
    print(f"of an endless body {sent} MB were taken")
    assert memory(server) - before < 60_000_000
    with connect(server) as connection:
        connection.sendall(
            head(server, "POST", path, "Transfer-Encoding: chunked", token=server.token if known else None)
        )
        for _ in range(11):
            connection.sendall(chunk)
        assert status(connection.recv(65536)) == refused
    answers_others(server)


def memory(server):
    """Resident bytes of the server."""
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(server):
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def test_those_that_drip_are_dropped_and_the_others_served_meanwhile(server):
    path = "/api/v1/workflow/workflows/{hello}/execute"
    beginnings = {
        "nothing": b"",
        "half a line": b"GET /sta",
        "half a head": head(server, "POST", path, "X-A: b", token=server.token)[:-2],
        "a stranger's body": head(server, "POST", path, "Content-Length: 100"),
    }
    with ExitStack() as stack:
        dripping = {name: stack.enter_context(connect(server, 60)) for name in beginnings}
        begun = time.monotonic()
        for name, connection in dripping.items():
            connection.sendall(beginnings[name])
        dropped = {}
        while len(dropped) < len(dripping):
            assert time.monotonic() - begun < 6 * connections.HEAD_SECONDS, set(dripping) - set(dropped)
            for name, connection in dripping.items():
                if name not in dropped and not still_open(connection):
                    dropped[name] = time.monotonic() - begun
            answers_others(server)
            time.sleep(0.25)
    assert dropped["a stranger's body"] < connections.HEAD_SECONDS
    assert (
        min(seconds for name, seconds in dropped.items() if name != "a stranger's body") > connections.HEAD_SECONDS - 1
    )


@pytest.mark.slow
def test_a_body_that_drips_is_dropped_too(server):
    path = "/api/v1/workflow/workflows/{hello}/execute"
    begun = time.monotonic()
    with connect(server, 120) as connection:
        connection.sendall(head(server, "POST", path, "Content-Length: 100000", token=server.token))
        while still_open(connection):
            assert time.monotonic() - begun < 3 * connections.BODY_SECONDS
            time.sleep(0.5)
    assert time.monotonic() - begun > connections.BODY_SECONDS - 1
    answers_others(server)


def still_open(connection):
    """Send one more byte, and tell whether the other side still has an ear for it."""
    connection.settimeout(0.01)
    try:
        connection.sendall(b"x")
        return bool(connection.recv(65536)) or still_open(connection)
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def test_thousands_of_connections_at_once(server):
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2000
    if allowed[0] < wanted + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(allowed[1], wanted + 500), allowed[1]))
    before = descriptors(server), memory(server)
    most = waited = tried = 0
    known = http.client.HTTPConnection("127.0.0.1", port(server), timeout=60)
    key = {"Authorization": f"Bearer {server.token}"}
    known.request("GET", "/status", headers=key)
    known.getresponse().read()
    with ExitStack() as stack:
        for number in range(wanted):
            connection = stack.enter_context(connect(server, 60))
            tried += 1
            with contextlib.suppress(ConnectionError):  # it made room already
                connection.sendall(b"GET /status HT" if number % 2 else head(server, "POST", "/", "Content-Length: 9"))
            if number % 200 == 199:
                waited = max(waited, answers_others(server))
                most = max(most, descriptors(server))
        # The one connection that had shown the token made no room for any of them.
        known.request("GET", "/status", headers=key)
        assert known.getresponse().read()
        welcome.append("hello")
        assert server.finish("hello", {"name": "in the crowd"})["status"] == "completed"
    known.close()
    print(f"{tried} connections tried, at most {most} descriptors, the others waited {waited:.2f} s at most")
    assert most - before[0] < connections.most_open() + 10 * connections.ACCEPTED_AT_ONCE
    assert memory(server) - before[1] < 100_000_000
    deadline = time.monotonic() + 60
    while descriptors(server) > before[0] + 40:
        assert time.monotonic() < deadline, "the descriptors are not given back"
        time.sleep(0.1)


def test_strangers_at_the_same_time_from_many_threads(server):
    """2,000 requests without a token, 16 at a time; whoever has it is served between them."""
    request = head(server, "GET", "/status")
    answers = []

    def ask():
        for _ in range(125):
            answers.append(status(exchange(server, request, 60)))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        answers_others(server)
        time.sleep(0.1)
    assert len(answers) == 2000
    assert set(answers) == {401}


def test_the_log_does_not_grow_by_strangers(server):
    log = server.home / "local" / "server.log"
    before = log.stat().st_size
    for _ in range(50):
        exchange(server, b"no request at all\r\n\r\n")
        exchange(server, head(server, "GET", "/status", "Upgrade: websocket", "Connection: Upgrade"))
    assert log.stat().st_size == before


def test_the_limit_of_the_body_is_the_documented_one():
    assert security.MAX_BODY == 10_000_000
