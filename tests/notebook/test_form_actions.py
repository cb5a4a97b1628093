"""What a form does when it is told to: its buttons, its errors, its names in the next cell, and no hands at all."""

from __future__ import annotations

import asyncio
import threading
import types
from collections.abc import Callable
from typing import Any

import pytest
from scripted import Reply, Scripted

from orchestra_magic import NotFound, Orchestra, OrchestraError, OrchestraInputError, OrchestraUsageError
from orchestra_magic.client.run import Run
from orchestra_magic.notebook import form as form_module
from orchestra_magic.notebook.chooser import Chooser
from orchestra_magic.notebook.fields import Field, kinds
from orchestra_magic.notebook.form import Form
from orchestra_magic.notebook.form_shown import Shown
from orchestra_magic.notebook.form_submit import Submission
from orchestra_magic.views import card

from .cells import Cells
from .forms import MakeForm, control, eventually, html, part, parts, press
from .workflows import EXECUTE, RUN, STARTED, STATE, WF, run_json, workflow_json

HISTORY = f"/workflows/{WF}/runs"


@pytest.fixture
def answer(connected: Scripted) -> threading.Event:
    """The server answers the start of a run when this is set."""
    allowed = threading.Event()
    connected.on("POST", EXECUTE, lambda _: STARTED if allowed.wait(20) else None)
    return allowed


def test_a_cell_that_names_the_run_waits_for_it_and_no_other_does(
    make_form: MakeForm, cells: Cells, answer: threading.Event
) -> None:
    form = make_form({"out": "mine"})
    part(form, "orchestra-run").click()
    assert cells.run("1 + 1") == 2  # while the server has not answered
    assert form.submission.under_way
    cells.shell.user_ns["answer"] = answer
    with pytest.raises(NameError):
        cells.run("'later'; nobody")
    threading.Timer(0.2, answer.set).start()
    assert cells.run("(mine.id, run_id)") == (RUN, RUN)
    assert cells.shell.events.callbacks["pre_run_cell"] == []


def test_at_once_means_that_the_next_line_has_the_run(make_form: MakeForm, cells: Cells) -> None:
    make_form({"auto": True, "out": "mine"})
    assert (cells["run_id"], cells["mine"].id) == (RUN, RUN)


def test_at_once_waits_for_what_is_required(make_form: MakeForm, connected: Scripted) -> None:
    form = make_form({"auto": True}, prompt={"type": "string", "required": True})
    assert "Not started yet. The required input &#x27;prompt&#x27; is missing." in html(form)
    with pytest.raises(OrchestraUsageError, match=r"Nothing was started yet.*The required input 'prompt' is missing\."):
        _ = form.run
    assert not connected.posts


def test_many_threads_that_submit_at_once_start_one_run(
    make_form: MakeForm, connected: Scripted, answer: threading.Event
) -> None:
    form = make_form()
    threads = [threading.Thread(target=form.submit) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    answer.set()
    assert form.run.id == RUN
    assert len(connected.posts) == 1


def test_a_form_can_be_awaited(make_form: MakeForm, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells.shell, "kernel", types.SimpleNamespace(_allow_stdin=True), raising=False)

    async def wait(form: Form) -> Run:
        asyncio.get_running_loop().call_later(0.1, part(form, "orchestra-run").click)
        return await form

    assert asyncio.run(asyncio.wait_for(wait(make_form()), 20)).id == RUN


@pytest.mark.parametrize(
    ("kernel", "version", "said"),
    [
        (types.SimpleNamespace(_allow_stdin=False), "7.4.0", "Nobody can press Run here"),
        (types.SimpleNamespace(_allow_stdin=True), "6.31.0", "ipykernel 6.31.0 hears no button while a cell waits"),
    ],
)
def test_where_no_press_would_be_heard_awaiting_says_so(
    kernel: Any, version: str, said: str, make_form: MakeForm, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(form: Form) -> Run:
        return await form

    form = make_form()
    monkeypatch.setattr(cells.shell, "kernel", kernel, raising=False)
    monkeypatch.setattr(form_module, "version", lambda _: version)
    with pytest.raises(OrchestraUsageError, match=said):
        asyncio.run(wait(form))


SAME_WORDS = [
    ({}, {"wish": {"type": "string"}}, "", "The required input 'wish' is missing. Nothing was sent."),
    ({"other": "x"}, {"wish": {"required": False}}, "", "There is no input 'other'. It takes wish. Nothing was sent."),
    ({"wish": "$nobody"}, {"wish": {}}, "", ""),
    ({"wish": "${who} is ${missing.name}"}, {"wish": {}}, "who = 'Ada'", ""),
    ({"wish": "$odd"}, {"wish": {}}, "odd = {1, object()}", ""),
    ({"wish": "$nan"}, {"wish": {"type": "number"}}, "nan = float('nan')", ""),
]


@pytest.mark.parametrize(("inputs", "declared", "before", "said"), SAME_WORDS)
def test_a_fault_is_told_in_the_words_of_the_magic(
    inputs: dict[str, Any], declared: Any, before: str, said: str, cells: Cells, connected: Scripted
) -> None:
    connected.on("GET", "/workflows", [workflow_json(inputs=declared)])
    cells.run(before or "pass")
    body = "".join(f"{name}: {value!r}\n" for name, value in inputs.items())
    by_magic = str(cells.fail(f"%%orchestra_execute {WF} --strict\n{body}"))
    orchestra = Orchestra()
    form = Form(orchestra, orchestra.workflow(WF), cells.shell, inputs, strict=True)
    press(form)
    assert str(form.error).removesuffix(" Nothing was sent.") == by_magic.removesuffix(" Nothing was sent.")
    if said:
        assert str(form.error) == said
    assert not connected.posts


def explode(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("planted")


HANDLERS: list[tuple[str, Any, str, Callable[[Form], Any]]] = [
    ("run", Orchestra, "execute", lambda form: part(form, "orchestra-run").click()),
    ("stop", Submission, "stop", lambda form: part(form, "orchestra-stop").click()),
    ("reset", Field, "reset", lambda form: part(form, "orchestra-reset").click()),
    ("last", Orchestra, "history", lambda form: part(form, "orchestra-last").click()),
    ("cell", Form, "as_cell", lambda form: part(form, "orchestra-as-cell").click()),
    ("add", Form, "add", lambda form: part(form, "orchestra-add-done").click()),
    ("typed", Shown, "soon", lambda form: form.set(prompt="x")),
    ("drawn", Shown, "update", lambda form: part(form, "orchestra-run").click()),
    ("card", card, "html", lambda form: part(form, "orchestra-run").click()),
    ("followed", Run, "on_change", lambda form: part(form, "orchestra-run").click()),
    ("cancel", Run, "cancel", lambda form: part(form, "orchestra-cancel").click()),
]


@pytest.mark.parametrize(("owner", "name", "act"), [each[1:] for each in HANDLERS], ids=[each[0] for each in HANDLERS])
def test_what_goes_wrong_in_a_handler_stands_in_the_form(
    owner: Any, name: str, act: Callable[[Form], Any], make_form: MakeForm, connected: Scripted,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    connected.on("GET", STATE, run_json("running"))
    form = make_form()
    if name in {"cancel", "stop"}:
        press(form)
        eventually(lambda: part(form, "orchestra-stop").layout.display is None)
    monkeypatch.setattr(owner, name, explode)
    act(form)
    eventually(lambda: "ZeroDivisionError: planted" in part(form, "orchestra-summary").value)
    assert 'role="alert"' in part(form, "orchestra-summary").value
    assert isinstance(form.error, OrchestraError)


def test_watching_stops_and_the_run_goes_on(make_form: MakeForm, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("running"))
    form = make_form()
    press(form)
    eventually(lambda: part(form, "orchestra-stop").layout.display is None)
    part(form, "orchestra-stop").click()
    assert f"Stopped watching; run {RUN[:8]} goes on. %orchestra_run {RUN}" in html(form)
    assert part(form, "orchestra-stop").layout.display == "none"
    connected.on("GET", STATE, run_json(outputs="Hi"))
    assert form.run.wait(timeout=20).outputs == "Hi"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({"message": "ok"}, f"The server was asked to end run {RUN[:8]}."),
        (Reply(404, {"detail": "no"}), "cannot"),
    ],
)
def test_a_run_is_cancelled_where_the_server_can(
    reply: Any, said: str, make_form: MakeForm, connected: Scripted
) -> None:
    connected.on("GET", STATE, run_json("running"))
    connected.on("POST", f"{STATE}/cancel", reply)
    form = make_form()
    press(form)
    eventually(lambda: part(form, "orchestra-cancel").layout.display is None)
    part(form, "orchestra-cancel").click()
    eventually(lambda: said in html(form))
    assert (part(form, "orchestra-cancel").layout.display == "none") is (said == "cannot")


def test_reset_brings_back_what_stood_there_first(make_form: MakeForm) -> None:
    form = make_form(prompt="a default", n={"type": "integer"}, marks={"type": "array", "items": {"enum": ["a", "b"]}})
    before = dict(form.values)
    form.set(prompt="else", marks=["b"])
    control(form, "n").value = "x"
    press(form)
    assert 'role="alert"' in html(form)
    part(form, "orchestra-reset").click()
    assert form.values == before == {"prompt": "a default"}
    assert 'role="alert"' not in html(form)


def test_an_input_is_added_by_hand(make_form: MakeForm, connected: Scripted) -> None:
    form = make_form()
    part(form, "orchestra-add").click()
    part(form, "orchestra-new-name").value = "extra"
    part(form, "orchestra-new-kind").value = "integer"
    part(form, "orchestra-add-done").click()
    assert "integer · added by hand" in html(form)
    control(form, "extra").value = "7"
    press(form)
    assert connected.posts[0].json == {"extra": 7}
    part(form, "orchestra-new-name").value = "extra"
    part(form, "orchestra-add-done").click()
    assert "a field &#x27;extra&#x27; already" in html(form)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_kind_of_field_can_be_asked_for(kind: str, make_form: MakeForm) -> None:
    change = {"kind": kind, "choices": ["a", "b"]} if "choice" in kind else kind
    form = make_form({"fields": {"prompt": change, "another": change}})
    assert [form.fields[name].kind for name in ("prompt", "another")] == [kind, kind]
    assert f"{kind} · given in the notebook" in html(form)


def test_what_is_said_of_a_field_is_overridden(make_form: MakeForm, connected: Scripted) -> None:
    said = {"help": "Whom to greet", "default": "Ada", "required": True}
    form = make_form({"fields": {"prompt": said, "n": None}}, prompt={"type": "string"}, n={"type": "integer"})
    assert list(form.fields) == ["prompt"]
    assert "Whom to greet" in html(form)
    press(form)
    assert connected.posts[0].json == {"prompt": "Ada"}


@pytest.mark.parametrize(
    ("change", "said"),
    [("txet", "Did you mean 'text'"), ({"hlep": "x"}, "Did you mean 'help'"), (3, "give a kind of field")],
)
def test_what_no_field_can_be_is_said(change: Any, said: str, make_form: MakeForm) -> None:
    with pytest.raises(OrchestraUsageError, match=said):
        make_form({"fields": {"prompt": change}})


def earlier(**inputs: Any) -> dict[str, Any]:
    return run_json(outputs="Hi", inputs=inputs)[0]


def test_the_last_inputs_are_filled_in_and_taken_back(make_form: MakeForm, connected: Scripted) -> None:
    connected.on("GET", HISTORY, [earlier(prompt="costs $x", n=2), earlier(prompt="older", odd=[1])])
    form = make_form(prompt={"type": "string"}, n={"type": "integer"}).set(prompt="mine")
    part(form, "orchestra-last").click()
    eventually(lambda: "These are the inputs of run" in html(form))
    assert form.values == {"prompt": "costs $$x", "n": 2}  # no wish for a variable
    part(form, "orchestra-earlier").value = 1
    assert form.values == {"prompt": "older", "odd": [1]}
    part(form, "orchestra-earlier").value = -1
    assert form.values["prompt"] == "mine"
    part(form, "orchestra-earlier").value = 0
    press(form)
    assert connected.posts[0].json["prompt"] == "costs $x"


@pytest.mark.parametrize(("reply", "said"), [([], "remembers no run"), (Reply(500, {"detail": "boom"}), "boom")])
def test_without_last_inputs_the_form_says_so(reply: Any, said: str, make_form: MakeForm, connected: Scripted) -> None:
    connected.on("GET", HISTORY, reply)
    form = make_form()
    part(form, "orchestra-last").click()
    eventually(lambda: said in html(form))


def test_the_cell_follows_what_is_typed_and_hides_again(make_form: MakeForm) -> None:
    form = make_form({"out": "mine"}, prompt={"type": "string"}, about={"type": "object"}).set(prompt="Ada: yes")
    button, text = part(form, "orchestra-as-cell"), part(form, "orchestra-cell")
    button.click()
    assert text.value == form.as_cell() == f'%%orchestra_execute {WF} --out mine\nprompt: "Ada: yes"\n'
    control(form, "about").value = '{"a"'
    assert text.value.startswith("# The input 'about' takes an object as JSON")
    assert form.error is None
    control(form, "about").value = '{"a": 1}'
    assert text.value.endswith('about: {"a": 1}\n')
    button.click()
    assert text.layout.display == "none"
    form.set(prompt="x" * 200_000)
    button.click()
    assert "The cell has 200," in part(form, "orchestra-summary").value


def test_where_no_inputs_can_be_learned_they_are_added_by_hand(make_form: MakeForm, connected: Scripted) -> None:
    shell = make_form().shell
    connected.on("GET", "/workflows", [workflow_json(graph={})])
    connected.on("GET", HISTORY, Reply(500, {"detail": "<boom>"}))
    orchestra = Orchestra()
    form = Form(orchestra, orchestra.workflow(WF), shell).add("prompt").set(prompt="Ada")
    assert "The earlier runs cannot be asked for inputs" in html(form)
    assert "&lt;boom&gt;" in html(form)
    press(form)
    assert connected.posts[0].json == {"prompt": "Ada"}


def test_a_choice_comes_before_the_form(cells: Cells, connected: Scripted) -> None:
    connected.on(
        "GET", "/workflows", [workflow_json(), workflow_json(workflow_id="w2", name="b <b>", description="", graph={})]
    )
    chooser = Chooser(Orchestra(), cells.shell, run_id="mine")
    with pytest.raises(OrchestraUsageError, match="No workflow is chosen yet"):
        chooser.submit()
    (choice,) = (each for each in parts(chooser.widget) if "orchestra-choice" in each._dom_classes)
    assert [label for label, _ in choice.options] == ["(choose a workflow)", "b <b>", "Say hi · Greets."]
    choice.value = 1
    chooser.set(prompt="Ada").submit()
    assert chooser.run.id == cells["mine"] == RUN
    assert "Ada" in cells.bundle(chooser)["text/html"]
    with pytest.raises(NotFound):
        chooser.choose("nothing")


def test_an_input_error_says_what_the_input_takes_when_values_are_asked_for(make_form: MakeForm) -> None:
    form = make_form(n={"type": "integer"})
    control(form, "n").value = "x"
    for ask in (lambda: form.values, form.as_cell):
        with pytest.raises(OrchestraInputError, match="takes a whole number"):
            ask()
