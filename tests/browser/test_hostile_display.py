"""A server whose every text attacks, shown in JupyterLab, reopened, and exported: nothing of it runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Page, expect
from scripted import Reply, Scripted

from .conftest import OpenCells
from .jupyter_driver import Jupyter, OpenNotebook, Tab

Pictures = Callable[[OpenNotebook, str], None]
WF, RUN = "1234f567-bb12-1234-b7cd-f7a71a98cd24", "fda37c90-dd1c-4317-82d1-797b7f77fca5"
REFUSING = "00000000-0000-0000-0000-000000000422"
HIT = "window.__hits=(window.__hits||0)+1"
MARKUP = (
    f'HOSTILE<script>{HIT}</script><img src=x onerror="{HIT}"><svg onload="{HIT}"></svg>'
    f'<iframe srcdoc="<script>parent.{HIT}</script>"></iframe><details open ontoggle="{HIT}">x</details>'
    f'<a href="javascript:{HIT}">y</a></pre></td></table></textarea></title></style></script>"><b onclick=\'{HIT}\'>'
    f"<style>*{{visibility:hidden}}</style>[z](javascript:{HIT})"
)
ODD = "$\\href{javascript:1}{f}$ \x1b[2J\x1b[31m\x1b]8;;http://evil.example\x07 \u202egnp.exe\u2066 \x00\r\x9b \u2028\ufeff"
TEXT = f"{MARKUP} {ODD}"
GRAPH = {
    "nodes": {
        TEXT: {"type": TEXT, "description": TEXT, "metadata": {"description": TEXT}},
        "good": {"type": "model", "metadata": {"description": TEXT}},
    },
    "edges": [["START", TEXT], {"source": TEXT, "target": "good", "label": TEXT}, ["good", "END"]],
    "input_data": {
        "prompt": {"type": "string", "description": TEXT, "default": TEXT},
        "choice": {"type": "string", "enum": [TEXT, "b"], "description": TEXT},
        TEXT: {"type": TEXT, "description": TEXT, "default": [TEXT]},
    },
}
ENDED = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:01:30Z"}
STEP = {"id": TEXT, "node_id": TEXT, "status": TEXT, "inputs": {TEXT: TEXT}, "outputs": [{TEXT: TEXT}], "error": TEXT}
FAILED = {"id": RUN, "status": "failed", "inputs": {TEXT: TEXT}, "error": TEXT, "outputs": {TEXT: [TEXT]}, **ENDED}
ODDLY = {**FAILED, "status": TEXT, "error": None, "outputs": TEXT}
PROMPT = "prompt: hi\nchoice: b"
CELLS = {
    "load": "%load_ext orchestra_magic\nimport os\nos.environ.update(ORCHESTRA_BASE_URL={base!r}, ORCHESTRA_API_KEY='sk-x')\n"
    "from orchestra_magic import Orchestra, OrchestraError, RunFailed\norchestra = Orchestra()",
    "list": "%orchestra_workflows",
    "workflow": f"%orchestra_workflow {WF}",
    "card": f"%%orchestra_execute {WF} -o run\n{PROMPT}",
    "wait": "run.wait(check=False)",
    "steps": "%orchestra_steps $run_id",
    "history": f"%orchestra_history {WF}",
    "runs": "%orchestra_runs",
    "picture": f"%orchestra_diagram {WF}",
    "form": f"%orchestra_form {WF}",
}
ERRORS = {"failure": "run.wait()", "refusal": f"orchestra.history({REFUSING!r})"}


@pytest.fixture
def hostile(server: Scripted) -> Iterator[Scripted]:
    """A server that says nothing but attacks."""
    at = f"/workflows/{WF}"
    server.on(
        "GET", "/workflows", [{"workflow_id": WF, "name": TEXT, "description": TEXT, "status": TEXT, "graph": GRAPH}]
    )
    server.on("POST", f"{at}/execute", {"run_id": RUN, "message": TEXT})
    server.on("GET", f"{at}/runs", [FAILED, ODDLY | {"id": TEXT}])
    server.on("GET", f"{at}/runs/{RUN}", [FAILED])
    server.on("GET", f"{at}/runs/{RUN}/steps", [STEP, STEP])
    server.on("GET", f"{at}/diagram", {"diagram": f'graph TD\n  a["{TEXT}"] --> b'})
    server.on("GET", f"/workflows/{REFUSING}/runs", Reply(422, {"detail": [{"loc": [TEXT], "msg": TEXT}]}))
    return server


_SEEN = """() => ({
    hits: window.__hits ?? 0,
    made: document.querySelectorAll('[onerror], [onload], [ontoggle], [onclick], [href^="javascript:"], iframe[srcdoc],'
        + ' .jp-OutputArea-output script, .jp-OutputArea-output b[onclick]').length,
    hidden: getComputedStyle(document.querySelector('.jp-OutputArea-output')).visibility == 'hidden',
    odd: /[\\u202a-\\u202e\\u2066-\\u2069\\u0000\\u001b\\u009b]/.test(
        [...document.querySelectorAll('.jp-OutputArea-output')].map(each => each.innerText).join('')),
})"""


def hold(page: Page) -> None:
    """Hold that nothing ran, that nothing was made of the text, and that nothing in it hides or turns around."""
    assert page.evaluate(_SEEN) == {"hits": 0, "made": 0, "hidden": False, "odd": False}


@pytest.mark.parametrize("open_cells", ["lab"], indirect=True)
def test_nothing_that_a_server_says_runs(
    open_cells: OpenCells,
    jupyter_server: Jupyter,
    browser: Browser,
    hostile: Scripted,
    pictures: Pictures,
    tmp_path: Path,
) -> None:
    cells = [cell.replace("{base!r}", repr(hostile.base_url)) for cell in (CELLS | ERRORS).values()]
    notebook = open_cells(*cells)
    places: dict[str, int] = {name: number for number, name in enumerate(CELLS | ERRORS)}
    for name in CELLS:
        notebook.run(places[name])
    for name in ERRORS:
        with pytest.raises(AssertionError):  # it ends in an error, which is looked at below
            notebook.run(places[name])
    for name in (CELLS.keys() | ERRORS.keys()) - {"load", "picture"}:
        expect(notebook.output(places[name]).first).to_contain_text("HOSTILE<script>")
    expect(notebook.output(places["picture"]).locator("img")).to_have_count(1)
    expect(notebook.output(places["wait"])).to_contain_text(MARKUP.partition("[z]")[0])
    hold(notebook.page)
    notebook.page.evaluate(
        "() => document.querySelectorAll('.jp-OutputArea details').forEach(each => each.open = true)"
    )
    hold(notebook.page)
    for name in ("wait", "form"):
        notebook.output(places[name]).first.scroll_into_view_if_needed()
        pictures(notebook, f"hostile-{name}")

    notebook.command("docmanager:save")
    notebook.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    reopened = OpenNotebook(notebook.page, jupyter_server, notebook.path, "lab")
    assert reopened.trusted(places["wait"])
    expect(reopened.output(places["wait"])).to_contain_text("HOSTILE<script>")
    hold(reopened.page)

    saved: Any = json.loads((jupyter_server.root / notebook.path).read_text())
    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="", mermaid_js_url="", widget_renderer_url="")
    page, _ = exporter.from_notebook_node(nbformat.reads(json.dumps(saved), as_version=4))
    (tmp_path / "page.html").write_text(page)
    tab = Tab(browser)
    tab.page.goto((tmp_path / "page.html").as_uri())
    expect(tab.page.locator(".jp-OutputArea").nth(places["wait"])).to_contain_text("HOSTILE<script>")
    hold(tab.page)
    tab.close()


def test_what_is_held_finds_a_script_that_runs(browser: Browser) -> None:
    tab = Tab(browser)
    tab.page.set_content(f"<div class='jp-OutputArea-output'>{TEXT}</div>")
    tab.page.wait_for_function("() => window.__hits > 0")
    with pytest.raises(AssertionError):
        hold(tab.page)
    tab.close()
