"""The card of a run as people meet it: live, twice at once, interrupted, saved, reopened, exported."""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from local.embedded import LocalServer
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Locator, expect

from .conftest import Gated, OpenCells
from .jupyter_driver import Jupyter, OpenNotebook, Tab
from .kernels import KERNELS, kernel_of

Pictures = Callable[[OpenNotebook, str], None]
LOAD = "%load_ext orchestra_magic\nimport ipykernel\nprint(ipykernel.__version__)"
COMPUTES = "n = 0\nwhile True:\n    n += 1"
# On ipykernel 7.3 a front end's messages are handled in another thread, on 6.31 when the running cell is over.
GATE = [("newest", "lab"), ("7.3.0", "lab"), ("6.31.0", "lab")]
REST = [
    pytest.param(*each, marks=pytest.mark.slow)
    for each in itertools.product(["newest", *KERNELS], ["lab", "notebook"])
    if each not in GATE
]

# Each text of an element with the contrast to what lies below it.
_CONTRASTS = """element => {
    const parts = colour => {
        const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
        return [r, g, b, a];
    };
    const ground = node => {
        let [r, g, b, left] = [0, 0, 0, 1];
        for (let at = node; at && left > 0; at = at.parentElement) {
            const [x, y, z, a] = parts(getComputedStyle(at).backgroundColor);
            [r, g, b, left] = [r + left * a * x, g + left * a * y, b + left * a * z, left * (1 - a)];
        }
        return [r + left * 255, g + left * 255, b + left * 255];
    };
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const found = [], walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode, text = node.textContent.trim();
        if (!text) continue;
        const [one, other] = [light(parts(getComputedStyle(node.parentElement).color)), light(ground(node.parentElement))];
        found.push([text, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)]);
    }
    return found;
}"""


@pytest.fixture(scope="session")
def report(orchestra_server: LocalServer) -> str:
    """A workflow with a branch that is not taken, and an output of text and rows."""
    text = "# Report\n\n**Rows** of the table:\n\n| kind | n |\n|---|---|\n| a | 1 |\n\n" + "A long line of text. " * 80
    nodes: dict[str, Any] = {
        "rows": {"type": "code", "metadata": {"code": "[{'kind': 'a', 'n': 1}, {'kind': 'b', 'n': 2.5}]"}},
        "which": {
            "type": "conditional",
            "metadata": {
                "conditions": [
                    {
                        "name": "many",
                        "criteria": [{"variable": "limit", "operator": ">", "value": 10}],
                        "then": "shorten",
                    }
                ],
                "else": "write",
            },
        },
        "shorten": {"type": "code", "metadata": {"code": "'short'"}},
        "write": {"type": "code", "metadata": {"code": f"{text!r}"}},
    }
    edges = [
        ["START", "rows"], ["rows", "which"], ["which", "shorten"], ["which", "write"], ["shorten", "END"], ["write", "END"]
    ]  # fmt: skip
    graph = {"input_data": {"limit": {"type": "integer", "default": 3}}, "nodes": nodes, "edges": edges}
    return orchestra_server.upload(graph, name="report")


@pytest.fixture(scope="session")
def broken(orchestra_server: LocalServer) -> str:
    """A workflow that fails: there is no model."""
    nodes: dict[str, Any] = {
        "load": {"type": "code", "metadata": {"code": "40 + 2"}},
        "ask": {"type": "model", "metadata": {"model": "none", "messages": [{"role": "user", "content": "{{load}}"}]}},
    }
    graph = {"nodes": nodes, "edges": [["START", "load"], ["load", "ask"], ["ask", "END"]]}
    return orchestra_server.upload(graph, name="broken")


@pytest.mark.parametrize(("version", "open_cells"), [*GATE, *REST], indirect=["open_cells"])
def test_two_cards_live_beside_a_cell_that_computes_and_an_interrupted_wait(
    version: str, open_cells: OpenCells, jupyter_server: Jupyter, gated: Gated, pictures: Pictures
) -> None:
    kernel = kernel_of(version, jupyter_server)
    gates = [uuid.uuid4().hex for _ in range(3)]
    notebook = open_cells(
        LOAD,
        f"%%orchestra_execute gated -o one\ngate: {gates[0]}",
        f"%%orchestra_execute gated -o two\ngate: {gates[1]}",
        COMPUTES,
        f"%%orchestra_execute gated --wait --run-id waited_id -o waited\ngate: {gates[2]}",
        "print('went on')",
        "print(waited_id == waited.id, waited.latest.finished, one.id != two.id)",
        kernel=kernel,
    )
    notebook.run(0)
    assert version in {"newest", notebook.text(0).strip()}
    notebook.run(1)
    notebook.run(2)
    notebook.run(3, wait=False)
    for number in (1, 2):
        expect(notebook.output(number)).to_contain_text("running")
        expect(picture(notebook, number)).to_have_attribute("alt", containing("hold (code, running)"))
    pictures(notebook, f"card-live-{kernel}")
    gated.open(*gates[:2])
    for number in (1, 2):
        expect(notebook.output(number)).to_contain_text("Lift-off")
        expect(notebook.output(number).locator(".jp-OutputArea-child")).to_have_count(1)
    assert notebook.state(3) == "running"  # it never gave way
    notebook.command("kernelmenu:interrupt")
    expect(notebook.output(3)).to_contain_text("KeyboardInterrupt")

    notebook.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 4; }")
    notebook.command("notebook:run-all-below")
    expect(picture(notebook, 4)).to_have_attribute("alt", containing("hold (code, running)"))
    notebook.command("kernelmenu:interrupt")
    expect(notebook.output(4)).to_contain_text("RunDetached: Stopped waiting; run ")
    expect(notebook.output(4)).not_to_contain_text("Traceback")
    pictures(notebook, f"card-detached-{kernel}")
    notebook.run(6)
    assert notebook.text(6) == "True False True\n"
    assert notebook.state(5) == "never"  # Run All has stopped
    gated.open(gates[2])
    expect(notebook.output(4)).to_contain_text("Lift-off")  # the card is followed further


def test_a_card_that_is_saved_says_all_without_a_kernel_trust_or_script(
    open_cells: OpenCells, jupyter_server: Jupyter, browser: Browser, pictures: Pictures, report: str, broken: str,
    gated: Gated, tmp_path: Path,
) -> None:  # fmt: skip
    gate = uuid.uuid4().hex
    notebook = open_cells(
        LOAD,
        f"%%orchestra_execute {report} -o run --wait",
        f"%orchestra_execute {broken} -o bad\nbad.wait(check=False).status",
        f"%%orchestra_execute gated\ngate: {gate}",
        "%orchestra_runs",
    )
    for number in range(4):
        notebook.run(number)
    for number, words in ((1, "completed"), (2, "failed"), (3, "running")):
        expect(notebook.output(number)).to_contain_text(words)
    expect(picture(notebook, 3)).to_have_attribute("alt", containing("running"))
    notebook.run(4)
    for words in ("completed", "failed", "running"):
        expect(notebook.output(4)).to_contain_text(words)
    legible(notebook, (1, 2, 3, 4), pictures, "card")

    notebook.command("docmanager:save")
    notebook.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    saved = json.loads((jupyter_server.root / notebook.path).read_text())
    gated.open(gate)

    saved["cells"][0]["source"] = "# not as it was signed"
    (jupyter_server.root / "untrusted.ipynb").write_text(json.dumps(saved))
    reopened = OpenNotebook(notebook.page, jupyter_server, "untrusted.ipynb", notebook.front_end)
    assert not reopened.trusted(1)
    for number in (1, 2, 3):
        complete(reopened.output(number))
    legible(reopened, (1, 2, 3), pictures, "card-untrusted")

    # What the exporter's own page would load from elsewhere is left out, so that anything remote would be ours.
    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="", mermaid_js_url="", widget_renderer_url="")
    page, _ = exporter.from_notebook_node(nbformat.reads(json.dumps(saved), as_version=4))
    (tmp_path / "page.html").write_text(page)
    tab = Tab(browser)
    tab.page.goto((tmp_path / "page.html").as_uri())
    for number in (1, 2, 3):
        complete(tab.page.locator(".jp-Cell").nth(number).locator(".jp-OutputArea"))
    assert [url for url in tab.strangers if not url.startswith("file:")] == []
    tab.close()


def picture(notebook: OpenNotebook, number: int) -> Locator:
    return notebook.output(number).locator("img")


def containing(word: str) -> re.Pattern[str]:
    return re.compile(re.escape(word))


def complete(output: Locator) -> None:
    """Hold that a card is whole: a picture that is seen, details that open, the way back, and nothing active."""
    image = output.locator("img")
    expect(image).to_have_count(1)
    image.scroll_into_view_if_needed()
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 50
    assert (image.get_attribute("src") or "").startswith("data:image/svg+xml;base64,")
    assert "START" in (image.get_attribute("alt") or "")
    expect(output).to_contain_text("%orchestra_run ")
    steps = (
        output.locator("details").filter(has=output.page.locator("summary", has_text=re.compile(r"^\d+ steps?$"))).last
    )
    if steps.get_attribute("open") is None:
        steps.locator("summary").first.click()
    expect(steps.locator("details summary").first).to_be_visible()
    breaks = "element => [...element.querySelectorAll('div pre')].map(pre => getComputedStyle(pre).wordBreak)"
    assert set(output.locator(".jp-RenderedHTML").first.evaluate(breaks)) <= {"normal"}
    assert output.locator("script, style, link, iframe, [onerror], [onclick]").count() == 0
    assert output.locator("[src]:not([src^='data:']), [href]").count() == 0


def legible(notebook: OpenNotebook, numbers: tuple[int, ...], pictures: Pictures, name: str) -> None:
    """Hold that each text has its contrast in both themes."""
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        notebook.theme(theme)
        pictures(notebook, f"{name}-{theme.split()[1].lower()}")
        for number in numbers:
            found = notebook.output(number).locator(".jp-OutputArea-output").first.evaluate(_CONTRASTS)
            assert len(found) > 5
            assert [each for each in found if each[1] < 4.5] == []
    notebook.theme("JupyterLab Light")
