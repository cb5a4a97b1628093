"""Whatever is wrong with a cell: one error of ours, short, that says what to do, and nothing was sent."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from scripted import Reply, Scripted

from orchestra_magic import (
    NotFound,
    OrchestraAuthError,
    OrchestraConfigError,
    OrchestraConnectionError,
    OrchestraError,
    OrchestraInputError,
    OrchestraUsageError,
)

from .cells import Cells
from .workflows import EXECUTE, WF

LINES = {
    "no workflow": ("", "WORKFLOW is missing"),
    "a word too many": (f"{WF} hello", "'hello' is one word too many. A name with blanks goes in quotes."),
    "a misspelt option": (f"{WF} --wiat", "no option --wiat. Did you mean --wait?"),
    "a misspelt option with =": (f"{WF} --run_id=x", "no option --run_id. Did you mean --run-id?"),
    "inputs on the line": (
        f"{WF} name=Ada",
        "Inputs such as 'name=Ada' stand in the cell below the %% line, as `name: value`.",
    ),
    "an unknown option": (f"{WF} -z", "There is no option -z."),
    "half an option": (f"{WF} --time 3", "There is no option --time. Did you mean --timeout?"),
    "an option without its value": (f"{WF} --run-id", "--run-id: expected one argument"),
    "a word for a time": (f"{WF} --timeout soon", "--timeout: 'soon' is no number of seconds"),
    "a time before now": (f"{WF} --wait --timeout -3", "--timeout: '-3' is no number of seconds"),
    "no time": (f"{WF} --wait --timeout nan", "--timeout: 'nan' is no number of seconds"),
    "an unknown format": (f"{WF} --format toml", "'toml'"),
    "an open quote": ("'Say hi", "A quote is not closed"),
    "a name with a dash": (f"{WF} --run-id run-id", "Choose another such as run_id"),
    "a name with a blank": (f"{WF} --outputs 'my var'", "Choose another such as my_var"),
    "a keyword": (f"{WF} -o class", "'class' is a keyword of Python"),
    "a number for a name": (f"{WF} -o 3", "'3' is no name"),
    "an empty name": (f"{WF} --run-id ''", "no name that a variable can have"),
    "one name for two": (f"{WF} -o run_id", "--run-id and --out both bind run_id"),
    "an unknown variable": ("$wf", "there is no variable 'wf' in this notebook"),
    "an unknown variable in braces": ("{wf}", "there is no variable 'wf' in this notebook"),
    "a file and a body": (f"{WF} --file in.yaml", "in the cell and in --file"),
}


@pytest.mark.parametrize("case", LINES)
def test_a_bad_line_is_one_line_and_nothing_is_sent(case: str, cells: Cells, connected: Scripted) -> None:
    line, says = LINES[case]
    error = cells.fail(f"%%orchestra_execute {line}\nprompt: hi")
    assert type(error) is OrchestraUsageError
    assert says in str(error)
    assert "othing was sent" in str(error)
    said = cells.shown().strip()
    assert said == f"OrchestraUsageError: {error}"
    assert "\n" not in said
    assert not connected.said
    assert "run_id" not in cells


BODIES = {
    "a list": ("- a\n- b", 2, 1, "write `name:` on a line above it"),
    "a text": ("hello", 2, 1, "write `name: hello`"),
    "a number": ("42", 2, 1, "inputs have names"),
    "a JSON list": ('["a"]', 2, 1, "inputs have names"),
    "an open bracket": ("prompt: hi\na: [1, 2", 3, 4, "add ]"),
    "an open bracket after blank lines": ("\n\na: [1", 4, 4, "add ]"),
    "a key twice": ("a: 1\nb: 2\na: 3", 4, 1, "first on line 2"),
    "a tab": ("a:\n\tb: 1", 3, 1, "A tab cannot indent YAML"),
    "a template": ("prompt: {{ x }}", 2, 9, 'write "{{ x }}", or $x'),
    "a second document": ("a: 1\n---\nb: 2", 3, 1, "document"),
    "a tag": ("a: !!python/object:os.system x", 2, 4, "tag"),
    "JSON: a comma too many": ('{"a": 1,}', 2, 8, "remove it"),
    "JSON: a value missing": ('{"a": 1,\n "b": }', 3, 7, "The value after the colon is missing"),
    "JSON: NaN": ('{"a": 1,\n "b": [NaN]}', 3, 8, "NaN"),
    "JSON: a key twice": ('{"a": 1,\n "a": 2}', 3, 2, "line 2"),
    "JSON: an end too many": ('{"a": 1}\n}', 3, 1, ""),
    "JSON: a single quote": ("{\"a\": 'x'}", 2, 7, ""),
    "JSON: never closed": ('{"a": {"b": 1}', 2, None, ""),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_bad_body_points_at_its_line_as_the_cell_shows_it(case: str, cells: Cells, connected: Scripted) -> None:
    body, line, column, says = BODIES[case]
    cell = f"%%orchestra_execute {WF}\n{body}"
    error = cells.fail(cell)
    assert isinstance(error, OrchestraInputError)
    assert type(error).__name__ == "OrchestraInputError"
    assert error.line == line
    assert column is None or error.column == column
    assert says in str(error)
    first, excerpt, caret = cells.shown().rstrip("\n").split("\n")
    assert first == f"OrchestraInputError: line {error.line}, column {error.column}: {error.reason}"
    faulty = cell.split("\n")[line - 1]
    gutter = f"  {line:>4} | "
    assert excerpt == gutter + faulty  # line 1 of the cell is the magic's
    assert caret.replace("\t", " ") == " " * (len(gutter) + error.column - 1) + "^"
    assert not connected.said
    assert "run_id" not in cells


@pytest.mark.parametrize("cell", [f"%%orchestra_execute {WF}\na: 1\na: 2", f"\n\n%%orchestra_execute {WF}\na: 1\na: 2"])
def test_lines_are_counted_from_the_magic_down(cell: str, cells: Cells) -> None:
    assert cells.fail(cell).line == 3


def test_all_missing_variables_are_named_with_their_places(cells: Cells, connected: Scripted) -> None:
    cells.shell.user_ns["price"] = 3
    error = cells.fail(f"%%orchestra_execute {WF}\na: $prize\nb:\n  - c: 'for ${{nowhere.x}}'")
    said = cells.shown()
    assert isinstance(error, OrchestraInputError)
    assert said.startswith("OrchestraInputError: ")
    assert "`$prize` (in `a`)" in said
    assert "did you mean `price`?" in said
    assert "nowhere" in said
    assert "`b[0].c`" in said
    assert "Traceback" not in said
    assert not connected.said


@pytest.mark.parametrize("made", ["object()", "{1, 2}", "float('nan')", "b'bytes'"])
def test_a_value_that_json_does_not_have_is_refused_by_its_place(made: str, cells: Cells, connected: Scripted) -> None:
    cells.run(f"thing = {made}")
    error = cells.fail(f"%%orchestra_execute {WF}\na:\n  b: $thing")
    assert isinstance(error, OrchestraInputError)
    assert "a.b" in str(error)
    assert "Traceback" not in cells.shown()
    assert not connected.said


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"- a"])
def test_a_bad_file_is_said(content: bytes | None, cells: Cells, connected: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "in.yaml"
    if content is not None:
        path.write_bytes(content)
    error = cells.fail(f"%orchestra_execute {WF} --file '{path}'")
    assert isinstance(error, OrchestraUsageError | OrchestraInputError)
    assert cells.shown().startswith(f"{type(error).__name__}: ")
    assert not connected.said


def test_no_key(cells: Cells, connected: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORCHESTRA_API_KEY")
    error = cells.fail(f"%%orchestra_execute {WF}\nprompt: hi")
    assert isinstance(error, OrchestraConfigError)
    said = cells.shown().strip()
    assert "\n" not in said
    for way in ("ORCHESTRA_API_KEY", "keyring set", "%orchestra_connect local"):
        assert way in said
    assert not connected.said


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key(status: int, cells: Cells, connected: Scripted, key: str) -> None:
    connected.on("POST", EXECUTE, Reply(status, {"detail": f"Invalid API key: {key}"}))
    error = cells.fail(f"%%orchestra_execute {WF}\nprompt: hi")
    assert isinstance(error, OrchestraAuthError)
    assert error.status == status
    said = cells.shown().strip()
    assert "Invalid API key: ********. Check that the key is right" in said
    assert "\n" not in said
    assert key not in said
    assert len(connected.posts) == 1
    assert "run_id" not in cells


def test_an_unknown_workflow(cells: Cells, connected: Scripted) -> None:
    connected.on("POST", EXECUTE, Reply(404, {"detail": "Workflow not found"}))
    error = cells.fail(f"%%orchestra_execute {WF}\nprompt: hi")
    assert isinstance(error, NotFound)
    said = cells.shown().strip()
    assert WF in said
    assert "Workflow not found. `%orchestra_workflows` lists the workflows" in said
    assert "\n" not in said


def test_an_unknown_name_says_the_near_ones(cells: Cells, connected: Scripted) -> None:
    error = cells.fail("%%orchestra_execute say-hi\nprompt: hi")
    assert isinstance(error, NotFound)
    assert "Did you mean Say hi?" in cells.shown()
    assert not connected.posts


def test_a_name_that_two_workflows_have_lists_their_ids(cells: Cells, connected: Scripted) -> None:
    ids = ["a" * 8, "b" * 8]
    connected.on("GET", "/workflows", [{"workflow_id": each, "name": "Say hi"} for each in ids])
    error = cells.fail("%%orchestra_execute 'Say hi'\nprompt: hi")
    assert all(each in str(error) for each in ids)
    assert not connected.posts


def test_a_server_that_is_down(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("ORCHESTRA_BASE_URL", f"http://127.0.0.1:{port}/api/v1/workflow")
    error = cells.fail(f"%%orchestra_execute {WF}\nprompt: hi")
    assert isinstance(error, OrchestraConnectionError)
    said = cells.shown().strip()
    assert "refused the connection" in said
    assert "%orchestra_connect local" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "url", ["nowhere", "ftp://127.0.0.1/x", "http://example.com/api", "https://me:secret@example.com/"]
)
def test_an_address_that_cannot_be_used(url: str, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_BASE_URL", url)
    error = cells.fail(f"%%orchestra_execute {WF}\nprompt: hi")
    assert isinstance(error, OrchestraConfigError)
    assert "secret" not in cells.shown()


COMPANIONS = ["orchestra_workflow nope", "orchestra_diagram nope", "orchestra_history nope", "orchestra_run", "orchestra_steps",
              "orchestra_cancel", "orchestra_run $nope", "orchestra_workflows now", "orchestra_history x --limit many",
              "orchestra_connect ftp://x", "orchestra_form", "orchestra_form 'Say hi'", "orchestra_runs all"]  # fmt: skip


@pytest.mark.parametrize("line", COMPANIONS)
def test_every_magic_fails_in_one_line(line: str, cells: Cells, connected: Scripted) -> None:
    error = cells.fail(f"%{line}")
    assert isinstance(error, OrchestraError)
    assert cells.shown().strip() == f"{type(error).__name__}: {error}"
    assert "\n" not in str(error)
    assert not connected.posts


def test_the_whole_stack_is_there_for_who_asks(cells: Cells) -> None:
    cells.run("%config OrchestraMagics.verbose_errors = True")
    cells.fail(f"%%orchestra_execute {WF} --wiat\nprompt: hi")
    said = cells.shown()
    assert "Traceback (most recent call last)" in said
    assert (
        said.rstrip()
        .splitlines()[-1]
        .startswith("orchestra_magic.errors.OrchestraUsageError: There is no option --wiat.")
    )


def test_no_secret_stands_in_a_long_stack(cells: Cells, connected: Scripted, key: str) -> None:
    connected.on("POST", EXECUTE, Reply(401, {"detail": f"{key} is not known"}))
    cells.run("%config OrchestraMagics.verbose_errors = True")
    error = cells.fail(f"%%orchestra_execute {WF}\nprompt: hi")
    assert key not in cells.shown()
    assert key not in repr(vars(error))
    assert os.environ["ORCHESTRA_API_KEY"] == key


@pytest.mark.parametrize("verbose", [False, True])
def test_what_a_server_says_steers_no_terminal(cells: Cells, connected: Scripted, verbose: bool) -> None:
    connected.on("POST", EXECUTE, Reply(status=400, data={"detail": "no\x1b[2J\u202e"}))
    error = cells.fail(f"%%orchestra_execute {WF}")
    assert isinstance(error, OrchestraError)
    OrchestraError.verbose = verbose
    try:
        shown = "\n".join(error._render_traceback_())
    finally:
        OrchestraError.verbose = False
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "no" in shown
