"""The node ``http_request``: what is sent as it was asked for, and what comes back as it was meant."""

import asyncio
import base64

import pytest
from scripted import Reply, Scripted

from orchestra_magic.local.nodes import TYPES, Call, Node, NodeError

from .graphs import graph

KIND = TYPES["integration"]
SECRET = "s3cret-token-42"


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("ORCHESTRA_HTTP_PRIVATE", "1")
    monkeypatch.setenv("ORCHESTRA_SECRET_SITE", SECRET)
    scripted = Scripted()
    yield scripted
    scripted.close()


def ask(url, **metadata):
    """Run a node, and return its outcome."""
    node = Node("ask", "integration", {"integration": "http_request", "url": url, **metadata})
    call = Call(node, "run", node.name, {}, services=None)
    return asyncio.run(KIND.run(KIND.inputs(call), call))


def answered(site, body, kind):
    site.on("GET", "/page", Reply(body=body, headers={"Content-Type": kind} if kind else {}))
    data = ask(site.base_url + "/page").output["data"]
    return data["results"], data["encoding"]


def sent(site, **metadata):
    site.on("POST", "/here", {})
    ask(site.base_url + "/here", method="POST", **metadata)
    return {name.lower(): value for name, value in site.said[-1].headers.items()}


def test_headers_are_known_in_any_case(site):
    form = "application/x-www-form-urlencoded"
    said = sent(site, headers={"content-type": form, "idempotency-key": "mine"}, body="a=1")
    assert (said["content-type"], said["idempotency-key"]) == (form, "mine")
    said = sent(site, secret_headers={"IDEMPOTENCY-KEY": "SITE"}, body="a=1")
    assert (said["content-type"], said["idempotency-key"]) == ("text/plain", SECRET)


def test_a_header_of_null_is_left_out(site):
    said = sent(site, headers={"X-Trace": None, "Content-Type": None}, body={"a": 1})
    assert "x-trace" not in said
    assert said["content-type"] == "application/json"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_that_is_not_followed_is_a_refusal(site, status):
    site.on("POST", "/form", Reply(status, headers={"Location": "/login"}))
    outcome = ask(site.base_url + "/form", method="POST", body="x")
    assert outcome.error == f"answered {status}, redirected to /login; nothing was followed"
    assert outcome.output["successful"] is False
    assert [said.path for said in site.said] == ["/form"]


def test_a_redirect_to_nowhere_is_a_refusal(site):
    site.on("GET", "/lost", Reply(302))
    assert ask(site.base_url + "/lost").error == "answered 302, redirected to no address; nothing was followed"


@pytest.mark.parametrize(
    ("body", "kind", "results"),
    [
        ("Grüße".encode("latin-1"), "text/plain; charset=iso-8859-1", "Grüße"),
        ("Grüße".encode("utf-16"), "text/plain; charset=UTF-16", "Grüße"),
        ("Grüße €".encode("cp1252"), "text/html", "Grüße €"),
        ("Grüße".encode(), "text/html; charset=nonsense", "Grüße"),
        ("Grüße".encode(), "text/html; charset=punycode", "Grüße"),
        ("Grüße".encode() + b"\xff", "text/html; charset=utf-8", "Grüße\N{REPLACEMENT CHARACTER}"),
        ("Grüße".encode(), "application/octet-stream", "Grüße"),
        ("Grüße".encode(), "", "Grüße"),
        ('{"a": "ü"}'.encode("latin-1"), "application/json; charset=latin-1", {"a": "ü"}),
        ('{"a": "ü"}'.encode("utf-16"), "application/json", {"a": "ü"}),
        (b"{no", "application/json", "{no"),
        (b"", "image/png", ""),
    ],
)
def test_text_is_read_by_its_charset(site, body, kind, results):
    assert answered(site, body, kind) == (results, "")


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "application/json", ""])
def test_what_is_no_text_comes_whole(site, kind):
    png = b"\x89PNG\r\n\x1a\n\x00\xff\xfe"
    assert answered(site, png, kind) == (base64.b64encode(png).decode(), "base64")


def test_a_secret_in_what_is_no_text_is_hidden(site):
    site.on("GET", "/echo", Reply(body=b"\xff\x00" + SECRET.encode(), headers={"Content-Type": "image/png"}))
    data = ask(site.base_url + "/echo", secret_headers={"X": "Bearer SITE"}).output["data"]
    assert base64.b64decode(data["results"]) == b"\xff\x00***"


def test_an_answer_that_is_too_large_is_loaded_once(site):
    site.on("GET", "/large", Reply(body=b"x" * 10_000_001))
    with pytest.raises(NodeError, match="larger than 10000000 bytes") as caught:
        ask(site.base_url + "/large")
    assert not caught.value.transient


def test_a_proxy_that_is_not_used_is_said(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    with pytest.raises(NodeError) as caught:
        ask("http://host.invalid/")
    said = str(caught.value)
    assert "; a proxy is set in the environment, and http_request uses one only if the server has" in said
    assert said.endswith("ORCHESTRA_HTTP_PRIVATE=1")
    for scheme, without in (("https", ""), ("http", "host.invalid")):
        monkeypatch.setenv("no_proxy", without)
        with pytest.raises(NodeError) as caught:
            ask(f"{scheme}://host.invalid/")
        assert "proxy" not in str(caught.value)


def test_a_proxy_that_is_used_is_not_said(site, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    with pytest.raises(NodeError) as caught:
        ask("http://host.invalid/")
    assert "ORCHESTRA_HTTP_PRIVATE" not in str(caught.value)


def test_members_that_there_are_not(local_server):
    known = {"description": "d", "output_mapping": {"x": ""}, "retries": 1, "timeout": 5, "body": "b", "method": "PUT"}
    metadata = {"integration": "http_request", "url": "http://example.org/", **known, "params": {}, "json": {}}
    upload = graph({"a": {"type": "integration", "metadata": metadata}}, "START a", "a END")
    faults = local_server.request("POST", "/workflows", json=upload).json()["detail"]
    assert [(one["node"], one["field"]) for one in faults] == [("a", "params"), ("a", "json")]
    assert faults[0]["message"] == (
        "http_request takes no params; there are: method, url, headers, secret_headers, body, timeout, "
        "description, output_mapping, retries, integration"
    )
