"""The magic and the form as people meet them: in JupyterLab and in Notebook 7."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from local.embedded import LocalServer
from playwright.sync_api import Locator, expect

from .conftest import Gated, OpenCells
from .jupyter_driver import OpenNotebook

Pictures = Callable[[OpenNotebook, str], None]
LOAD = "%load_ext orchestra_magic"
ATTACK = "<img src=x onerror='window.attacks = (window.attacks || 0) + 1'><script>window.attacks = 100</script>"


@pytest.fixture(scope="session")
def hostile(orchestra_server: LocalServer) -> str:
    """A workflow whose every text, its output and its error would run a script if it were taken for HTML."""
    graph: dict[str, Any] = {
        "description": ATTACK,
        "input_data": {
            "text": {"type": "string", "description": ATTACK, "default": ATTACK},
            "choice": {"type": "string", "enum": [ATTACK, "other"], "default": ATTACK},
        },
        "nodes": {"echo": {"type": "code", "metadata": {"description": ATTACK, "code": "[{{text}}, {{choice}}]"}}},
        "edges": [["START", "echo"], ["echo", "END"]],
        "selectedOutput": "echo",
    }
    return orchestra_server.upload(graph, name=f"hostile {ATTACK}")


@pytest.mark.parametrize("open_cells", ["lab", "notebook"], indirect=True)
def test_a_cell_shows_its_run_and_keeps_it_current(open_cells: OpenCells, gated: Gated, pictures: Pictures) -> None:
    gate = uuid.uuid4().hex
    notebook = open_cells(
        LOAD,
        "%%orchestra_execute hello --wait\nname: Ada <b>Lovelace</b>",
        "print(run_id, type(run_id).__name__)",
        f"%%orchestra_execute gated -o run\ngate: {gate}",
        "print(run.wait().outputs)",
        "%%orchestra_execute hello\nname: [Ada",
        "print('went on')",
    )
    notebook.run(0)
    notebook.run(1)
    card = notebook.output(1)
    expect(card).to_contain_text("completed")
    expect(card).to_contain_text("Ada <b>Lovelace</b>")
    notebook.run(2)
    run_id, kind = notebook.text(2).split()
    assert kind == "str"
    expect(card).to_contain_text(run_id)
    notebook.run(3)  # over at once, while the run goes on
    expect(notebook.output(3)).to_contain_text("running")
    gated.open(gate)
    expect(notebook.output(3)).to_contain_text("completed")
    expect(notebook.output(3)).to_contain_text("Lift-off")
    expect(notebook.output(3).locator(".jp-OutputArea-child")).to_have_count(1)  # one card, redrawn in place
    notebook.run(4)
    assert "Lift-off" in notebook.text(4)
    pictures(notebook, "cards")

    # An error is one line, and stops Run All.
    notebook.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 5; }")
    notebook.command("notebook:run-all-below")
    expect(notebook.output(5)).to_contain_text("OrchestraInputError: line 2, column 7")
    expect(notebook.output(5)).not_to_contain_text("Traceback")
    pictures(notebook, "error")
    assert notebook.state(6) == "never"


def test_the_form_by_keyboard(open_cells: OpenCells, pictures: Pictures) -> None:
    notebook = open_cells(
        LOAD,
        "form = %orchestra_form group-summary\nform",
        "print(run_id == form.run.id, form.run.wait().status)",
        "rows = [{'kind': 'b', 'n': 2}, {'kind': 'a', 'n': 1}, {'kind': 'b', 'n': 5}]",
    )
    page = notebook.page
    notebook.run(0)
    notebook.run(3)
    notebook.run(1)
    form = page.locator(".orchestra-form")
    pictures(notebook, "form-empty-light")
    field(form, "table").click()
    write(notebook, "$rows", "kind", "")
    press_run(notebook)
    expect(form).to_contain_text("The required input 'value' is missing.")
    expect(form.get_by_role("alert").first).to_be_visible()
    pictures(notebook, "form-fault-light")

    field(form, "value").focus()
    write(notebook, "n")
    press_run(notebook)
    expect(form).to_contain_text("completed")
    expect(notebook.output(1)).to_contain_text("b has the highest mean n")
    expect(form).not_to_contain_text("is missing")
    notebook.run(2)
    assert notebook.text(2) == "True completed\n"
    pictures(notebook, "form-done-light")
    notebook.theme("JupyterLab Dark")
    pictures(notebook, "form-done-dark")
    notebook.theme("JupyterLab Light")


def test_the_form_stays_alive_while_a_cell_runs(open_cells: OpenCells, gated: Gated) -> None:
    gate = uuid.uuid4().hex
    notebook = open_cells(
        LOAD,
        f"form = %orchestra_form gated\nform.set(gate={gate!r})",
        "n = 0\nwhile True:\n    n += 1",
        "print(form.run.status)",
    )
    notebook.run(0)
    notebook.run(1)
    form = notebook.page.locator(".orchestra-form")
    form.locator(".orchestra-run").click()
    expect(notebook.output(1)).to_contain_text("hold")  # the second node has begun
    notebook.run(2, wait=False)
    gated.open(gate)
    expect(notebook.output(1)).to_contain_text("Lift-off")
    assert notebook.state(2) == "running"
    notebook.command("kernelmenu:interrupt")
    expect(notebook.output(2)).to_contain_text("KeyboardInterrupt")
    notebook.run(3)
    assert notebook.text(3) == "completed\n"


def test_a_double_click_starts_one_run_and_no_text_is_run_as_a_script(
    open_cells: OpenCells, hostile: str, orchestra_server: LocalServer
) -> None:
    notebook = open_cells(
        LOAD,
        f"form = %orchestra_form {hostile}\nform",
        "form.run.wait()\n%orchestra_history " + hostile,
        f"%orchestra_workflow {hostile}",
        f"%%orchestra_execute {hostile} -w\n# with the defaults",
        "%orchestra_workflows",
        "%orchestra_steps",
        f"%orchestra_diagram {hostile}",
        f"from IPython.display import HTML\nHTML({ATTACK!r})",
    )
    before = len(orchestra_server.get(f"/workflows/{hostile}/runs"))
    notebook.run(0)
    notebook.run(1)
    form = notebook.page.locator(".orchestra-form")
    form.locator(".orchestra-run").click()
    notebook.page.wait_for_timeout(250)  # a slow double click: the server has answered between the two
    form.locator(".orchestra-run").click()
    expect(notebook.output(1)).to_contain_text("completed")
    expect(notebook.output(1)).to_contain_text("onerror")  # as text
    notebook.run(2)
    assert len(orchestra_server.get(f"/workflows/{hostile}/runs")) == before + 1
    for number in range(3, 8):
        notebook.run(number)
    expect(notebook.output(4)).to_contain_text("onerror")
    expect(notebook.output(5)).to_contain_text("onerror")
    assert notebook.page.locator("img[src='x']").count() == 0
    assert notebook.page.evaluate("window.attacks || 0") == 0
    notebook.run(8)  # the same text as HTML would have been seen
    notebook.page.wait_for_function("window.attacks > 0")


def field(form: Locator, label: str) -> Locator:
    """The control with this label, as a screen reader finds it."""
    return form.get_by_label(re.compile(rf"^{label}( |$)"))


def write(notebook: OpenNotebook, *texts: str) -> None:
    """Type into one field after the other."""
    for n, text in enumerate(texts):
        if n:
            notebook.page.keyboard.press("Tab")
        notebook.page.keyboard.type(text)


def press_run(notebook: OpenNotebook) -> None:
    """Go to the Run button by the keyboard, and press it."""
    for _ in range(10):
        notebook.page.keyboard.press("Tab")
        if notebook.page.evaluate("document.activeElement.classList.contains('orchestra-run')"):
            notebook.page.keyboard.press("Space")
            return
    pytest.fail("the Run button is not reached by the Tab key")
