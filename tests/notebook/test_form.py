"""The form, with real widgets and a real shell: what its fields take, what it sends, what it shows."""

from __future__ import annotations

import json
import threading
import time
from datetime import date
from typing import Any

import ipywidgets as widgets
import pytest
from scripted import Reply, Said, Scripted

from orchestra_magic import Orchestra, OrchestraAuthError, OrchestraError, OrchestraInputError, OrchestraUsageError, Run
from orchestra_magic.notebook.form import Form

from .cells import Cells
from .forms import MakeForm, control, eventually, html, part, parts, press
from .workflows import EXECUTE, RUN, STARTED, STATE, STEPS, WF, run_json, workflow_json

CONTROLS = [
    ({"type": "string"}, widgets.Text, ""),
    ({"type": "number"}, widgets.Text, ""),
    ({"type": "integer", "default": 3}, widgets.Text, "3"),
    ({"type": "boolean"}, widgets.Checkbox, False),
    ({"type": "boolean", "default": True}, widgets.Checkbox, True),
    ({"type": "array"}, widgets.Textarea, ""),
    ({"type": "object", "default": {"a": 1}}, widgets.Textarea, '{"a": 1}'),
    ({"type": "string", "default": "a\nb"}, widgets.Textarea, "a\nb"),
    ({"type": "string", "default": "x" * 100}, widgets.Textarea, "x" * 100),
    ({"type": "string", "format": "multiline"}, widgets.Textarea, ""),
    ({"type": "string", "enum": ["red", "blue"]}, widgets.Dropdown, -1),  # nothing is chosen for anyone
    ({"type": "integer", "enum": [1, 2], "default": 2}, widgets.Dropdown, 1),
    ({"type": "array", "items": {"enum": ["a", "b", "c"]}, "default": ["c", "a"]}, widgets.Checkbox, True),
    ({"type": "string", "format": "date", "default": "2026-01-31"}, widgets.DatePicker, date(2026, 1, 31)),
    ({"type": "string", "format": "date", "default": "soon"}, widgets.Text, "soon"),
    ({"type": "string", "format": "time"}, widgets.TimePicker, None),
    ({"type": "string", "format": "date-time"}, widgets.DatetimePicker, None),
    ({"type": "string", "format": "file"}, widgets.Text, ""),
    ({"type": "string", "format": "password", "default": "x"}, widgets.Password, ""),
    ("just a default", widgets.Text, "just a default"),
    ("string", widgets.Text, ""),
    ({}, widgets.Text, ""),
]


@pytest.mark.parametrize(("declared", "kind", "value"), CONTROLS)
def test_each_type_has_its_control(declared: Any, kind: type, value: Any, make_form: MakeForm) -> None:
    made = control(make_form(wish=declared), "wish")
    assert type(made) is kind
    assert made.value == value


def test_a_field_says_what_it_is_for(make_form: MakeForm) -> None:
    form = make_form(who={"type": "string", "description": "Whom to greet", "required": True})
    assert control(form, "who").description == "who (required)"
    assert "Whom to greet" in html(form)


TYPED = [
    ("string", "hello", "hello"),
    ("string", " 12 ", " 12 "),
    ("string", "null", "null"),
    ("number", "3", 3),
    ("number", "-2.5e3", -2500.0),
    ("number", " 7 ", 7),
    ("integer", "-12", -12),
    ("integer", str(2**70), 2**70),
    ("array", '[1, "a", null]', [1, "a", None]),
    ("object", '{"a": {"b": true}}', {"a": {"b": True}}),
]


@pytest.mark.parametrize(("kind", "typed", "sent"), TYPED)
def test_what_is_typed_is_sent_with_its_type(
    kind: str, typed: str, sent: Any, make_form: MakeForm, connected: Scripted
) -> None:
    form = make_form(wish={"type": kind})
    control(form, "wish").value = typed
    assert form.values == {"wish": sent}
    press(form)
    assert connected.posts[0].json == {"wish": sent}
    assert type(connected.posts[0].json["wish"]) is type(sent)


def test_choices_and_ticks_are_sent_with_their_types(make_form: MakeForm, connected: Scripted) -> None:
    form = make_form(n={"enum": [1, 2.5, "2"]}, loud={"type": "boolean"})
    form.set(n=2.5, loud=True)
    press(form)
    assert connected.posts[0].json == {"n": 2.5, "loud": True}


def test_what_is_left_empty_is_left_out(make_form: MakeForm, connected: Scripted) -> None:
    form = make_form(prompt={"type": "string"}, n={"type": "integer"}, rows={"type": "array"})
    press(form)
    assert connected.posts[0].json == {}


FAULTS = [
    ({"type": "string", "required": True}, "", "The required input 'wish' is missing."),
    ({"type": "number"}, "three", "'wish' takes a number, and 'three' is none."),
    ({"type": "integer"}, "3.5", "'wish' takes a whole number, and '3.5' is none."),
    ({"type": "array"}, "[1, 2", "'wish' takes a list as JSON"),
    ({"type": "array"}, '{"a": 1}', "'wish' takes a list as JSON."),
    ({"type": "object"}, "[]", "'wish' takes an object as JSON."),
]


@pytest.mark.parametrize(("declared", "typed", "fault"), FAULTS)
def test_a_fault_stands_at_its_field_and_nothing_is_sent(
    declared: Any, typed: str, fault: str, make_form: MakeForm, connected: Scripted, cells: Cells
) -> None:
    form = make_form(other={"type": "string"}, wish=declared)
    control(form, "wish").value = typed
    press(form)
    at_other, at_field, _ = [each.value for each in parts(form.widget) if "orchestra-message" in each._dom_classes]
    assert fault in at_field.replace("&#x27;", "'")
    assert 'role="alert"' in at_field
    assert not at_other
    assert "Nothing was sent." in part(form, "orchestra-summary").value
    assert isinstance(form.error, OrchestraInputError)
    with pytest.raises(OrchestraInputError):
        _ = form.run
    assert not connected.posts
    assert "run_id" not in cells


def test_all_faults_are_shown_at_once_and_go_when_they_are_mended(make_form: MakeForm, connected: Scripted) -> None:
    form = make_form(a={"type": "number"}, b={"type": "string", "required": True})
    control(form, "a").value = "x"
    press(form)
    assert html(form).count('role="alert"') == 3  # at each field, and by the button
    form.set(a="1", b="hi")
    press(form)
    assert 'role="alert"' not in html(form)
    assert form.error is None
    assert connected.posts[0].json == {"a": 1, "b": "hi"}


def test_a_dollar_name_is_a_variable_with_its_type(make_form: MakeForm, connected: Scripted, cells: Cells) -> None:
    cells.shell.user_ns |= {"rows": [{"a": 1}], "n": 3, "who": "Ada"}
    form = make_form(rows={"type": "array"}, n={"type": "integer"}, who={"type": "string"}, text={"type": "string"})
    form.set(rows="$rows", n="$n", who="$who", text="costs $5 or $$5")
    press(form)
    assert connected.posts[0].json["rows"] == [{"a": 1}]
    assert connected.posts[0].json["n"] == 3
    assert connected.posts[0].json["who"] == "Ada"


def test_a_missing_variable_is_said_in_the_form(make_form: MakeForm, connected: Scripted) -> None:
    form = make_form().set(prompt="$nobody")
    press(form)
    assert "nobody" in part(form, "orchestra-summary").value
    assert isinstance(form.error, OrchestraInputError)
    assert not connected.posts


PLANTED = [
    ({"type": "string", "default": "$secret"}, "$secret"),
    ({"type": "string", "default": "a ${secret} and $$5"}, "a ${secret} and $$5"),
    ({"type": "object", "default": {"a": ["${secret}"]}}, {"a": ["${secret}"]}),
    ({"enum": ["$secret", "b"], "default": "$secret"}, "$secret"),
    ({"type": "array", "items": {"enum": ["$secret"]}, "default": ["$secret"]}, ["$secret"]),
]


@pytest.mark.parametrize(("declared", "sent"), PLANTED)
@pytest.mark.parametrize("edited", [False, True])
def test_the_server_cannot_ask_for_a_variable(
    declared: Any, sent: Any, edited: bool, make_form: MakeForm, connected: Scripted, cells: Cells
) -> None:
    cells.shell.user_ns["secret"] = "planted"
    form = make_form(wish=declared)
    if edited and isinstance(sent, str) and "enum" not in declared:  # nor when a person adds to what it said
        control(form, "wish").value += "!"
        sent += "!"
    press(form)
    assert connected.posts[0].json == {"wish": sent}


def test_pressing_again_while_it_is_being_sent_starts_no_second_run(make_form: MakeForm, connected: Scripted) -> None:
    answer = threading.Event()

    def late(_: Said) -> Any:
        answer.wait(10)
        return STARTED

    connected.on("POST", EXECUTE, late)
    form = make_form().set(prompt="hi")
    button = part(form, "orchestra-run")
    for _ in range(5):
        button.click()
    form.submit()
    eventually(lambda: bool(connected.posts))
    assert button.description != "Run"  # it says that it is at work
    button.click()
    answer.set()
    assert form.run.id == RUN  # waits for the start that is under way
    assert len(connected.posts) == 1
    assert button.description == "Run"


def test_a_double_click_starts_one_run(make_form: MakeForm, connected: Scripted) -> None:
    form = make_form().set(prompt="hi")
    press(form)  # a fast server has answered before the second click of the two
    press(form)
    assert len(connected.posts) == 1


def test_a_form_may_be_used_again(make_form: MakeForm, connected: Scripted) -> None:
    form = make_form().set(prompt="one")
    form.submit()
    first = form.run
    form.set(prompt="two").submit()
    assert form.run is not first
    assert [sent.json["prompt"] for sent in connected.posts] == ["one", "two"]


def test_submit_returns_at_once(make_form: MakeForm, connected: Scripted) -> None:
    answer = threading.Event()
    connected.on("POST", EXECUTE, lambda _: STARTED if answer.wait(10) else None)
    form = make_form().set(prompt="hi")
    before = time.monotonic()
    form.submit()
    assert time.monotonic() - before < 1
    assert not form.settled(timeout=0.05)
    answer.set()
    assert form.run.id == RUN


def test_the_run_appears_in_the_form_and_stays_current(make_form: MakeForm, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("running"), run_json("running"), run_json(outputs="Hello Ada"))
    connected.on("GET", STEPS, [{"node_id": "greet", "status": "completed", "outputs": "Hello Ada"}])
    form = make_form().set(prompt="Ada")
    press(form)
    result = part(form, "orchestra-result")
    eventually(lambda: "running" in result.value or "completed" in result.value)
    eventually(lambda: "Hello Ada" in result.value and "completed" in result.value)
    assert RUN in result.value


def test_a_run_that_fails_says_so_in_the_form(make_form: MakeForm, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("failed", error="node greet: <boom>"))
    form = make_form()
    press(form)
    eventually(lambda: "node greet: &lt;boom&gt;" in part(form, "orchestra-result").value)
    assert form.error is None  # the start went well
    assert form.run.wait(check=False).status == "failed"


def test_the_names_are_bound_by_options(make_form: MakeForm, cells: Cells) -> None:
    form = make_form({"run_id": "my_id", "out": "my_run"})
    press(form)
    assert cells["my_id"] == RUN
    assert isinstance(cells["my_run"], Run)
    assert "run_id" not in cells


@pytest.mark.parametrize("options", [{"run_id": "my-id"}, {"out": "class"}])
def test_a_bad_name_is_refused_before_there_is_a_form(options: dict[str, str], make_form: MakeForm) -> None:
    with pytest.raises(OrchestraUsageError, match="Nothing was sent"):
        make_form(options)


def test_an_error_of_the_server_stands_in_the_form(make_form: MakeForm, connected: Scripted, key: str) -> None:
    connected.on("POST", EXECUTE, Reply(401, {"detail": f"<b>no</b> {key}"}))
    form = make_form()
    press(form)
    said = part(form, "orchestra-summary").value
    assert "OrchestraAuthError" in said
    assert "&lt;b&gt;no&lt;/b&gt;" in said
    assert key not in said
    assert isinstance(form.error, OrchestraAuthError)


def test_an_error_leaves_no_result_of_an_earlier_run(make_form: MakeForm, connected: Scripted) -> None:
    connected.on("POST", EXECUTE, STARTED, Reply(401, {"detail": "expired"}))
    form = make_form()
    form.submit()
    form.run.wait(timeout=20)
    eventually(lambda: "Hi Ada" in part(form, "orchestra-result").value)
    form.submit()
    assert form.settled(timeout=20)
    assert "expired" in part(form, "orchestra-summary").value
    assert "Hi Ada" not in part(form, "orchestra-result").value


def test_a_fault_of_our_own_does_not_vanish(make_form: MakeForm, monkeypatch: pytest.MonkeyPatch) -> None:
    form = make_form()
    monkeypatch.setattr(Orchestra, "execute", lambda *_, **__: 1 / 0)
    press(form)
    assert type(form.error) is OrchestraError
    assert "ZeroDivisionError" in part(form, "orchestra-summary").value
    assert part(form, "orchestra-run").description == "Run"


def test_before_the_first_press_there_is_no_run(make_form: MakeForm) -> None:
    form = make_form()
    with pytest.raises(OrchestraUsageError, match="press Run in the form"):
        _ = form.run
    assert form.error is None


def test_fields_are_set_by_name(make_form: MakeForm) -> None:
    form = make_form(prompt={"type": "string"}, rows={"type": "array"})
    assert form.set(prompt="hi", rows=[1, {"a": None}]) is form
    assert form.values == {"prompt": "hi", "rows": [1, {"a": None}]}
    with pytest.raises(OrchestraUsageError, match=r"no field 'promt'. It has prompt, rows"):
        form.set(promt="hi")


HOSTILE = '<img src=x onerror="alert(1)">&\'</script><style>*{display:none}</style>'


def test_whatever_the_server_says_is_text(cells: Cells, connected: Scripted) -> None:
    inputs = {
        HOSTILE: {"type": "string", "description": HOSTILE, "default": HOSTILE},
        "c": {"enum": [HOSTILE], "required": False},
    }
    connected.on("GET", "/workflows", [workflow_json(name=HOSTILE, description=HOSTILE, inputs=inputs)])
    connected.on("GET", STATE, run_json(outputs={HOSTILE: [HOSTILE]}, error=HOSTILE))
    connected.on("GET", STEPS, [{"node_id": HOSTILE, "status": HOSTILE, "outputs": HOSTILE, "error": HOSTILE}])
    orchestra = Orchestra()
    form = Form(orchestra, orchestra.workflow(WF), cells.shell)
    press(form)
    eventually(lambda: "onerror" in part(form, "orchestra-result").value)
    for shown in (html(form), cells.bundle(form)["text/html"]):
        assert "<img src=x" not in shown
        assert "<style>*" not in shown
        assert "<script" not in shown.lower()
    for each in parts(form.widget):  # ipywidgets 8 shows a description as text, unless it is told otherwise
        assert not getattr(each, "description_allow_html", False)


def test_a_front_end_gets_the_widget_and_what_stays_without_it(make_form: MakeForm, cells: Cells, key: str) -> None:
    form = make_form().set(prompt="Ada & <co>")
    press(form)
    form.run.wait(timeout=20)
    bundle = cells.bundle(form)
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == form.widget.model_id
    assert repr(form) == "<Form of Say hi>"
    assert "prompt: Ada & <co>" in bundle["text/plain"]
    assert "Ada &amp; &lt;co&gt;" in bundle["text/html"]
    assert "Hi Ada" in bundle["text/html"]
    assert key not in json.dumps(bundle)


def test_no_widget_holds_a_secret(make_form: MakeForm, key: str) -> None:
    form = make_form()
    press(form)
    states = [each.get_state() for each in parts(form.widget) if isinstance(each, widgets.Widget)]
    assert len(states) > 5
    assert key not in repr(states)


def test_a_workflow_without_inputs_has_a_form_too(make_form: MakeForm, connected: Scripted) -> None:
    connected.on("GET", "/workflows", [workflow_json(graph={})])
    connected.on("GET", f"/workflows/{WF}/runs", [])
    orchestra = Orchestra()
    form = Form(orchestra, orchestra.workflow(WF), make_form().shell)
    press(form)
    assert connected.posts[0].json == {}


def test_without_a_kernel_there_is_a_magic_to_use_instead(cells: Cells) -> None:
    with pytest.raises(OrchestraUsageError, match="%%orchestra_execute 'Say hi'"):
        cells.run("%orchestra_form 'Say hi'")
    with pytest.raises(OrchestraUsageError, match="A form needs a notebook"):
        Orchestra().form(WF)


@pytest.mark.usefixtures("connected")
def test_without_ipython_at_all_there_is_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OrchestraUsageError, match=r"orchestra\.execute"):
        Orchestra().form(WF)
