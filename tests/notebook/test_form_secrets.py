"""A secret that is typed into a form is sent, and is nowhere else: no widget, repr, journal, cell, card, error."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pytest
from scripted import Reply, Scripted

from orchestra_magic.notebook.form import Form

from .cells import Cells
from .forms import MakeForm, control, eventually, html, part, parts, press
from .workflows import EXECUTE, STATE, STEPS, WF, run_json

TOKEN = 's3cr3t "quoted" ü'
SECRET = {"type": "string", "format": "password"}


def everywhere(form: Form, cells: Cells) -> str:
    """All that is kept or shown of a form: what a notebook is saved with, and what a person may look at."""
    states = [each.get_state() for each in parts(form.widget) if isinstance(each, widgets.Widget)]
    told = [states, cells.bundle(form), repr(form), repr(form.values), str(form.error), repr(form.error)]
    if form.started is not None:
        told += [cells.bundle(form.started), repr(form.started), cells.bundle(form.started.steps())]
    return json.dumps(told, ensure_ascii=False, default=repr)


def hidden(text: str) -> bool:
    return "s3cr3t" not in text


@pytest.fixture
def echoed(connected: Scripted) -> Scripted:
    """A server that gives back what it got, wherever it can."""
    said = {"status": "completed", "inputs": {"token": TOKEN}, "outputs": {"header": f"Bearer {TOKEN}"}}
    connected.on("GET", STATE, run_json(**said, all_outputs={TOKEN: [TOKEN]}))
    step = {"node_id": "n", "status": "completed", "inputs": {"t": TOKEN}, "outputs": f"'{TOKEN}'", "error": TOKEN}
    connected.on("GET", STEPS, [step])
    connected.on("GET", f"/workflows/{WF}/runs", [run_json(inputs={"token": TOKEN, "prompt": f"with {TOKEN}"})[0]])
    return connected


def test_a_secret_is_sent_and_stays_nowhere(
    make_form: MakeForm, echoed: Scripted, cells: Cells, isolated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    form = make_form(token=SECRET, prompt={"type": "string"})
    assert "stays out of the notebook; the server stores it with the run" in html(form)
    control(form, "token").value = TOKEN
    assert control(form, "token").value == ""  # it has left the widget before anything is saved
    assert hidden(everywhere(form, cells))
    assert "token: $token" in form.as_cell()
    assert hidden(form.as_cell())
    press(form)
    assert echoed.posts[0].json["token"] == TOKEN
    assert "token" not in form.values  # emptied
    form.run.wait(timeout=20)
    eventually(lambda: "is over: completed" in part(form, "orchestra-summary").value)
    assert "Bearer ********" in part(form, "orchestra-result").value
    assert hidden(everywhere(form, cells))
    assert hidden(caplog.text)
    assert hidden(cells.shown())
    for file in isolated.rglob("*"):
        assert not file.is_file() or b"s3cr3t" not in file.read_bytes(), file
    assert form.run.outputs == {"header": f"Bearer {TOKEN}"}  # the program is given what it asks for


def test_last_inputs_and_history_mask_it(make_form: MakeForm, echoed: Scripted, cells: Cells) -> None:
    form = make_form(token=SECRET, prompt={"type": "string"})
    part(form, "orchestra-last").click()
    eventually(lambda: "token is a secret, and is not filled in." in html(form))
    assert "********" in part(form, "orchestra-earlier").options[1][0]
    assert hidden(str(part(form, "orchestra-earlier").options))
    assert hidden(cells.bundle(form.orchestra.history(WF))["text/html"])
    assert "token" not in form.values


@pytest.mark.parametrize("reply", [Reply(400, {"detail": f"bad token {TOKEN}"}), Reply(502, {"detail": TOKEN})])
def test_an_error_that_echoes_it_is_masked(
    reply: Reply, make_form: MakeForm, connected: Scripted, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestra_magic.client.reconcile.PAUSES", (0.0, 0.0, 0.0))
    connected.on("POST", EXECUTE, reply)
    connected.on("GET", f"/workflows/{WF}/runs", [])
    form = make_form(token=SECRET).set(token=TOKEN)
    press(form)
    assert form.error is not None
    assert hidden(everywhere(form, cells))


def test_a_dry_run_masks_it(make_form: MakeForm, cells: Cells) -> None:
    form = make_form({"dry_run": True}, token=SECRET).set(token=TOKEN)
    press(form)
    assert "********" in part(form, "orchestra-result").value
    assert hidden(everywhere(form, cells))


def test_a_variable_may_hold_it(make_form: MakeForm, echoed: Scripted, cells: Cells) -> None:
    cells.shell.user_ns["held"] = TOKEN
    form = make_form(token=SECRET)
    control(form, "token").value = "$held"
    assert "$held is text of 17 characters" in html(form)
    assert form.as_cell().endswith("token: $held\n")
    press(form)
    assert echoed.posts[0].json == {"token": TOKEN}
    form.run.wait(timeout=20)
    assert hidden(everywhere(form, cells))


@pytest.mark.parametrize("typed", ["$nobody", "$$5", "${x}", "$5 and ${no"])
def test_what_only_looks_like_a_variable_is_the_secret_itself(
    typed: str, make_form: MakeForm, connected: Scripted
) -> None:
    form = make_form(token=SECRET)
    control(form, "token").value = typed
    press(form)
    assert connected.posts[0].json == {"token": typed}


def test_a_field_may_be_made_a_secret_by_hand(make_form: MakeForm, echoed: Scripted, cells: Cells) -> None:
    form = make_form({"fields": {"prompt": "secret"}}).add("token", "secret").set(prompt="s3cr3t-2", token=TOKEN)
    press(form)
    assert echoed.posts[0].json == {"prompt": "s3cr3t-2", "token": TOKEN}
    form.run.wait(timeout=20)
    assert hidden(everywhere(form, cells))


def test_reset_forgets_it(make_form: MakeForm, cells: Cells) -> None:
    form = make_form(token=SECRET).set(token=TOKEN)
    form.reset()
    assert form.values == {}
    with pytest.raises(Exception, match="pickle"):
        pickle.dumps(form)


def test_values_show_it_masked(make_form: MakeForm) -> None:
    form = make_form(token=SECRET).set(token=TOKEN)
    said: Any = form.values["token"]
    assert said == TOKEN
    assert repr(form.values) == "{'token': '********'}"
