"""The form as people use it, without a mouse: filled in, refused, mended, run, written as a cell, saved, reopened."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from local.embedded import LocalServer
from playwright.sync_api import FloatRect, Page, expect

from .conftest import SCREENSHOTS, Gated, OpenCells
from .jupyter_driver import Jupyter, OpenNotebook
from .kernels import kernel_of

Pictures = Callable[[OpenNotebook, str], None]
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TOKEN = "t0ken-planted-4711"
INPUTS: dict[str, Any] = {
    "topic": {"type": "string", "description": "What the report is about"},
    "brief": {"type": "string", "format": "multiline", "description": "What else to keep in mind", "default": ""},
    "count": {"type": "integer", "description": "How many paragraphs", "default": 3},
    "share": {"type": "number", "description": "Between 0 and 1; $x$ and $y$ are no formula", "default": 0.5},
    "loud": {"type": "boolean", "description": "Write in capitals", "default": False},
    "tone": {"type": "string", "enum": ["calm", "wild"], "default": "calm"},
    "parts": {"type": "array", "items": {"enum": ["table", "plot", "text"]}, "default": ["table", "text"]},
    "rows": {"type": "array", "description": "The data"},
    "day": {"type": "string", "format": "date", "default": "2026-01-31"},
    "due": {"type": "string", "format": "date-time", "default": "2026-02-01T14:30:00+00:00"},
    "options": {"type": "object", "default": {"lines": True}},
    "paper": {"type": "string", "format": "file", "description": "What it builds on"},
    "token": {"type": "string", "format": "password", "description": "Opens the archive"},
}
LOAD = """%load_ext orchestra_magic
import pandas as pd, pathlib
from orchestra_magic import Orchestra
pathlib.Path("paper.txt").write_text("Zwölf Boxkämpfer")
penguins = pd.DataFrame({"kind": ["Adelie", "Gentoo"], "mass": [3700.0, 5076.0]})"""
FORM = """form = Orchestra().form("report on everything", fields={"$x$ is \\\\(y\\\\)": "text"})
form"""
BUSY = """n = 0
while not run.latest.finished:
    n += 1
print(run_id == run.id, run.latest.status)"""
SAME = f"""token = bytes.fromhex("{TOKEN.encode().hex()}").decode()
get_ipython().run_cell(form.as_cell()).result.wait().status"""

# What is still being redrawn would leave a notebook that was saved once with changes.
_SAVED = """async () => {
    const context = window.jupyterapp.shell.currentWidget.context;
    await context.save();
    return !context.model.dirty;
}"""


@pytest.fixture(scope="session")
def everything(orchestra_server: LocalServer, gated: Gated) -> str:
    """A workflow with an input of every kind. A run goes on when the gate is open that has the name of its topic."""
    hold = (
        f"import pathlib, time\ngate = pathlib.Path({str(gated.folder)!r}, {{{{topic}}}})\n"
        "while not gate.exists():\n    time.sleep(0.02)"
    )
    code = "{'topic': {{topic}}, 'rows': len({{rows}}), 'paper': {{paper}}, 'day': {{day}}, 'opened with': {{token}}}"
    nodes = {name: {"type": "code", "metadata": {"code": text}} for name, text in (("gather", hold), ("write", code))}
    edges = [["START", "gather"], ["gather", "write"], ["write", "END"]]
    about = "Writes a report on anything."
    graph = {"description": about, "input_data": INPUTS, "nodes": nodes, "edges": edges, "selectedOutput": "write"}
    return orchestra_server.upload(graph, name="report on everything")


@pytest.mark.parametrize("open_cells", ["lab"], indirect=True)
def test_a_form_by_keyboard_from_the_first_fault_to_the_reopened_notebook(
    open_cells: OpenCells, jupyter_server: Jupyter, orchestra_server: LocalServer, everything: str, gated: Gated,
    pictures: Pictures,
) -> None:  # fmt: skip
    journey(open_cells, jupyter_server, orchestra_server, everything, gated, pictures)


@pytest.mark.slow
@pytest.mark.parametrize("open_cells", ["lab", "notebook"], indirect=True)
@pytest.mark.parametrize("version", ["newest", "7.3.0", "6.31.0"])
def test_the_same_on_every_kernel(
    version: str, open_cells: OpenCells, jupyter_server: Jupyter, orchestra_server: LocalServer, everything: str,
    gated: Gated, pictures: Pictures,
) -> None:  # fmt: skip
    kernel = "python3" if version == "newest" else kernel_of(version, jupyter_server)
    journey(open_cells, jupyter_server, orchestra_server, everything, gated, pictures, kernel)


@pytest.mark.parametrize("open_cells", ["notebook"], indirect=True)
def test_a_choice_of_workflows_in_notebook_7(open_cells: OpenCells, pictures: Pictures) -> None:
    notebook = open_cells(LOAD, "%orchestra_form", "print(run_id)")
    notebook.run(0)
    notebook.run(1)
    page = notebook.page
    page.get_by_label("Workflow", exact=True).focus()
    page.keyboard.press("Space")
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    expect(page.locator(".orchestra-form")).to_be_visible()
    tab_to(page, "name")
    page.keyboard.type("Ada")
    press(page, "Run")
    notebook.run(2)
    assert re.fullmatch(r"[0-9a-f-]{36}\n", notebook.text(2))
    expect(notebook.output(1)).to_contain_text("Hello, Ada!")
    pictures(notebook, "form-chosen")


def journey(
    open_cells: OpenCells, jupyter_server: Jupyter, orchestra_server: LocalServer, everything: str, gated: Gated,
    pictures: Pictures, kernel: str = "python3",
) -> None:  # fmt: skip
    notebook = open_cells(LOAD, FORM, BUSY, SAME, kernel=kernel)
    page, output = notebook.page, notebook.output(1)
    form = page.locator(".orchestra-form")
    topic = f"tea-{uuid.uuid4().hex}"
    runs = f"/workflows/{everything}/runs"
    before = len(orchestra_server.get(runs))
    notebook.run(0)
    notebook.run(1)
    page.get_by_label(re.compile("^topic")).focus()
    pictures(notebook, "form-empty")

    press(page, "Run")
    expect(form).to_contain_text("Nothing was sent. 4 inputs are not right yet: first topic.")
    page.wait_for_function("() => document.activeElement?.labels?.[0]?.textContent.startsWith('topic')")
    pictures(notebook, "form-faulty")
    assert len(orchestra_server.get(runs)) == before

    page.keyboard.type(topic)
    page.keyboard.press("Tab")
    expect(form).to_contain_text("3 inputs are not right yet: first rows.")  # now as the fields change
    for name, text in {"brief": "Short.", "count": "4", "share": "0.75"}.items():
        tab_to(page, name)
        page.keyboard.type(text)
    press(page, "loud")
    press(page, "tone")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    press(page, "plot")
    press(page, "text")  # which was ticked
    for name, text in {"rows": "$penguins", "day": "02152026", "options": "", "paper": "paper.txt"}.items():
        tab_to(page, name)
        page.keyboard.type(text)
    expect(form).to_contain_text("$penguins is a DataFrame: 2 rows, 2 columns (kind, mass)")
    tab_to(page, "token")
    page.keyboard.type(TOKEN)
    tab_to(page, "Save run as")
    page.keyboard.type("run")
    expect(form.get_by_role("alert")).to_have_count(0)

    press(page, "Run")
    page.keyboard.press("Space")  # a second press that was not meant
    # Some kernels hear of a press and of a cell in two threads: only what was seen to begin comes first for certain.
    expect(form.get_by_role("status")).to_contain_text(re.compile("Sending|was started"))
    notebook.run(2, wait=False)  # it names the run, and computes until that is over
    expect(output).to_contain_text("running")
    expect(form.get_by_role("button", name="Stop watching")).to_be_visible()
    pictures(notebook, "form-running")
    assert notebook.state(2) == "running"
    gated.open(topic)
    expect(output.get_by_text("completed").first).to_be_visible()
    expect(output.get_by_text("********").first).to_be_visible()
    expect(notebook.output(2)).to_contain_text("True completed")
    expect(form.get_by_role("status")).to_contain_text("is over: completed.")
    (run,) = orchestra_server.get(runs)[: len(orchestra_server.get(runs)) - before]
    assert run["inputs"] == {
        "topic": topic, "brief": "Short.", "count": 4, "share": 0.75, "loud": True, "tone": "wild",
        "parts": ["table", "plot"], "rows": [{"kind": "Adelie", "mass": 3700.0}, {"kind": "Gentoo", "mass": 5076.0}],
        "day": "2026-02-15", "due": "2026-02-01T14:30:00+00:00", "options": {"lines": True},
        "paper": "Zwölf Boxkämpfer", "token": TOKEN,
    }  # fmt: skip
    pictures(notebook, "form-done")

    page.get_by_label(re.compile("^token")).focus()
    page.keyboard.type(TOKEN)
    press(page, "As cell")
    expect(form.get_by_label("As a cell")).to_have_value(
        re.compile(r"^%%orchestra_execute [^\n]+\n(.|\n)*token: \$token\n")
    )
    pictures(notebook, "form-cell")
    notebook.run(3)
    again, *_ = orchestra_server.get(runs)
    assert again["id"] != run["id"]
    assert json.dumps(again["inputs"]) == json.dumps(run["inputs"])
    expect(output.locator("mjx-container")).to_have_count(0)
    assert TOKEN not in page.content()

    expect(notebook.output(3)).to_contain_text("completed")
    expect(output.locator("[class*=orchestra-values]")).to_contain_text("********")  # what was typed has come to rest
    page.wait_for_function(_SAVED, polling=500)
    assert TOKEN not in (jupyter_server.root / notebook.path).read_text()
    jupyter_server.end_kernels()
    reopened = OpenNotebook(page, jupyter_server, notebook.path, notebook.front_end)
    for said in ("Form: report on everything", topic, "$penguins", "completed", "********"):
        expect(reopened.output(1).get_by_text(said).first).to_be_visible()
    gone = reopened.output(1).get_by_text("model not found")
    expect(gone).to_have_count(1)
    expect(gone).to_be_hidden()
    pictures(reopened, "form-reopened")


@pytest.mark.slow
@pytest.mark.parametrize("open_cells", ["lab"], indirect=True)
@pytest.mark.usefixtures("everything")
def test_the_pictures_of_the_readme(open_cells: OpenCells, gated: Gated, tmp_path: Path) -> None:
    """``ORCHESTRA_SCREENSHOTS=notebooks`` puts them where they belong."""
    table = f"penguins = pd.read_csv({str(NOTEBOOKS / 'penguins.csv')!r})"
    notebook = open_cells(f"{LOAD}\n{table}", "form = %orchestra_form 'report on everything' -o run\nform")
    page, output = notebook.page, notebook.output(1)
    gated.open("Penguins")
    notebook.run(0)
    notebook.run(1)
    filled = {"topic": "Penguins", "rows": "$penguins", "paper": "paper.txt", "token": TOKEN}
    for name, text in filled.items():
        page.get_by_label(re.compile(f"^{name}")).fill(text)
    press(page, "Run")
    expect(output.get_by_text("is over: completed.")).to_be_visible()
    page.get_by_label(re.compile("^count")).fill("three")
    page.keyboard.press("Tab")  # a field is heard when it is left
    expect(output.get_by_role("alert")).to_be_visible()
    page.set_viewport_size({"width": 1160, "height": 2200})
    for name in ("Dark", "Light"):
        notebook.theme(f"JupyterLab {name}")
        page.mouse.move(0, 0)
        path = Path(SCREENSHOTS or tmp_path) / f"form-{name.lower()}.png"
        form, whole = page.locator(".orchestra-form").bounding_box(), output.bounding_box()
        assert form is not None
        assert whole is not None
        left, right = form["x"] - 8, whole["x"] + whole["width"]  # without the margin where prompts stand
        clip: FloatRect = {"x": left, "y": whole["y"], "width": right - left, "height": whole["height"]}
        page.screenshot(path=path, clip=clip)
        assert path.stat().st_size < 150_000


def tab_to(page: Page, name: str) -> None:
    """Go on by the Tab key to the control that has this label, as a screen reader tells it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        label = page.evaluate(
            "() => { const at = document.activeElement; return (at.labels?.[0] ?? at).textContent.trim(); }"
        )
        if label.removesuffix(" (required)") == name:
            return
    pytest.fail(f"{name} is not reached by the Tab key")


def press(page: Page, button: str) -> None:
    """Press a button without a mouse."""
    tab_to(page, button)
    page.keyboard.press("Space")
