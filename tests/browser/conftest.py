"""One Jupyter server and one embedded Orchestra for all tests in a browser; a notebook and a kernel for each."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local.embedded import LocalServer
from playwright.sync_api import Browser, expect, sync_playwright

from .jupyter_driver import CHROMIUM, SIZE, Jupyter, OpenNotebook, Tab, jupyter, launch

OpenCells = Callable[..., OpenNotebook]
SCREENSHOTS = os.environ.get("ORCHESTRA_SCREENSHOTS")  # a test itself runs without our variables
expect.set_options(timeout=20_000)  # milliseconds


@pytest.fixture(scope="session")
def orchestra_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """The embedded Orchestra that all notebooks use."""
    gates = tmp_path_factory.mktemp("gates")
    server = LocalServer(tmp_path_factory.mktemp("orchestra"), ORCHESTRA_CODE_FILES=str(gates)).start()
    yield server
    server.close()


class Gated:
    """A workflow whose runs stay in their second node until the test lets them go on."""

    def __init__(self, server: LocalServer) -> None:
        self.folder = Path(server.environment["ORCHESTRA_CODE_FILES"])
        waits = (
            "import pathlib, time\n"
            f"gate = pathlib.Path({str(self.folder)!r}, {{{{gate}}}})\n"
            "while not gate.exists():\n    time.sleep(0.02)\n2"
        )
        code = {"load": "1", "hold": waits, "say": "'Lift-off'"}
        names = ["START", *code, "END"]
        graph = {
            "input_data": {"gate": {"type": "string", "required": True}},
            "nodes": {name: {"type": "code", "metadata": {"code": each}} for name, each in code.items()},
            "edges": [list(edge) for edge in itertools.pairwise(names)],
            "selectedOutput": "say",
        }
        self.id = server.upload(graph, name="gated")

    def open(self, *gates: str) -> None:
        """Let the runs that wait for these gates go on."""
        for gate in gates:
            (self.folder / gate).touch()


@pytest.fixture(scope="session")
def gated(orchestra_server: LocalServer) -> Gated:
    """The workflow ``gated``: its input ``gate`` names what a run waits for."""
    return Gated(orchestra_server)


@pytest.fixture(scope="session")
def jupyter_server(orchestra_server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """JupyterLab and Notebook 7, whose kernels know the embedded Orchestra by ``local``."""
    if CHROMIUM is None:
        missing = "no chromium on this machine: apt-get install chromium fonts-dejavu-core"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    environment = {**orchestra_server.environment, "ORCHESTRA_BASE_URL": "local"}
    with jupyter(tmp_path_factory.mktemp("jupyter"), environment) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Not for the whole session: Playwright keeps an event loop running, and nbclient wants its own."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(params=["lab", pytest.param("notebook", marks=pytest.mark.slow)])
def open_cells(request: pytest.FixtureRequest, jupyter_server: Jupyter, browser: Browser) -> Iterator[OpenCells]:
    """Open a notebook of these cells in JupyterLab or in Notebook 7; in the end nothing may have gone wrong in it."""
    tab = Tab(browser)

    def opened(*cells: str, kernel: str = "python3") -> OpenNotebook:
        name = re.sub(r"\W+", "-", request.node.name)
        return OpenNotebook(tab.page, jupyter_server, jupyter_server.write(name, cells, kernel), request.param)

    yield opened
    tab.close()
    jupyter_server.end_kernels()
    assert tab.faults == []
    assert tab.strangers == []


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[[OpenNotebook, str], None]:
    """Keep a picture of a notebook, in the folder that ORCHESTRA_SCREENSHOTS names or the test's own."""
    folder = Path(SCREENSHOTS or tmp_path)

    def keep(notebook: OpenNotebook, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        notebook.page.set_viewport_size({"width": 1100, "height": 1400})  # front ends scroll inside the page
        notebook.page.mouse.move(0, 0)
        notebook.page.screenshot(path=folder / f"{name}-{notebook.front_end}.png")
        notebook.page.set_viewport_size(SIZE)

    return keep
