"""Any text, in any place of what a server says, is shown as that text and does nothing else."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestra_magic.client import api, records
from orchestra_magic.client.answers import Raw, refusal
from orchestra_magic.client.keys import Key
from orchestra_magic.client.preview import Preview
from orchestra_magic.client.settings import Endpoint
from orchestra_magic.client.snapshot import Snapshot
from orchestra_magic.client.workflow import Workflow
from orchestra_magic.views import card, form_card, listings, preview, value, words

from .test_card import ALLOWED, SAFE, Page

HITS = "window.__hits = (window.__hits || 0) + 1"
ATTACKS = [
    f"<script>{HITS}</script>",
    f'<img src=x onerror="{HITS}">',
    f"<svg onload='{HITS}'/>",
    f'<a href="javascript:{HITS}">press</a>',
    f"<details open ontoggle={HITS}>",
    "<style>*{display:none}</style>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?php",
    "</pre></td></tr></table></div></details>",
    '" onmouseover="x',
    "' onmouseover='x",
    "` onmouseover=`x",
    "&lt;b&gt;&amp;&#60;&#x3c;&quot",
    "[x](javascript:y) ![x](http://evil.example/x)",
    "$x$ $$y$$ \\(z\\) \\[w\\]",
    "```\ncode\n```",
    "| a | b |\n|---|---|",
    "\x1b[2J\x1b]0;title\x07\x1b]8;;http://evil.example\x07",
    "\x9b31m\x07\x08\x7f\x00",
    "\r\x1b[1A\x0b\x0c\x85",
    "\u202e\u2066\u200f\u061c",
    "\u2028\u2029\u200b\ufeff\u00ad",
    "\ud800\udfff\ufffe\uffff",
    "\u3164\U000e0041\ufe0f\ufe0f",
    "👩\u200d💻 e\u0301 漢字",
]
hostile = st.lists(st.sampled_from(ATTACKS) | st.text(max_size=12), min_size=1, max_size=4).map("".join)
anything: st.SearchStrategy[Any] = st.recursive(
    hostile | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile, inner, max_size=3),
    max_leaves=6,
)
dressed = st.fixed_dictionaries({"error": st.none() | hostile, "inputs": anything, "outputs": anything})
step = st.tuples(hostile, hostile, dressed).map(lambda of: {"node_id": of[0], "status": of[1], **of[2]})
node = st.fixed_dictionaries({"type": hostile, "metadata": st.fixed_dictionaries({"description": hostile})})
graph = st.fixed_dictionaries(
    {
        "nodes": st.dictionaries(hostile, node, max_size=3),
        "edges": st.lists(st.lists(hostile, min_size=2, max_size=2), max_size=3),
        "input_data": st.dictionaries(
            hostile, st.fixed_dictionaries({"type": hostile, "description": hostile, "default": anything}), max_size=2
        ),
    }
)
run = st.tuples(hostile, hostile | st.sampled_from(["completed", "failed"]), dressed).map(
    lambda of: {"id": of[0], "status": of[1], "end_time": "2026-01-01T00:00:00Z", **of[2]}
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    state = records.run_state(draw(run))
    assert state is not None
    return Snapshot(
        state=state,
        workflow_id=draw(hostile),
        workflow_name=draw(hostile),
        steps=tuple(records.steps(draw(st.lists(step, max_size=2)))),
        graph=draw(graph),
        reattach=f"%orchestra_run {state.id} --workflow {draw(hostile)}",
        note=draw(hostile),
        trouble=draw(hostile),
    )


STYLES: set[str | None] = set()
"""Every style that is ever written: few, since none of them is made of what a server says."""


def hold(html: str) -> Page:
    """Hold that HTML has only the tags and attributes that we write, and return how it is read."""
    html.encode()
    plain(html)
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag in ALLOWED | {"br", "span"}
        assert attributes.keys() <= SAFE | {"dir"}
        assert tag == "img" or not attributes.keys() & {"src", "alt"}
        assert attributes.get("class") in {None, "tex2jax_ignore mathjax_ignore", "orchestra-values-"}
        STYLES.add(attributes.get("style"))
        if tag == "img":
            head, data = (attributes["src"] or "").split(",")
            assert head == "data:image/svg+xml;base64"
            picture(base64.b64decode(data).decode())
    assert len(STYLES) < 40
    return page


def picture(svg: str) -> None:
    for element in ET.fromstring(svg).iter():
        assert element.tag.split("}")[1] in {"svg", "g", "rect", "path", "text", "title", "animate"}
        assert not any(name.startswith("on") or name in {"href", "style", "class", "id"} for name in element.attrib)
        plain((element.text or "") + "".join(element.attrib.values()))


def plain(text: str) -> None:
    """Hold that nothing in a text steers a terminal, reorders a line or hides."""
    for before, character in zip(" " + text, text, strict=False):
        odd = unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} and character not in "\n\t"
        assert not odd or (character == "\u200d" and not before.isascii()), (hex(ord(character)), text)


def read_back(page: Page, text: str) -> None:
    """Hold that a text stands in the page, whole, but for white space."""
    assert " ".join(words.clean(text).split()) in page.text


@settings(deadline=None, max_examples=80)
@given(snapshots())
def test_a_card(seen: Snapshot) -> None:
    page = hold(card.html(seen))
    plain(card.text(seen))
    for text in (seen.state.error or "", seen.note, seen.trouble, seen.reattach):
        read_back(page, text)
    for each in seen.steps:
        read_back(page, words.line(each.node))
        read_back(page, each.error or "")


@settings(deadline=None, max_examples=100)
@given(hostile)
@example("".join(ATTACKS))
@example("\n    " + ATTACKS[0])
def test_an_output_is_read_back_as_it_is(text: str) -> None:
    for shown in (text, {"deep": {"er": text}}):
        page = hold(value.html(shown))
        read_back(page, text[: value.LONG])
    plain(value.text(text))
    assert words.clean(text) == words.clean(words.clean(text))
    if text.isprintable() and text.isascii():
        assert words.clean(text) == text


TABLES: dict[str, Callable[[Any, Any, Any], dict[str, str]]] = {
    "workflows": lambda made, _run, _step: both(listings.workflows([made])),
    "inputs": lambda made, _run, _step: both(listings.inputs(made.named_inputs)),
    "one workflow": lambda made, _run, _step: {
        "text/plain": listings.workflow_text(made, made.named_inputs),
        "text/html": listings.workflow_html(made, made.named_inputs),
    },
    "runs": lambda made, run, _step: both(listings.runs([(run, made.name)])),
    "steps": lambda _made, _run, step: both(listings.steps([step])),
    "started": lambda made, run, _step: listings.started(
        [(made.name, datetime(2026, 1, 1, tzinfo=timezone.utc), run)], [made.description], empty=made.name
    ),
    "dry run": lambda made, run, _step: both_of(
        preview,
        Preview(
            api.execute(f"w{made.id}", {"a": made.name}, idempotency_key="key"),
            "http://127.0.0.1/api",
            (made.description,),
        ),
    ),
    "form": lambda made, _run, _step: {
        "text/plain": form_card.text(made.name, [(made.description, made.status)]),
        "text/html": form_card.html(made.name, [(made.description, made.status)]),
    },
    "form without widgets": lambda made, _run, _step: {"text/plain": "", "text/html": form_card.stand_in(made.name)},
}


def both(table: Any) -> dict[str, str]:
    return {"text/plain": table.text(), "text/html": table.html()}


def both_of(view: Any, shown: Any) -> dict[str, str]:
    return {"text/plain": view.text(shown), "text/html": view.html(shown)}


@pytest.mark.parametrize("table", TABLES)
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_a_table(table: str, data: st.DataObject) -> None:
    sendable = hostile.map(lambda text: text.encode(errors="replace").decode()) if table == "dry run" else hostile
    identity, name, description, status = (data.draw(sendable) for _ in range(4))
    made = Workflow(identity, name, description, status, data.draw(graph))
    shown = TABLES[table](made, records.run_state(data.draw(run)), records.step(data.draw(step)))
    hold(shown["text/html"])
    plain(shown["text/plain"])


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([302, 400, 401, 404, 409, 422, 429, 500]), anything, hostile)
def test_an_error(status: int, said: Any, header: str) -> None:
    """One line, and nothing in it but what is to be read."""
    body = words.dump({"detail": said}).encode("utf-8", "surrogatepass")
    raw = Raw(status, {"location": header, "retry-after": header, "content-type": header}, body)
    endpoint = Endpoint("http://127.0.0.1:1/api", Key("sk-x"))
    error = refusal(raw, api.workflows(), endpoint)
    plain(str(error))
    assert "\n" not in str(error)
    assert len(str(error)) < 2_000


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.fixed_dictionaries({"node": hostile, "field": anything, "message": anything}), min_size=2, max_size=4)
)
def test_the_faults_of_a_graph(faults: Any) -> None:
    """A line for each, and no more lines than those."""
    body = words.dump({"detail": faults}).encode("utf-8", "surrogatepass")
    error = refusal(Raw(400, {}, body), api.workflows(), Endpoint("http://127.0.0.1:1/api", Key("sk-x")))
    plain(str(error))
    assert len(str(error).split("\n")) == 1 + len(faults)
