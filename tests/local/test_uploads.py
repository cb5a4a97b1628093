"""Uploads: what is refused."""

import pytest

from orchestra_magic.local.values import MAX_DEPTH

from .embedded import LocalServer
from .graphs import code, graph


def one_node(program="1", **more):
    return graph({"a": code(program)}, "START a", "a END", **more)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = LocalServer(tmp_path_factory.mktemp("uploads")).start()
    yield running
    running.close()


def nested(levels):
    value = "inside"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (nested(MAX_DEPTH + 1), "the body is nested deeper than 200 levels: send it flatter"),
        ("\ud83d", "the body holds \\ud83d, half of a character (a lone surrogate): send the whole one"),
        ({"\udc00": 1}, "the body holds \\udc00, half of a character"),
    ],
)
def test_what_would_be_changed_is_refused(server, value, said):
    workflow = server.upload(one_node("1"), name="as sent")
    for path, body in (
        (f"/workflows/{workflow}/execute", {"value": value}),
        ("/workflows", {"name": "as sent", "graph": one_node(description="new", extra=value)}),
    ):
        response = server.request("POST", path, json=body)
        assert response.status_code == 400
        assert response.json()["detail"].startswith(said)
    assert server.get(f"/workflows/{workflow}/runs") == []
    assert server.get(f"/workflows/{workflow}")["version"] == 1


def test_what_can_be_kept_comes_back_as_it_was_sent(server):
    inputs = {"deep": nested(MAX_DEPTH), "text": "\U0001f600 \x00 \uffff", "number": 1.5}
    assert server.finish(server.upload(one_node("1"), name="as sent"), inputs)["inputs"] == inputs
