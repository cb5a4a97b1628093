"""The cell of a form sends what the form sends, byte for byte, whatever stands in the form."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scripted import Scripted

from orchestra_magic import Orchestra, OrchestraError
from orchestra_magic.client.secrecy import Secret
from orchestra_magic.notebook.form import Form

from .cells import Cells
from .workflows import WF, workflow_json

TYPES = ["string", "number", "integer", "boolean", "array", "object", None]
FORMATS = ["", "multiline", "password"]
HARD = ["", " ", "no", "12:30", "0x1", "1e3", ".inf", "~", "null", "- a", "a: b", "a #b", "#", "'", '"', "\\", "%%x", "%x",
        "!ls", "?", "a?", "{{x}}", "{x}", "$", "$5", "$$", "$x", "${x}", "is ${x}", "$no", "\u2028", "\ufeff", "\u202e", "\x85",
        "\x00", "\x1b", "\U0001f600", "a\nb", "a\r\nb", "\t", "---", "...", "&a", "*a", "<<", "|", ">", "@", "`", "=", "%"]  # fmt: skip
TEXTS = st.one_of(st.sampled_from(HARD), st.text(st.characters(codec="utf-8"), max_size=20))
VALUES = st.recursive(
    st.one_of(
        TEXTS, st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.none()
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
INPUTS = st.dictionaries(TEXTS.filter(bool), VALUES, max_size=4)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    INPUTS, st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from(FORMATS)), min_size=4, max_size=4), st.booleans()
)
@example({"prompt": "$x", "a: b": {"${x}": "$$5"}, "true": "no", "?": [1.0, 1, True, "1"]}, [("object", "")] * 4, False)
@example({"token": "$5", "prompt": "%%orchestra_execute x"}, [("string", "password"), ("string", "")] * 2, True)
def test_the_cell_of_a_form_sends_the_same_bytes(
    cells: Cells, connected: Scripted, inputs: dict[str, Any], kinds: list[tuple[str | None, str]], raw: bool
) -> None:
    declared = {
        name: {"type": kind, "format": form, "required": False}
        for name, (kind, form) in zip(inputs, kinds, strict=False)
    }
    connected.on("GET", "/workflows", [workflow_json(inputs=declared)])
    connected.on("GET", f"/workflows/{WF}/runs", [])
    cells.shell.user_ns["x"] = {"rows": [1, 2.5, None, "ü"]}
    orchestra = Orchestra()
    form = Form(orchestra, orchestra.workflow(WF), cells.shell, raw=raw)
    for name, value in inputs.items():
        try:
            form.set(**{name: value})
        except OrchestraError:  # the field of this type cannot hold it
            form.set(**{name: None})
    try:
        cell, said = form.as_cell(), dict(form.values)
    except OrchestraError:
        cell, said = "", {}
    connected.said.clear()
    form.submit()
    assert form.settled(timeout=20)
    if not connected.posts:  # what cannot be sent is refused by both
        assert form.error is not None
        if cell:
            cells.fail(cell)
            assert not connected.posts
        return
    secrets = [name for name, value in said.items() if isinstance(value, Secret)]
    variables = [each.split()[1] for each in cell.splitlines() if each.startswith("# ") and " is a secret, so" in each]
    cells.shell.user_ns.update({var: str(said[name]) for var, name in zip(variables, secrets, strict=True)})
    cells.run(cell)
    by_form, by_cell = connected.posts
    assert by_cell.body == by_form.body
    assert by_cell.path == by_form.path
