"""What a field takes beyond what is typed on a line: variables, files, texts that would do harm."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scripted import Scripted

from orchestra_magic import Orchestra, OrchestraInputError
from orchestra_magic.notebook.fields import files
from orchestra_magic.notebook.form import Form

from .cells import Cells
from .forms import MakeForm, control, eventually, html, part, parts, press
from .workflows import STATE, STEPS, WF, run_json, workflow_json

FILE = {"type": "string", "format": "file"}


def upload(form: Form, name: str, data: bytes) -> None:
    """Give the form a file as a browser does."""
    file = {"name": name, "type": "", "size": len(data), "content": memoryview(data), "last_modified": 0}
    form.fields["paper"].control.upload.set_state({"value": [file]})


class Odd:
    """Fails at being looked at."""

    @property
    def shape(self) -> Any:
        raise RuntimeError("planted")


SEEN = [
    (pd.DataFrame({"kind": ["a", "b"], "n": [1, 2]}), "a DataFrame: 2 rows, 2 columns (kind, n); first row: a, 1"),
    (pd.DataFrame({n: [] for n in range(9)}), "a DataFrame: 0 rows, 9 columns (0, 1, 2, 3, 4, 5, …)"),
    ([1, 2, 3], "a list of 3 items: 1, …"),
    ({"a": 1}, "a dict with 1 key: a"),
    ("Ada <b>", "text: Ada &lt;b&gt;"),
    (7, "int: 7"),
    (Odd(), "is of type Odd"),
]


@pytest.mark.parametrize(("value", "said"), SEEN)
def test_a_variable_is_shown_with_its_type_and_how_it_begins(
    value: Any, said: str, make_form: MakeForm, cells: Cells
) -> None:
    cells.shell.user_ns["thing"] = value
    form = make_form(wish={"type": "array"})
    control(form, "wish").value = "$thing"
    assert said in html(form)
    assert 'role="alert"' not in html(form)


def test_a_table_is_sent_as_rows(make_form: MakeForm, connected: Scripted, cells: Cells) -> None:
    cells.shell.user_ns["table"] = pd.DataFrame({"kind": ["a", None], "n": [1, 2.5]})
    press(make_form(rows={"type": "array"}).set(rows="$table"))
    assert connected.posts[0].json == {"rows": [{"kind": "a", "n": 1.0}, {"kind": None, "n": 2.5}]}


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("uploaded", [False, True])
def test_a_file_is_sent_as_text_or_as_a_data_address(
    binary: bool, uploaded: bool, make_form: MakeForm, connected: Scripted, tmp_path: Path
) -> None:
    data = bytes([0, 255]) if binary else b"costs $x and ${y}"
    path = tmp_path / ("a.png" if binary else "a.txt")
    path.write_bytes(data)
    form = make_form(paper=FILE)
    if uploaded:
        upload(form, path.name, data)
        assert control(form, "paper").value == f"{path.name} (uploaded, {len(data)} bytes)"
    else:
        control(form, "paper").value = str(path)
    press(form)
    coded = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    assert connected.posts[0].json == {"paper": coded if binary else data.decode()}


def test_a_file_that_cannot_be_sent_is_a_fault(
    make_form: MakeForm, connected: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = make_form(paper=FILE)
    (tmp_path / "large").write_bytes(b"x" * (files.MOST + 1))
    for path, said in (
        (tmp_path / "none", "there is no such file"),
        (tmp_path / "large", "5 MB at most"),
        (tmp_path, ""),
    ):
        control(form, "paper").value = str(path)
        press(form)
        assert isinstance(form.error, OrchestraInputError)
        assert said in str(form.error)
    upload(form, "large", b"x" * (files.MOST + 1))
    assert "5 MB at most" in html(form)
    monkeypatch.setattr(files, "encoded", lambda *_: 1 / 0)
    upload(form, "small", b"x")
    assert "The upload failed: ZeroDivisionError" in html(form)
    assert not connected.posts


ODD = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "long": "x" * 100_000,
    "right to left": "\u202eevil\u202c \u05e9\u05dc\u05d5\u05dd",
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea",
    "formula": "$x$ \\(y\\) \\[z\\]",
    "control": "a\x1b[2Jb\x00c",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_whatever_a_name_a_description_or_an_output_is_it_stands_as_text(
    text: str, cells: Cells, connected: Scripted
) -> None:
    inputs = {text: {"type": "string", "description": text, "default": text},
              "c": {"enum": [text], "description": text, "default": text},
              "m": {"type": "array", "items": {"enum": [text, "b"]}, "default": [text]}}  # fmt: skip
    connected.on("GET", "/workflows", [workflow_json(name=text, description=text, inputs=inputs)])
    connected.on("GET", STATE, run_json(outputs={text: [text]}, inputs={text: text}))
    connected.on("GET", STEPS, [{"node_id": text, "status": "completed", "outputs": text}])
    orchestra = Orchestra()
    form = Form(orchestra, orchestra.workflow(WF), cells.shell)
    press(form)
    assert connected.posts[0].json == {text: text, "c": text, "m": [text]}
    eventually(lambda: "is over" in part(form, "orchestra-summary").value)
    descriptions = [each for each in parts(form.widget) if hasattr(each, "description")]
    shown = [
        html(form),
        cells.bundle(form)["text/html"],
        *(each.description for each in descriptions if getattr(each, "description_allow_html", False)),
    ]
    for each in shown:
        assert not {"\u202e", "\x1b", "\x00"} & set(each)
        assert "<script" not in each
        assert "<img src=x" not in each
    assert sum(map(len, shown)) < 1_000_000
    assert max(len(each.description) for each in descriptions) < 500
    states = [each.get_state() for each in parts(form.widget)]
    assert sum(len(repr(state)) for state in states) < 1_500_000
