"""``%%orchestra_execute`` in a real shell: what it sends, what it binds, what it shows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from scripted import Reply, Scripted

from orchestra_magic import OrchestraError, Run, RunFailed, RunTimeout
from orchestra_magic.client import reconcile

from .cells import Cells
from .workflows import EXECUTE, RUN, STATE, WF, run_json, workflow_json

BODIES = {
    "yaml": ("prompt: hello\nn: 3\nsizes: [1, 2.5]\nquiet: no\nnothing:\n", {"quiet": "no", "nothing": None}),
    "json": (
        '{"prompt": "hello", "n": 3, "sizes": [1, 2.5], "deep": {"a": [null, true]}}',
        {"deep": {"a": [None, True]}},
    ),
    "flow": ("{prompt: hello, n: 3, sizes: [1, 2.5]}", {}),
    "blank lines before": ("\n\n  \nprompt: hello\nn: 3\nsizes: [1, 2.5]", {}),
    "a comment": ("# what to say\nprompt: hello\nn: 3\nsizes: [1, 2.5]", {}),
}


@pytest.mark.parametrize("form", BODIES)
def test_a_body_is_sent_as_exactly_the_flat_object_that_it_says(
    form: str, cells: Cells, connected: Scripted, key: str
) -> None:
    body, more = BODIES[form]
    cells.run(f"%%orchestra_execute {WF}\n{body}")
    (sent,) = connected.posts
    assert sent.path == EXECUTE
    assert sent.json == {"prompt": "hello", "n": 3, "sizes": [1, 2.5], **more}
    assert sent.headers["Authorization"] == f"Bearer {key}"
    assert sent.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("cell", ["%orchestra_execute {}", "%%orchestra_execute {}", "%%orchestra_execute {}\n",
                                  "%%orchestra_execute {}\n\n\n", "\n\n%%orchestra_execute {}", "\n%%orchestra_execute {}\n \n",
                                  "%%orchestra_execute {}\n# no inputs", "run = %orchestra_execute {}"])  # fmt: skip
def test_without_a_body_the_inputs_are_empty(cell: str, cells: Cells, connected: Scripted) -> None:
    cells.run(cell.format(WF))
    (sent,) = connected.posts
    assert sent.body == b"{}"
    assert cells["run_id"] == RUN


def test_the_run_id_is_bound_at_once_as_text(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("running"))
    before = time.monotonic()
    cells.run(f"%%orchestra_execute {WF}\nprompt: hi")
    assert time.monotonic() - before < 5
    assert type(cells["run_id"]) is str
    assert cells["run_id"] == RUN
    assert cells.run("run_id.upper()") == RUN.upper()  # as a cell sees it


def test_nothing_that_the_shell_had_is_overwritten_by_the_way(cells: Cells) -> None:
    before = set(cells.shell.user_ns)
    cells.run(f"%%orchestra_execute {WF}")
    gained = {name for name in cells.shell.user_ns if not name.startswith("_")} - before
    assert gained == {"run_id"}


def test_names_are_chosen_by_options(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json(outputs={"n": 3, "text": "3"}))
    cells.run(f"%%orchestra_execute {WF} --run-id my_id -o my_run --outputs found\nprompt: hi")
    assert cells["my_id"] == RUN
    assert isinstance(cells["my_run"], Run)
    assert cells["found"] == {"n": 3, "text": "3"}
    assert "run_id" not in cells


def test_options_do_not_stick(cells: Cells) -> None:
    cells.run(f"%%orchestra_execute {WF} --run-id first -o run -q -w")
    cells.shown()
    cells.run(f"%%orchestra_execute {WF}")
    assert cells["run_id"] == RUN
    assert "completed" in cells.shown()


def test_waiting_ends_with_the_run(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("queued"), run_json("running"), run_json(outputs="Hi Ada"))
    run = cells.run(f"%%orchestra_execute {WF} --wait\nprompt: hi")
    assert run.latest.finished
    assert "Hi Ada" in cells.shown()


def test_without_waiting_the_cell_is_over_before_the_run(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("running"))
    run = cells.run(f"%%orchestra_execute {WF}\nprompt: hi")
    assert not run.latest.finished
    assert "running" in cells.shown()


def test_names_stay_bound_when_the_run_fails(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("failed", error="node hello: no such model"))
    error = cells.fail(f"%%orchestra_execute {WF} -w -o run\nprompt: hi")
    assert isinstance(error, RunFailed)
    assert error.run is cells["run"]
    assert cells["run_id"] == RUN
    first, *progress = cells.shown().splitlines()
    assert first.startswith("RunFailed: ")
    assert "node hello: no such model" in first
    assert all(RUN[:8] in line for line in progress)  # a terminal says how the run goes; there is no stack


def test_names_stay_bound_when_the_wait_takes_too_long(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("running"))
    error = cells.fail(f"%%orchestra_execute {WF} -w --timeout 0.3 -o run --outputs found\nprompt: hi")
    assert isinstance(error, RunTimeout)
    assert cells["run_id"] == cells["run"].id == RUN
    assert "found" not in cells
    assert f"%orchestra_run {RUN} --workflow {WF}" in cells.shown()  # how to come back


def test_a_run_that_failed_is_no_error_of_a_cell_that_does_not_wait(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json("failed", error="no such model"))
    cells.run(f"%%orchestra_execute {WF}\nprompt: hi")
    assert "no such model" in cells.shown()


@pytest.mark.parametrize("options", ["-q", "--quiet --wait", "-q --outputs found"])
def test_quiet_shows_nothing_of_the_run(options: str, cells: Cells) -> None:
    cells.shown()
    cells.run(f"%%orchestra_execute {WF} {options}\nprompt: hi")
    assert cells.shown().strip() in {"", "Out[0]:"}  # IPython's own prompt, in a terminal
    assert cells["run_id"] == RUN


def test_quiet_hides_the_run_once(cells: Cells) -> None:
    cells.run(f"%%orchestra_execute {WF} -q -o run\nprompt: hi")
    cells.shown()
    cells.run("run")
    assert "completed" in cells.shown()


def test_the_value_of_the_cell_is_the_run_as_text_and_as_html(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", STATE, run_json(outputs="<b>Hi</b> & bye"))
    run = cells.run(f"%%orchestra_execute {WF}\nprompt: hi")
    assert isinstance(run, Run)
    bundle = cells.bundle(run)
    assert {"text/plain", "text/html"} <= set(bundle)
    assert "completed" in bundle["text/plain"]
    assert "<b>Hi</b> & bye" in bundle["text/plain"]
    assert "&lt;b&gt;Hi&lt;/b&gt; &amp; bye" in bundle["text/html"]
    assert RUN in bundle["text/html"]


def test_the_line_magic_gives_its_run_to_a_variable(cells: Cells) -> None:
    cells.run(f"run = %orchestra_execute {WF}")
    assert isinstance(cells["run"], Run)
    assert cells["run"].id == cells["run_id"] == RUN


def test_a_workflow_goes_by_its_name_or_by_a_variable(cells: Cells, connected: Scripted) -> None:
    cells.shell.user_ns["wf"] = WF
    for name in ("'Say hi'", '"Say hi"', "$wf", "{wf}"):
        cells.run(f"%%orchestra_execute {name}\nprompt: {name!r}")
    assert [sent.path for sent in connected.posts] == [EXECUTE] * 4


def test_an_id_needs_no_look_at_the_list(cells: Cells, connected: Scripted) -> None:
    cells.run(f"%%orchestra_execute {WF} -q\nprompt: hi")
    assert [sent.path for sent in connected.said] == [EXECUTE]


def test_variables_keep_their_types(cells: Cells, connected: Scripted) -> None:
    cells.shell.user_ns |= {"rows": [{"a": 1}, {"a": None}], "who": "Ada", "n": 3}
    cells.run(
        f"%%orchestra_execute {WF}\nrows: $rows\nn: $n\ntext: Hello ${{who}}, ${{n}} times for $$5\nlast: ${{rows[1]}}"
    )
    (sent,) = connected.posts
    assert sent.json == {
        "rows": [{"a": 1}, {"a": None}],
        "n": 3,
        "text": "Hello Ada, 3 times for $5",
        "last": {"a": None},
    }


def test_raw_leaves_dollars_alone(cells: Cells, connected: Scripted) -> None:
    cells.run(f"%%orchestra_execute {WF} --raw\nprice: $five\ntext: ${{six}}")
    assert connected.posts[0].json == {"price": "$five", "text": "${six}"}


def test_ipython_does_not_expand_the_line_or_the_body(cells: Cells, connected: Scripted) -> None:
    cells.shell.user_ns["name"] = "Ada"
    cells.run(f"%%orchestra_execute {WF}\nprompt: 'Hi {{name}} and {{{{name}}}}'")
    assert connected.posts[0].json == {"prompt": "Hi {name} and {{name}}"}


@pytest.mark.parametrize(("name", "text"), [("in.yaml", "prompt: hi\n"), ("in.json", '{"prompt": "hi"}'), ("in.txt", '{"prompt": "hi"}')])  # fmt: skip
def test_the_body_may_stand_in_a_file(name: str, text: str, cells: Cells, connected: Scripted, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    cells.run(f"%orchestra_execute {WF} --file '{tmp_path / name}'")
    assert connected.posts[0].json == {"prompt": "hi"}


def test_any_json_object_arrives_as_it_was(cells: Cells, connected: Scripted) -> None:
    said: dict[str, Any] = {
        "big": 2**80, "small": -0.0, "exact": 0.1, "far": 1.7976931348623157e308, "tiny": 5e-324,
        "text": '\U0001f600 \u2028 \x00 \\ " \t é é', "": None, "deep": [[[{"a": []}]]], "ünï": {"$": "$$"},
    }  # fmt: skip
    cells.run(f"%%orchestra_execute {WF} --raw\n{json.dumps(said)}")
    assert json.loads(connected.posts[0].body) == said
    assert str(connected.posts[0].json["small"]) == "-0.0"


def test_a_missing_or_misspelt_input_is_a_warning(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", "/workflows", [workflow_json(inputs={"prompt": {"type": "string", "required": True}})])
    cells.run("%orchestra_workflows")
    cells.shown()
    cells.run(f"%%orchestra_execute {WF}\npromt: hi")
    said = cells.shown()
    assert "Did you mean 'prompt'?" in said
    assert "'prompt' is missing" in said
    assert connected.posts[0].json == {"promt": "hi"}


def test_strict_makes_it_an_error(cells: Cells, connected: Scripted) -> None:
    connected.on("GET", "/workflows", [workflow_json(inputs={"prompt": {"type": "string", "required": True}})])
    error = cells.fail(f"%%orchestra_execute {WF} --strict\npromt: hi")
    assert "Did you mean 'prompt'?" in str(error)
    assert not connected.posts


def test_hiding_a_builtin_is_said(cells: Cells) -> None:
    cells.run(f"%%orchestra_execute {WF} --run-id id\nprompt: hi")
    assert "id" in cells.shown().split("Notice: ")[1]
    assert cells["id"] == RUN


def test_a_lost_answer_is_never_sent_again(cells: Cells, connected: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "PAUSES", (0.0,))
    connected.on("POST", EXECUTE, Reply(502, {"detail": "bad gateway"}))
    connected.on("GET", f"/workflows/{WF}/runs", [])
    error = cells.fail(f"%%orchestra_execute {WF}\nprompt: hi")
    assert isinstance(error, OrchestraError)
    assert len(connected.posts) == 1
    assert "run_id" not in cells
