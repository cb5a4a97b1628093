"""The magics in real kernels, run as people run notebooks: by nbclient, papermill, nbval and nbconvert."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from scripted import Reply, Scripted

from .workflows import EXECUTE, RUN, STARTED, STATE, STEPS, WF, run_json, workflow_json

Outputs = list[dict[str, Any]]
LOAD = "%load_ext orchestra_magic"
OTHER = "00000000-0000-0000-0000-000000000404"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def far() -> Iterator[Scripted]:
    """One server for the kernels of this module."""
    server = Scripted()
    server.on("GET", "/workflows", [workflow_json()])
    server.on("POST", EXECUTE, STARTED)
    server.on("POST", f"/workflows/{OTHER}/execute", Reply(404, {"detail": "Workflow not found"}))
    server.on("GET", STATE, run_json(outputs="Hi <Ada>"))
    server.on("GET", STEPS, [])
    yield server
    server.close()


@pytest.fixture(scope="module")
def environment(far: Scripted, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a kernel's process gets to see: a home of its own, the server, the key."""
    home = tmp_path_factory.mktemp("kernel")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ORCHESTRA_") and not name.lower().endswith("_proxy")
    }
    return {
        **kept,
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "jupyter"),
        "ORCHESTRA_HOME": str(home / "orchestra"),
        "ORCHESTRA_BASE_URL": far.base_url,
        "ORCHESTRA_API_KEY": "sk-planted-0123456789abcdef",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }


def notebook(*cells: str) -> nbformat.NotebookNode:
    """A notebook of these code cells."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=kernel)


def executed(made: nbformat.NotebookNode, environment: dict[str, str], **options: Any) -> list[Outputs]:
    """Run all cells in a new kernel, and return the outputs of each."""
    NotebookClient(made, timeout=60, kernel_name="python3", **options).execute(env=environment)
    return [cell.outputs for cell in made.cells]


WRONG = {
    "a bad option": (f"%%orchestra_execute {WF} --wiat\nprompt: hi", "OrchestraUsageError"),
    "a bad name": (f"%%orchestra_execute {WF} --run-id run-id\nprompt: hi", "OrchestraUsageError"),
    "no workflow": ("%orchestra_execute", "OrchestraUsageError"),
    "a missing variable": (f"%%orchestra_execute {WF}\nprompt: $nobody", "OrchestraInputError"),
    "a list": (f"%%orchestra_execute {WF}\n- a", "OrchestraInputError"),
    "broken YAML": (f"%%orchestra_execute {WF}\na: [1", "OrchestraInputError"),
    "broken JSON": (f'%%orchestra_execute {WF}\n{{"a": 1,}}', "OrchestraInputError"),
    "an unknown workflow": (f"%orchestra_execute {OTHER}", "NotFound"),
    "an unknown name": ("%orchestra_execute nowhere", "NotFound"),
    "a run without its workflow": ("%orchestra_run nowhere", "NotFound"),
    "a workflow that has no form": ("%orchestra_form nowhere", "NotFound"),
    "no server": (
        f"import os\nos.environ['ORCHESTRA_BASE_URL'] = 'http://127.0.0.1:9'\n%orchestra_execute {WF}",
        "OrchestraConnectionError",
    ),
    "no key for this server": (
        f"%config OrchestraMagics.base_url = 'http://127.0.0.1:10'\n%orchestra_execute {WF}",
        "OrchestraConfigError",
    ),
}


@pytest.fixture(scope="module")
def mistakes(environment: dict[str, str], far: Scripted) -> dict[str, Outputs]:
    """The outputs of a cell for each mistake, run one after the other in one kernel."""
    cells = {name: cell for name, (cell, _) in WRONG.items()}
    outputs = executed(notebook(LOAD, *cells.values()), environment, allow_errors=True)
    return dict(zip(cells, outputs[1:], strict=True))


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_a_real_error_output_and_no_stack(mistake: str, mistakes: dict[str, Outputs]) -> None:
    (output,) = mistakes[mistake]
    assert output["output_type"] == "error"
    assert output["ename"] == WRONG[mistake][1]
    shown = _COLOURS.sub("", "\n".join(output["traceback"]))
    assert shown == f"{output['ename']}: {output['evalue']}"
    assert "Traceback" not in shown
    assert "site-packages" not in shown


def test_no_mistake_started_a_run(mistakes: dict[str, Outputs], far: Scripted) -> None:
    assert [sent.path for sent in far.posts if OTHER not in sent.path] == []


@pytest.fixture(scope="module")
def session(environment: dict[str, str], mistakes: dict[str, Outputs]) -> dict[str, Outputs]:
    """A session in which all goes well: the outputs by cell."""
    cells = {
        "load": LOAD,
        "wait": f"%%orchestra_execute {WF} --wait -o run\nprompt: hi",
        "run_id": "print(run_id)",
        "again": "run",
        "quiet": f"%%orchestra_execute {WF} -q\nprompt: hi",
        "quiet wait": f"%%orchestra_execute {WF} -q -w\nprompt: hi",
        "assigned": f"assigned = %orchestra_execute {WF}",
        "bodiless": f"%%orchestra_execute {WF}",
        "form": "form = %orchestra_form 'Say hi' --run-id form_id\nform",
        "press": "form.set(prompt='Ada').submit()\nform.run.wait(20)\nprint(form_id, form.run.outputs)",
        "unload": "%unload_ext orchestra_magic",
    }
    return dict(zip(cells, executed(notebook(*cells.values()), environment), strict=True))


def test_the_cell_shows_one_card_that_is_complete(session: dict[str, Outputs]) -> None:
    (card,) = session["wait"]
    assert card["output_type"] in {"display_data", "execute_result"}
    assert "✔ completed" in card["data"]["text/plain"]
    assert "Hi <Ada>" in card["data"]["text/plain"]
    assert "Hi &lt;Ada&gt;" in card["data"]["text/html"]
    assert RUN in card["data"]["text/html"]


def test_the_run_shows_itself_again(session: dict[str, Outputs]) -> None:
    (card,) = session["again"]
    assert card["output_type"] == "execute_result"
    assert "Hi &lt;Ada&gt;" in card["data"]["text/html"]


def test_the_run_id_is_there_for_the_next_cell(session: dict[str, Outputs]) -> None:
    assert session["run_id"][0]["text"] == f"{RUN}\n"


def test_quiet_cells_have_no_output(session: dict[str, Outputs]) -> None:
    assert session["quiet"] == session["quiet wait"] == []


def test_a_cell_without_a_body_and_one_that_assigns_start_runs_too(session: dict[str, Outputs]) -> None:
    for name in ("assigned", "bodiless"):
        (card,) = session[name]
        assert RUN[:8] in card["data"]["text/plain"]


def test_the_form_is_a_widget_with_a_text_beside_it(session: dict[str, Outputs]) -> None:
    form, still = session["form"]
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} <= set(form["data"])
    assert RUN[:8] in still["data"]["text/plain"]  # redrawn when the run was over
    assert session["press"][0]["text"] == f"{RUN} Hi <Ada>\n"


def test_loading_and_unloading_say_nothing(session: dict[str, Outputs]) -> None:
    assert session["load"] == session["unload"] == []


def test_run_all_stops_at_an_error(environment: dict[str, str]) -> None:
    made = notebook(LOAD, f"%%orchestra_execute {WF} --wiat\nprompt: hi", "print('went on')")
    with pytest.raises(CellExecutionError, match="OrchestraUsageError"):
        executed(made, environment)
    assert [cell.outputs for cell in made.cells][2] == []


def test_run_all_stops_at_a_run_that_fails(environment: dict[str, str], far: Scripted) -> None:
    far.on("GET", STATE, run_json("failed", error="no such model"))
    made = notebook(LOAD, f"%%orchestra_execute {WF} --wait\nprompt: hi", "print('went on')")
    try:
        with pytest.raises(CellExecutionError, match="RunFailed"):
            executed(made, environment)
    finally:
        far.on("GET", STATE, run_json(outputs="Hi <Ada>"))
    *shown, error = made.cells[1].outputs
    assert error["ename"] == "RunFailed"
    assert ["✘ failed" in card["data"]["text/plain"] for card in shown] == [True]
    assert made.cells[2].outputs == []


GOOD = (LOAD, f"%%orchestra_execute {WF} --wait\nprompt: hi", "print(run_id)")
BAD = (LOAD, f"%%orchestra_execute {WF} --wiat\nprompt: hi", "print('went on')")
SAYS = "There is no option --wiat. Did you mean --wait?"


def run(environment: dict[str, str], *command: str) -> tuple[int, str]:
    """Run a program of this environment; return its exit status and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", *command], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with one notebook in which all is well, and one with a mistake."""
    nbformat.write(notebook(*GOOD), tmp_path / "good.ipynb")
    nbformat.write(notebook(*BAD), tmp_path / "bad.ipynb")
    return tmp_path


def test_papermill_stops_at_an_error_with_status_1(environment: dict[str, str], saved: Path) -> None:
    status, said = run(
        environment, "papermill", str(saved / "bad.ipynb"), str(saved / "out.ipynb"), "--no-progress-bar"
    )
    assert status == 1
    assert SAYS in said
    cells = json.loads((saved / "out.ipynb").read_text())["cells"]
    assert cells[-1]["outputs"] == []


@pytest.mark.parametrize("mode", ["--nbval-lax", pytest.param("--nbval", marks=pytest.mark.slow)])
def test_nbval_fails_at_an_error_and_at_nothing_else(mode: str, environment: dict[str, str], saved: Path) -> None:
    options = ("-p", "no:cacheprovider", "-q", "--rootdir", str(saved), "--nbval-cell-timeout=60")
    if mode == "--nbval":  # compares outputs, and these notebooks have none stored
        (saved / "good.ipynb").unlink()
    status, said = run(environment, "pytest", mode, *options, str(saved))
    assert status == 1
    assert SAYS in said
    assert re.findall(r"^FAILED .*?(\w+\.ipynb::Cell \d+)", said, re.MULTILINE) == ["bad.ipynb::Cell 1"]


def test_nbconvert_stops_at_an_error(environment: dict[str, str], saved: Path) -> None:
    options = ("--to", "notebook", "--execute", "--output", "out.ipynb")
    status, said = run(environment, "nbconvert", *options, str(saved / "bad.ipynb"))
    assert status != 0
    assert SAYS in said
    assert not (saved / "out.ipynb").exists()
