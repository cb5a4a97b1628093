"""A form where nobody can press a button: a notebook that runs from top to bottom in a real kernel."""

from __future__ import annotations

import json

import nbformat
import pytest
from nbclient import NotebookClient
from scripted import Reply, Scripted

from .workflows import EXECUTE, RUN, WF, workflow_json

CELLS = [
    "%load_ext orchestra_magic",
    f"form = %orchestra_form {WF} --run -o run\nform",
    "print(run_id, run.id == form.run.id, run.wait().outputs)",
]


def executed(*cells: str, fails: bool = False) -> list[str]:
    """Run a notebook of these cells, and return what each of them left in it, as JSON."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(made, timeout=120, kernel_name="python3", allow_errors=fails).execute()
    return [json.dumps(cell.outputs, ensure_ascii=False) for cell in made.cells]


def test_all_cells_in_a_row(connected: Scripted, key: str) -> None:
    workflow = workflow_json(
        inputs={"prompt": {"type": "string", "default": "Ada"}, "t": {"format": "password", "default": "x"}}
    )
    connected.on("GET", "/workflows", [workflow])
    _, shown, printed = executed(*CELLS)
    assert f"{RUN} True Hi Ada" in printed
    assert [sent.json for sent in connected.posts] == [{"prompt": "Ada"}]
    for kind in ("text/html", "text/plain", "application/vnd.jupyter.widget-view+json"):
        assert kind in shown
    assert "Form: Say hi" in shown  # the card that stays
    assert key not in shown


@pytest.mark.parametrize("refused", [False, True])
def test_what_was_not_started_stops_the_notebook_where_the_run_is_asked_for(refused: bool, connected: Scripted) -> None:
    prompt = {"type": "string", "required": True} | ({"default": "Ada"} if refused else {})
    connected.on("GET", "/workflows", [workflow_json(inputs={"prompt": prompt})])
    connected.on("POST", EXECUTE, Reply(401, {"detail": "expired"}))
    _, shown, failed = executed(*CELLS[:2], "form.run", fails=True)
    assert '"output_type": "error"' in failed
    assert ("expired" if refused else "The required input 'prompt' is missing.") in failed
    assert '"output_type": "error"' not in shown
