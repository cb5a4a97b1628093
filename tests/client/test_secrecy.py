"""Secret inputs: sent as they are, and shown nowhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Scripted

from orchestra_magic import Orchestra, RunFailed
from orchestra_magic.client import discovery, secrecy
from orchestra_magic.client.records import Input

WF, RUN = "1234f567-bb12-1234-b7cd-f7a71a98cd24", "fda37c90-dd1c-4317-82d1-797b7f77fca5"
TOKEN = 'tok"en\\ü\n$1'

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(VALUES, st.text(min_size=2, max_size=8).filter(lambda text: "*" not in text), st.text(), st.text())
def test_no_hidden_text_is_left(value: Any, secret: str, before: str, after: str) -> None:
    holder = {"is": secret, "in": before + secret + after, "beside": value, before + secret: [json.dumps(secret)]}
    for text in _texts(secrecy.masked(holder, frozenset({secret}))):
        assert secret not in text


@given(VALUES)
def test_nothing_else_is_touched(value: Any) -> None:
    assert secrecy.masked(value, frozenset()) is value
    assert secrecy.masked(value, frozenset({"no such text at all"})) == value


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in _texts(each)]
    return [text for each in value for text in _texts(each)] if isinstance(value, list) else []


def test_a_secret_shows_itself_masked_and_is_sent_as_it_is() -> None:
    assert repr({"token": secrecy.Secret(TOKEN)}) == "{'token': '********'}"
    assert json.loads(json.dumps(secrecy.Secret(TOKEN))) == TOKEN


SAID: list[tuple[Any, str | None, str]] = [
    ({"type": "string", "format": "password"}, "string", "password"),
    ({"type": "string", "writeOnly": True}, "string", "password"),
    ({"type": "secret"}, "string", "password"),
    ("password", "string", "password"),
    ({"format": "date-time"}, "string", "date-time"),
    ({"type": "datetime"}, "string", "date-time"),
    ({"type": "string", "format": "email"}, "string", ""),
    ({"type": "array", "items": {"enum": ["a", "b"]}}, "array", ""),
    ({"type": "array", "items": ["a"]}, "array", ""),
]


@pytest.mark.parametrize(("said", "kind", "form"), SAID)
def test_the_kind_of_a_text_is_read_from_the_schema(said: Any, kind: str | None, form: str) -> None:
    (found,) = discovery.from_graph({"input_data": {"wish": said}})
    assert (found.type, found.format, found.secret) == (kind, form, form == "password")
    assert found.item_enum == (("a", "b") if isinstance(said, dict) and isinstance(said.get("items"), dict) else ())
    assert isinstance(found, Input)


@pytest.fixture
def failed(server: Scripted, orchestra: Orchestra) -> Orchestra:
    """A server that repeats a secret wherever it can."""
    graph = {"input_data": {"token": {"type": "string", "format": "password", "default": TOKEN}}}
    listed = {"workflow_id": WF, "name": "Ask", "graph": graph}
    ended = {"start_time": "2025-04-24T03:18:12Z", "end_time": "2025-04-24T03:18:13Z"}
    run = {"id": RUN, "status": "failed", "inputs": {"token": TOKEN}, "error": f"refused {TOKEN!r}", **ended}
    run |= {"outputs": [TOKEN], "all_outputs": {TOKEN: {"sent": f"Bearer {TOKEN}"}}}
    step = {"node_id": "ask", "status": "failed", "inputs": {"h": TOKEN}, "outputs": {"o": TOKEN}, "error": TOKEN}
    step["step_metadata"] = {"note": f"asked with {TOKEN}"}
    server.on("GET", "/workflows", [listed])
    server.on("GET", f"/workflows/{WF}/runs", [run])
    server.on("GET", f"/workflows/{WF}/runs/{RUN}", [run])
    server.on("GET", f"/workflows/{WF}/runs/{RUN}/steps", [step])
    return orchestra


def test_what_is_shown_of_a_run_has_no_secret(failed: Orchestra) -> None:
    run = failed.run(RUN, workflow=WF)
    shown = [run, failed.history(WF), run.steps(), failed.workflow(WF)]
    for each in shown:
        bundle = each._repr_mimebundle_()
        for text in (bundle["text/plain"], bundle["text/html"]):
            assert "tok" not in text.replace("token", "")
            assert "********" in text
    with pytest.raises(RunFailed) as caught:
        run.wait()
    assert "tok" not in str(caught.value).replace("token", "")
    assert run.inputs == {"token": TOKEN}  # who asks for it gets it


def test_a_session_may_call_an_input_secret(failed: Orchestra, server: Scripted) -> None:
    server.on("GET", "/workflows", [{"workflow_id": WF, "name": "Ask", "graph": {}}])
    failed.keep_secret(WF, ["token"])
    html = failed.run(RUN, workflow=WF)._repr_mimebundle_()["text/html"]
    assert "tok" not in html.replace("token", "")
