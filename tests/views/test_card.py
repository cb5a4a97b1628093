"""The card: whole by itself, safe, the same data as text and as HTML, for every status."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from orchestra_magic.client.records import FINISHED, RunState, Step
from orchestra_magic.client.snapshot import Snapshot
from orchestra_magic.views import card, value
from orchestra_magic.views.words import MARKS

BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
GRAPH = {
    "nodes": {"load": {"type": "code"}, "ask": {"type": "model"}},
    "edges": [["START", "load"], ["load", "ask"], ["ask", "END"]],
}
ATTACK = "<img src=x onerror=alert(1)><script>alert(2)</script>\x1b[2J\u202e"
ALLOWED = {"div", "p", "b", "small", "code", "pre", "img", "details", "summary", "table", "thead", "tbody", "tr", "th",
           "td", "caption"}  # fmt: skip
SAFE = {"class", "style", "alt", "src", "width", "height", "open", "scope"}


def seen(status: str = "completed", *, seconds: float | None = 2.0, steps: Any = None, **members: Any) -> Snapshot:
    said = {name: members.pop(name) for name in ("outputs", "error", "inputs") if name in members}
    over = status in FINISHED
    ended = BEGUN + timedelta(seconds=seconds) if over and seconds is not None else None
    state = RunState("fda37c90-dd1c-4317-82d1", status, started_at=BEGUN, ended_at=ended, **said)
    if steps is None:
        steps = (
            Step("1", "load", "completed", {"path": "in.csv"}, {"rows": 3}, None, BEGUN, BEGUN + timedelta(seconds=1)),
            Step("2", "ask", status, {"prompt": "why?"}, said.get("outputs"), said.get("error"), BEGUN, ended, 42),
        )
    facts = {"workflow_name": "Say hi", "graph": GRAPH, "age": None if over else 12.0, **members}
    reattach = f"%orchestra_run {state.id} --workflow wf"
    return Snapshot(state=state, workflow_id="wf", steps=tuple(steps), reattach=reattach, **facts)


class Page(HTMLParser):
    """What a browser makes of a piece of HTML, as far as it matters here."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"img", "br"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.mark.parametrize("status", [*MARKS, "waiting_for_goods"])
def test_both_forms_say_the_same_of_every_status(status: str) -> None:
    shown = seen(status, outputs="Hello <Ada>", error="no such model" if status == "failed" else None)
    page, text = Page(card.html(shown)), card.text(shown)
    for said in (page.text, text):
        assert f"{MARKS.get(status, '·')} {status} " in said
        assert "Say hi" in said
        assert "run fda37c90" in said
        assert shown.reattach in said
        assert "load" in said
        assert ("2.0 s" if shown.state.finished else "12 s") in said
        assert ("Hello <Ada>" in said) or not shown.state.finished
        assert ("no such model" in said) is (status == "failed")


def test_the_card_needs_nothing_else() -> None:
    shown = seen("failed", error=ATTACK, outputs={"a": ATTACK, ATTACK: [{ATTACK: ATTACK}]}, note=ATTACK, trouble=ATTACK,
                 workflow_name=ATTACK, steps=[Step("1", ATTACK, ATTACK, ATTACK, {ATTACK: ATTACK}, ATTACK)],
                 graph={"nodes": {ATTACK: {"type": ATTACK, "metadata": {"description": ATTACK}}},
                        "edges": [["START", ATTACK], [ATTACK, "END"]]})  # fmt: skip
    page = Page(card.html(shown))
    assert {tag for tag, _ in page.tags} <= ALLOWED
    assert {name for _, attributes in page.tags for name in attributes} <= SAFE
    assert [attributes for tag, attributes in page.tags if "src" in attributes and tag != "img"] == []
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    svg = base64.b64decode((image["src"] or "").removeprefix("data:image/svg+xml;base64,"))
    for element in ET.fromstring(svg).iter():
        assert element.tag.split("}")[1] in {"svg", "g", "rect", "path", "text", "tspan", "title", "circle", "animate"}
        assert not any(name.startswith("on") or "href" in name for name in element.attrib)
    styles = " ".join(attributes["style"] or "" for _, attributes in page.tags if "style" in attributes)
    assert "url(" not in styles
    for text in (card.text(shown), page.text):
        assert "\x1b" not in text
        assert "\u202e" not in text


def answered(notes: Any, *, end: str = "stop", node: str = "ask") -> Step:
    outputs = {"choices": [{"message": {"content": "Hi"}, "finish_reason": end}]}
    return Step("1", node, "completed", {"model": "virtuoso-large"}, outputs, notes=notes)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            answered({"model": "SmolLM2-135M", "quality": "demo quality", "endpoint": "here"}),
            "ask: SmolLM2-135M answered, not virtuoso-large; demo quality.",
        ),
        (answered({"quality": "demo quality"}), "ask: demo quality."),
        (answered({}, end="length"), "ask: the answer is cut off, at the most tokens that it may have."),
        (answered({"mode": "full_text", "note": "searched by words alone"}), "ask: searched by words alone."),
        (answered({"model": 1, "quality": [], "note": {}, "endpoint": "there"}), None),
    ],
)
def test_what_a_result_is_worth_stands_on_the_face_of_the_card(step: Step, said: str | None) -> None:
    shown = seen(outputs="Hi", steps=[step])
    face = card.html(shown).split("<img")[0]
    if said is None:
        assert "ask:" not in card.text(shown) + face
    else:
        assert f"  {said}\n" in card.text(shown)
        assert said in face


def test_nodes_with_the_same_to_say_share_a_line() -> None:
    shown = seen(steps=[answered({"quality": "demo"}, node=f"n{n}") for n in range(5)])
    assert card.text(shown).count("demo") == 1
    assert "n0, n1, n2 and 2 more: demo." in card.text(shown)


def test_the_picture_says_each_status_in_words_too() -> None:
    page = Page(card.html(seen("running")))
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert "load" in (image["alt"] or "")
    assert "completed" in (image["alt"] or "")
    assert "running" in (image["alt"] or "")


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("status", [*MARKS, "unknown", "unconfirmed"])
def test_a_pill_is_read_on_any_ground_and_not_by_its_colour_alone(status: str) -> None:
    pill = card.pill(status)
    ink, ground = re.findall(r"color:(#\w{6});background:(#\w{6})", pill)[0]
    light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert f"{MARKS.get(status, '·')} {status}" in Page(pill).text


def test_no_other_colour_is_set_on_text() -> None:
    shown = seen(outputs=[{"a": 1}] * 30, trouble="busy", note="taken", seconds=100)
    page = Page(card.html(shown))
    coloured = {tag for tag, attributes in page.tags if re.search(r"(^|;)color:", attributes.get("style") or "")}
    assert coloured == {"b"}  # the pills: all else has the theme's own


@pytest.mark.parametrize(("seconds", "said"), [(59.0, False), (61.0, True)])
def test_a_run_of_more_than_a_minute_says_when_it_ended(seconds: float, said: bool) -> None:
    shown = seen(seconds=seconds)
    sentence = "It ended at 2026-01-02 03:05:06 UTC, after 1 min 1 s."
    assert (sentence in card.text(shown)) is said
    assert (sentence in Page(card.html(shown)).text) is said


def test_a_card_that_may_be_old_says_so() -> None:
    old = seen("running", trouble="Not current since 03:04:05 UTC; it is looked for again. far failed (503).")
    assert card.headline(old).endswith("12 s · not current")
    assert "Not current since 03:04:05 UTC" in Page(card.html(old)).text
    assert "not current" not in card.headline(seen("running"))
    assert "not current" not in card.headline(seen("completed", trouble="The steps are not to be had."))


def test_a_run_that_goes_on_says_as_of_when_by_the_clock_of_this_computer() -> None:
    moment = BEGUN.astimezone().strftime("as of %H:%M:%S")
    going = seen("running", as_of=BEGUN)
    assert f"12 s · {moment}" in Page(card.html(going)).text
    assert f"12 s · {moment}" in card.text(going)
    assert "as of" not in card.headline(going)  # a terminal's line is written over and over
    over = seen("completed", as_of=BEGUN)
    assert "as of" not in card.text(over) + card.html(over)


def test_a_step_that_failed_stands_open() -> None:
    def opened(shown: Snapshot) -> list[bool]:
        return ["open" in attributes for tag, attributes in Page(card.html(shown)).tags if tag == "details"]

    assert opened(seen("failed", error="boom")) == [True, False, True]
    assert opened(seen(outputs="Hi")) == [False, False, False]


LINES = "\n".join(f"x = {n}" for n in range(13))
COLUMN = "ValueError: the table has no column 'nope'; it has: species, x"
WANTING = "{{groups}} has no value, because 'load' failed: "


def failed_for_want(status: str = "failed", **members: Any) -> Snapshot:
    """A run like those of the embedded server: its first step failed, so that its second had no value."""
    context = {"run_id": "fda37c90-dd1c-4317-82d1", "input_data": {"value": "nope", "limit": 3}}
    values = {"code": LINES, "values": {"value": "nope", "limit": 3}, "timeout": 60.0, **context}
    steps = (Step("1", "load", status, values, None, COLUMN), Step("2", "ask", status, context, None, WANTING + COLUMN))
    return seen(status, inputs={"value": "nope"}, steps=steps, **members)


def test_a_failed_run_says_first_the_error_that_began_it_and_says_it_once() -> None:
    shown = failed_for_want(error=f"ask: {WANTING}{COLUMN}")
    page, text = Page(card.html(shown)), card.text(shown)
    for said in (page.text, text):
        assert COLUMN in said
        assert "rror in load" in said
        assert "null" not in said
    assert page.text.count(COLUMN) == 1
    assert page.text.index(COLUMN) < page.text.index("Inputs")
    assert f"{WANTING}…" in page.text
    assert page.text.count("see above") == 1
    assert card.brief(shown).startswith("Run fda37c90 ended as failed: load: ValueError")
    assert COLUMN not in card.brief(shown)


def test_a_failed_run_says_what_its_server_says_beside_the_error_of_a_step() -> None:
    page = Page(card.html(failed_for_want(error=f"3 attempts, the last with {COLUMN}.")))
    assert page.text.count(COLUMN) == 1
    assert "3 attempts, the last with …" in page.text
    page = Page(card.html(failed_for_want(error="the worker was lost")))
    assert "Error the worker was lost" in page.text


@pytest.mark.parametrize("error", ["the run was cancelled", None])
def test_a_cancelled_run_shows_no_outputs_that_it_does_not_have(error: str | None) -> None:
    steps = (Step("1", "load", "completed", {}, 3), Step("2", "ask", "cancelled", {"prompt": "why?"}))
    shown = seen("cancelled", error=error, steps=steps)
    for said in (Page(card.html(shown)).text, card.text(shown)):
        assert (error or "■ cancelled") in said
        assert "null" not in said


def test_the_inputs_of_a_run_stand_once_and_a_long_program_is_folded() -> None:
    html = card.html(failed_for_want(error=COLUMN))
    page = Page(html)
    assert page.text.count("value nope limit 3") == 1
    for word in ("run_id", "input_data", "timeout", "60.0", "values"):
        assert word not in page.text
    assert "<summary>13 lines</summary>" in html
    assert "x = 12" in page.text
    others = {"code": "1", "values": {"a": 1}, "timeout": 5.0, "run_id": "another", "input_data": {}}
    page = Page(card.html(seen(steps=[Step("1", "load", "completed", others, 1)], inputs={"a": 2})))
    assert all(name in page.text for name in ("values", "timeout", "run_id"))
    call = {"model": "m", "stream": False, "top_k": 1, "top_p": 1, "messages": []}
    for status, opened in (("failed", False), ("completed", True)):
        html = card.html(seen(steps=[Step("1", "ask", status, call, None, "no" if status == "failed" else None)]))
        assert ("<b>Inputs</b>" in html) is opened
        assert ("<summary>Inputs</summary>" in html) is not opened


@pytest.mark.parametrize("inner", ["ZeroDivisionError: division by zero", ""])
@pytest.mark.parametrize("spelling", ["successful", "successfull"])
def test_a_completed_step_whose_program_failed_does_not_look_fine(spelling: str, inner: str) -> None:
    outputs = {"data": {"results": None, "error": inner}, "error": None, spelling: not inner}
    shown = seen(steps=[Step("1", "load", "completed", {}, outputs)], outputs="Hi")
    page, text = Page(card.html(shown)), card.text(shown)
    faulty = bool(inner)
    for said in (page.text, text):
        assert ("✘ errored" in said) is faulty
        assert ("1 step had an error" in said) is faulty
        assert ("⚠ completed with errors" in said) is faulty
        assert ("✔ completed" in said.split("Say hi")[0]) is not faulty
        assert (inner in said) is True
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    assert ("load (code, errored)" in (image["alt"] or "")) is faulty
    assert any("open" in attributes for tag, attributes in page.tags if tag == "details") is faulty


def test_without_steps_or_graph_there_is_still_a_card() -> None:
    shown = seen("unknown", steps=(), graph={}, workflow_name="")
    assert card.text(shown).split("\n") == ["· unknown · wf · run fda37c90 · 12 s", f"  {shown.reattach}"]
    assert {tag for tag, _ in Page(card.html(shown)).tags} == {"div", "p", "b", "small", "code"}


def test_a_loop_and_a_branch_that_was_not_taken() -> None:
    graph = {
        "nodes": {"try": {"type": "code"}, "give_up": {"type": "code"}},
        "edges": [["START", "try"], ["try", "try"], ["try", "give_up"], ["try", "END"]],
    }
    steps = [Step("1", "try#1", "failed"), Step("2", "try#2", "completed")]
    found = card.node_statuses(seen(steps=steps, graph=graph))
    assert found == {"try": "completed", "give_up": "skipped", "END": "completed"}


def test_text_is_shown_as_text_and_keeps_what_stands_in_columns() -> None:
    html = value.html("# Title\n\nSome **bold** words.\n\n```\nx = 1\n```\n| a | b |\n|---|---|\nthe end")
    assert Page(html).text == "# Title Some **bold** words. ``` x = 1 ``` | a | b | |---|---| the end"
    kept = [part for part in html.split("<pre ")[1:] if "font-family" not in part]
    assert ["x = 1" in part or "| a |" in part for part in kept] == [True, True]
    for line in ("a   b   c", "    indented", "\ttab"):
        assert "font-family" not in value.html(line)
    program = "rows = [1]\nif rows:\n    print(rows)\n"
    assert value.html({"code": program}).count("<pre") == 1
    assert "font-family" not in value.html({"code": program})
    assert "font-family" in value.html({"answer": program})


def test_lines_break_between_words_and_elsewhere_only_in_a_word_that_has_no_room() -> None:
    page = Page(card.html(seen("failed", error="set ORCHESTRA_MODEL_BASE_URL", outputs={"text": "x" * 500})))
    styles = [attributes["style"] or "" for tag, attributes in page.tags if tag == "pre"]
    assert len(styles) > 1
    assert all("word-break:normal;overflow-wrap:anywhere" in style for style in styles)
    (cell,) = re.findall("<td[^>]*>x", value.html([{"a": "x" * 30}]))
    assert "overflow-wrap:anywhere" in cell


def test_long_values_are_cut_with_a_way_to_all() -> None:
    html = value.html("word " * 900)
    first, rest = html.split("<details>")
    assert len(first) < 1_250
    assert "All 4,500 characters" in rest
    assert rest.count("word ") == 900
    rows = value.html([{"n": n} for n in range(50)])
    assert "… 30 more" in rows
    assert "All 50" in rows
    assert "more characters" in value.text("word " * 900)
    tree = value.html({"name": "Ada", "deep": {"list": list(range(100))}})
    assert "<details><summary>" in tree
    assert '<th scope="row"' in tree
