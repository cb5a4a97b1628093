"""Integration nodes: requests to an HTTP server on loopback, and integrations that other packages bring."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest
from scripted import Reply, Scripted

from orchestra_magic.local.nodes import TYPES, Call, Node, NodeError
from orchestra_magic.local.web import WebError, fetch

from .embedded import LocalServer
from .graphs import graph

SECRET = "s3cret-token-42"


def request_node(**metadata):
    return {"type": "integration", "metadata": {"integration": "http_request", **metadata}}


@pytest.fixture(scope="module")
def site():
    """Says what it was sent; under some paths it misbehaves."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            seen.append((self.command, self.path, dict(self.headers), body))
            count = len([one for one in seen if one[1] == self.path])
            status = {"/missing": 404, "/flaky": 503 if count < 3 else 200, "/away": 302, "/down": 503}.get(
                self.path, 200
            )
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"http://localhost:{self.server.server_port}/landed")
            if self.path == "/short":
                self.send_header("Content-Length", "1000")
            self.send_header("Content-Type", "text/plain" if self.path == "/text" else "application/json")
            self.end_headers()
            if self.path == "/large":
                self.wfile.write(b'"' + b"x" * 10_000_001 + b'"')
            elif self.path == "/drip":
                with contextlib.suppress(OSError):
                    for _ in range(200):
                        self.wfile.write(b" ")
                        time.sleep(0.1)
            elif self.path == "/echo":
                self.wfile.write(json.dumps(dict(self.headers)).encode())
            elif self.command != "HEAD":
                self.wfile.write(json.dumps({"path": self.path, "body": body}).encode())

        do_GET = do_POST = do_HEAD = answer

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.seen = seen
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()


_PLUGIN = """
from orchestra_magic.local.nodes.integration import Integration

class Shout(Integration):
    def check(self, node):
        if "text" not in node.metadata:
            yield "text", "shout needs a text"
        elif node.metadata["text"] == 5:
            raise KeyError("five")

    async def run(self, inputs, call):
        if "loud" in inputs:
            key = await self.secret("SITE", call)
            if inputs["loud"] == "raise":
                raise KeyError(f"no {key}")
            return {"results": [f"key {key}", {key: len(key)}]} if inputs["loud"] is True else inputs["loud"]
        return {"results": inputs["text"].upper(), "by": call.node.name}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    plugin = tmp_path_factory.mktemp("plugin")
    (plugin / "shouting.py").write_text(_PLUGIN)
    about = plugin / "shouting-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[orchestra_magic.integrations]\nshout = shouting:Shout\n")
    environment = {"ORCHESTRA_HTTP_PRIVATE": "1", "ORCHESTRA_SECRET_SITE": SECRET, "PYTHONPATH": str(plugin)}
    running = LocalServer(tmp_path_factory.mktemp("web"), **environment).start()
    yield running
    running.close()


@pytest.fixture
def run(server):
    def upload_and_run(node, inputs=None, **wrapping):
        wrapping.setdefault("name", "web")
        workflow = server.upload(graph({"ask": node}, "START ask", "ask END"), **wrapping)
        finished = server.finish(workflow, inputs)
        return finished, server.steps(workflow, finished["id"])[0]

    return upload_and_run


def test_an_answer_comes_in_the_envelope_of_code(run, site):
    finished, _ = run(request_node(url=site.url + "/{{page}}"), {"page": "hello"})
    output = finished["all_outputs"]["ask"]
    assert set(output) == {"data", "error", "successful", "successfull"}
    assert output["data"]["results"] == {"path": "/hello", "body": ""}
    assert (output["data"]["status"], output["error"], output["successful"]) == (200, None, True)


def test_a_body_and_its_key(run, site):
    finished, _ = run(request_node(url=site.url + "/post", method="POST", body={"a": "{{n}}"}), {"n": 5})
    method, _, headers, body = site.seen[-1]
    assert (method, json.loads(body), headers["Content-Type"]) == ("POST", {"a": 5}, "application/json")
    assert headers["Idempotency-Key"] == f"{finished['id']}:ask"


def test_text_stays_text(run, site):
    finished, _ = run(request_node(url=site.url + "/text"))
    assert finished["all_outputs"]["ask"]["data"]["results"] == '{"path": "/text", "body": ""}'


def test_a_refusal_is_data(run, site):
    finished, step = run(request_node(url=site.url + "/missing"))
    assert finished["status"] == "completed"
    assert (step["status"], step["error"]) == ("failed", "answered 404")
    assert finished["all_outputs"]["ask"]["data"]["status"] == 404


def test_what_may_pass_is_tried_again_where_that_is_safe(run, site):
    finished, _ = run(request_node(url=site.url + "/flaky"))
    assert finished["all_outputs"]["ask"]["data"]["status"] == 200
    finished, _ = run(request_node(url=site.url + "/down", method="POST"))
    assert finished["error"] == f"ask: {site.url}/down answered 503"
    assert len([one for one in site.seen if one[1] == "/down"]) == 1


@pytest.mark.parametrize(
    ("metadata", "waits"),
    [({}, [0.5, 1.0]), ({"retries": 1}, [0.5]), ({"retries": 0}, []), ({"timeout": 0.2, "retries": 1}, [0.5])],
    ids=["two by default", "one", "none", "each try has its time"],
)
def test_each_node_has_its_retries_and_waits_longer_each_time(run, metadata, waits):
    busy = Scripted()
    came = []

    def answer(_):
        came.append(time.monotonic())
        if "timeout" in metadata:
            busy._server.closing.wait(5)
        return Reply(503)

    busy.on("GET", "/busy", answer)
    try:
        finished, step = run(request_node(url=busy.base_url + "/busy", **metadata))
    finally:
        busy.close()
    assert finished["error"].startswith("ask: ")
    assert step["status"] == "failed"
    assert len(came) == 1 + len(waits)
    assert all(after - before >= wait for (before, after), wait in zip(pairwise(came), waits, strict=True))


def test_secrets_go_by_name_and_stand_nowhere(run, site, server):
    node = request_node(url=site.url + "/away", secret_headers={"X-Token": "SITE"})
    finished, step = run(node)
    away, landed = site.seen[-2:]
    assert away[2]["X-Token"] == SECRET
    assert landed[1] == "/landed"
    # to another host it is not carried along
    assert "X-Token" not in landed[2]
    assert SECRET not in json.dumps([finished, step, server.get("/workflows")])
    stored = b"".join(path.read_bytes() for path in (server.home / "local").rglob("*") if path.is_file())
    assert SECRET.encode() not in stored


def test_a_secret_that_comes_back_is_hidden(run, site):
    node = request_node(url=site.url + "/echo", secret_headers={"Authorization": "Bearer SITE"})
    finished, step = run(node)
    assert site.seen[-1][2]["Authorization"] == f"Bearer {SECRET}"
    assert finished["all_outputs"]["ask"]["data"]["results"]["Authorization"] == "Bearer ***"
    assert SECRET not in json.dumps([finished, step])


def test_another_package_takes_a_secret_by_its_name(run):
    node = {"type": "integration", "metadata": {"integration": "shout", "text": "x", "loud": True}}
    finished, _ = run(node)
    assert finished["all_outputs"]["ask"]["data"]["results"] == ["key ***", {"***": len(SECRET)}]
    finished, _ = run(node, name="foreign", trusted=False)
    assert "given no secrets" in finished["error"]


@pytest.mark.parametrize(
    ("loud", "error"),
    [("raise", "ask: the integration 'shout' failed: KeyError: 'no ***'"), (["x"], "gave no object with results")],
)
def test_another_package_that_breaks_fails_its_node(run, server, loud, error):
    finished, step = run({"type": "integration", "metadata": {"integration": "shout", "text": "x", "loud": loud}})
    assert error in finished["error"]
    assert (step["node_id"], step["status"]) == ("ask", "failed")
    if loud == "raise":
        log = server.home / "local" / "server.log"
        said = log.read_text()
        assert "KeyError: 'no ***'" in said
        assert SECRET not in said
        log.write_text("")  # a warning that was expected


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ({"url": "example.org"}, "'example.org' is no address; one begins with http:// or https://"),
        ({"url": "http://[::1"}, "is no address"),
        ({"url": "http://x:y/"}, "the address cannot be used: nonnumeric port"),
        ({"url": "http://..../"}, "the address cannot be used"),
        ({"url": "http://127.0.0.1:1/", "headers": {"X": "a\nb"}}, "a header holds what none can: a line break"),
        ({"url": "http://127.0.0.1:1/", "headers": {"X": "知"}}, "a header holds what none can"),
    ],
)
def test_a_request_that_cannot_be_sent_fails_its_node(run, metadata, error):
    finished, step = run(request_node(**metadata))
    assert finished["error"].startswith("ask: ")
    assert error in finished["error"]
    assert step["status"] == "failed"


def test_what_cannot_stand_in_an_address_is_quoted(run, site):
    run(request_node(url=site.url + "/{{city}}?q=a%20b&c=d"), {"city": "São Paulo"})
    assert site.seen[-1][1] == "/S%C3%A3o%20Paulo?q=a%20b&c=d"


def test_secrets_that_are_not_there_or_not_given(run, site):
    finished, _ = run(request_node(url=site.url, secret_headers={"X": "OTHER"}))
    assert "the server has no ORCHESTRA_SECRET_OTHER: start the server with" in finished["error"]
    node = request_node(url=site.url, secret_headers={"X": "SITE"})
    finished, _ = run(node, name="foreign", trusted=False)
    assert "given no secrets" in finished["error"]


@pytest.mark.parametrize("path", ["/large"])
def test_an_answer_that_is_too_large(run, site, path):
    finished, _ = run(request_node(url=site.url + path, retries=0))
    assert "larger than 10000000 bytes" in finished["error"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_private_addresses_are_refused(local_server, host):
    workflow = local_server.upload(
        graph({"ask": request_node(url="http://{{host}}/")}, "START ask", "ask END"), name="private"
    )
    run = local_server.finish(workflow, {"host": host})
    assert run["status"] == "failed"
    assert "an address of this computer or of a private network" in run["error"]


def test_an_answer_that_never_ends_is_given_up(run, site):
    began = time.monotonic()
    finished, _ = run(request_node(url=site.url + "/drip", timeout=1, retries=0))
    assert "no answer within 1 s" in finished["error"] or "timeout of 1 s" in finished["error"]
    assert time.monotonic() - began < 15


def test_an_answer_that_drips_is_given_up(site):
    with pytest.raises(WebError, match=r"no answer within 0\.5 s"):
        asyncio.run(fetch("GET", site.url + "/drip", timeout=0.5))


def test_an_answer_that_breaks_off_is_no_answer(site):
    with pytest.raises(WebError, match="broke off before its end"):
        asyncio.run(fetch("GET", site.url + "/short"))


@pytest.fixture
def resolved(monkeypatch, site):
    """Names resolve as a test says, one answer after the other; the public address leads to the site."""
    asked, connected = [], []

    def names(**answers):
        def look_up(host, port, *_, **__):
            asked.append(host)
            addresses = answers[host.split(".")[0]]
            one = addresses.pop(0) if len(addresses) > 1 else addresses[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))]

        def connect(made, address):
            connected.append(address[0])
            really_connect(made, ("127.0.0.1", site.server_port))

        really_connect = socket.socket.connect
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(socket.socket, "connect", connect)
        return asked, connected

    return names


PUBLIC = "93.184.215.14"


def test_a_name_is_looked_up_once_and_that_address_is_connected_to(resolved):
    asked, connected = resolved(rebinding=[PUBLIC, "127.0.0.1"])
    answer = asyncio.run(fetch("GET", "http://rebinding.example/hello", public=True))
    assert answer.status == 200
    assert (asked, connected) == (["rebinding.example"], [PUBLIC])
    with pytest.raises(WebError, match=r"rebinding\.example is 127\.0\.0\.1, an address of this computer"):
        asyncio.run(fetch("GET", "http://rebinding.example/hello", public=True))
    assert connected == [PUBLIC]


def test_a_redirect_to_a_private_address_is_refused(resolved, site):
    _, connected = resolved(public=[PUBLIC], localhost=["127.0.0.1"])
    node = Node("ask", "integration", {"integration": "http_request", "url": "http://public.example/away"})
    kind = TYPES["integration"]
    call = Call(node, "run", node.name, {}, services=None)
    with pytest.raises(NodeError, match="localhost is 127.0.0.1, an address of this computer"):
        asyncio.run(kind.run(kind.inputs(call), call))
    assert connected == [PUBLIC]
    assert site.seen[-1][1] == "/away"


def test_other_schemes_are_refused(local_server):
    workflow = local_server.upload(graph({"ask": request_node(url="{{url}}")}, "START ask", "ask END"), name="schemes")
    assert "neither http nor https" in local_server.finish(workflow, {"url": "file:///etc/passwd"})["error"]


def test_faults_of_an_upload(local_server):
    nodes = {
        "a": {"type": "integration", "metadata": {"integration": "slack"}},
        "b": request_node(method="FETCH", secret_headers={"X": "lower"}, headers={"authorization": "Bearer sk-1"}),
        "c": request_node(url="https://me:secret@example.org/"),
    }
    response = local_server.request("POST", "/workflows", json=graph(nodes, "START a", "a b", "b c", "c END"))
    found = {(one["node"], one["field"]): one["message"] for one in response.json()["detail"]}
    assert found["a", "integration"] == "there is no integration 'slack' on this server; there are: http_request"
    assert {("b", "url"), ("b", "method"), ("b", "secret_headers.X")} <= set(found)
    assert found["b", "headers.authorization"].startswith("a key does not stand in a graph")
    assert found["c", "url"].startswith("a password does not stand in a graph")


def test_another_package_brings_an_integration(run, server):
    finished, _ = run({"type": "integration", "metadata": {"integration": "shout", "text": "{{said}}"}}, {"said": "hi"})
    assert finished["all_outputs"]["ask"]["data"] == {"results": "HI", "by": "ask", "error": ""}
    bad = graph({"ask": {"type": "integration", "metadata": {"integration": "shout"}}}, "START ask", "ask END")
    assert "shout needs a text" in server.request("POST", "/workflows", json=bad).text
    bad["nodes"]["ask"]["metadata"]["text"] = 5
    refused = server.request("POST", "/workflows", json=bad)
    assert refused.status_code == 400
    assert "the integration 'shout' cannot check this node: KeyError: 'five'" in refused.json()["detail"][0]["message"]
    (server.home / "local" / "server.log").write_text("")  # a warning that was expected
