"""Drives real JupyterLab and Notebook 7 in headless Chromium: what a person would do, and what one would see.

One Jupyter server serves both front ends. Nothing but loopback can be reached from the browser.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
from playwright.sync_api import Browser, Locator, Page, Playwright, ViewportSize

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 60.0
"""How long anything may take on a busy machine."""
SIZE: ViewportSize = {"width": 1100, "height": 1000}

_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]

# Notebook 7.6 raises these by itself, whatever is in the notebook.
_OF_THE_FRONT_END = re.compile(r"reading 'schema'|filebrowser:open-path")


def launch(playwright: Playwright, *more: str) -> Browser:
    """Start the browser that the system has, with ``more`` arguments, of which the last of a name counts."""
    return playwright.chromium.launch(
        executable_path=CHROMIUM, args=[*_ARGUMENTS, *more], headless=True, chromium_sandbox=os.geteuid() != 0
    )


@dataclass(frozen=True)
class Jupyter:
    """A running Jupyter server: notebooks lie in ``root``, further kernels may be put into ``kernels``."""

    base: str
    token: str = field(repr=False)
    root: Path
    kernels: Path

    def write(self, name: str, cells: tuple[str, ...], kernel: str) -> str:
        """Put a notebook of code cells where the server finds it, and return its path."""
        spec = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
        code = [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=code, metadata=spec), self.root / f"{name}.ipynb")
        return f"{name}.ipynb"

    def end_kernels(self) -> None:
        """Shut down all kernels, so that memory does not fill."""
        for session in json.loads(self._ask("GET", "sessions")):
            with contextlib.suppress(urllib.error.HTTPError):
                self._ask("DELETE", f"sessions/{session['id']}")

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"{self.base}/api/{path}", method=method)
        request.add_header("Authorization", f"token {self.token}")
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.read()


@contextlib.contextmanager
def jupyter(folder: Path, environment: Mapping[str, str]) -> Iterator[Jupyter]:
    """Run a Jupyter server whose home, settings and notebooks lie in ``folder``; kernels inherit ``environment``."""
    root = folder / "notebooks"
    news = folder / "settings" / "@jupyterlab" / "apputils-extension"
    for made in (root, news):
        made.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Jupyter(f"http://127.0.0.1:{port}", secrets.token_hex(16), root, folder / "data" / "kernels")
    own = {
        "HOME": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_TOKEN": server.token,
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    command = [
        sys.executable,
        "-m",
        "notebook",
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={root}",
        "--LabApp.expose_app_in_browser=True",  # gives window.jupyterapp, one flag for each front end
        "--JupyterNotebookApp.expose_app_in_browser=True",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        f"--LabApp.workspaces_dir={folder / 'workspaces'}",
        f"--LabApp.user_settings_dir={folder / 'settings'}",
    ]
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**environment, **own}, stdout=out, stderr=subprocess.STDOUT)
    try:
        _until(lambda: _answers(server, process, log), "the Jupyter server answers")
        yield server
    finally:
        process.terminate()  # it shuts its kernels down as well
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def _answers(server: Jupyter, process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"the Jupyter server ended:\n{log.read_text()[-3000:]}")
    try:
        server._ask("GET", "status")
    except OSError:
        return False
    return True


class Tab:
    """One tab of the browser, which notes what goes wrong in it and where it goes."""

    def __init__(self, browser: Browser) -> None:
        self.page = browser.new_context(viewport=SIZE).new_page()
        self.page.set_default_timeout(SECONDS * 1000)
        self.errors: list[str] = []
        self.urls: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.urls.append(request.url))
        self.page.on("websocket", lambda opened: self.urls.append(opened.url))

    @property
    def faults(self) -> list[str]:
        """Errors of scripts in the page, but for those that the front end has by itself."""
        return [error for error in self.errors if not _OF_THE_FRONT_END.search(error)]

    @property
    def strangers(self) -> list[str]:
        """Addresses that were asked for and are not on this computer."""
        near = {"data", "blob", "about"}
        return [url for url in self.urls if urlsplit(url).scheme not in near and urlsplit(url).hostname != "127.0.0.1"]

    def close(self) -> None:
        self.page.context.close()


class OpenNotebook:
    """A notebook that is open in a front end (``lab`` or ``notebook``) with its kernel at rest."""

    _WIDGET = "window.jupyterapp.shell.currentWidget"

    def __init__(self, page: Page, server: Jupyter, path: str, front_end: str) -> None:
        self.page = page
        self.front_end = front_end
        self.path = path
        where = {"lab": f"/lab/tree/{path}?reset&", "notebook": f"/notebooks/{path}?"}[front_end]
        page.goto(f"{server.base}{where}token={server.token}")
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        _until(lambda: self._kernel() == "idle", "the kernel is idle", page)

    def run(self, number: int, *, wait: bool = True) -> None:
        """Run a cell, and with ``wait`` until it is done, and well."""
        before = self._count(number)
        self.page.evaluate(
            f"n => {{ const panel = {self._WIDGET}; panel.content.activeCellIndex = n; panel.content.mode = 'command';"
            " panel.content.deselectAll(); }",
            number,
        )
        self.command("notebook:run-cell")
        if wait:
            # Not the kernel's "idle": that may still be the one from before.
            done = lambda: self.state(number) == "done" and self._count(number) != before  # noqa: E731
            _until(done, f"cell {number} is done", self.page)
            errors = [each["evalue"] for each in self._outputs(number) if each["output_type"] == "error"]
            assert not errors, errors
        else:
            _until(lambda: self.state(number) == "running", f"cell {number} runs", self.page)

    def command(self, name: str, **arguments: Any) -> None:
        """Execute a command of the front end, as its menus do."""
        self.page.evaluate("([name, args]) => void window.jupyterapp.commands.execute(name, args)", [name, arguments])

    def state(self, number: int) -> str:
        """Whether a cell is ``running``, ``done`` or was ``never`` run."""
        prompt = self.page.evaluate(
            f"n => {self._WIDGET}.content.widgets[n].node.querySelector('.jp-InputPrompt')?.textContent ?? ''", number
        )
        return "running" if "*" in prompt else "done" if re.search(r"\d", prompt) else "never"

    def output(self, number: int) -> Locator:
        """What stands below a cell."""
        return self.page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{number}"] .jp-Cell-outputArea')

    def editor(self, number: int) -> Locator:
        """Where a cell is typed."""
        return self.page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{number}"] .cm-content')

    def text(self, number: int) -> str:
        """What a cell printed."""
        return "".join("".join(each.get("text", "")) for each in self._outputs(number))

    def theme(self, name: str) -> None:
        """Change the colours."""
        self.command("apputils:change-theme", theme=name)
        light = "true" if "Light" in name else "false"
        self.page.wait_for_selector(
            f"body[data-jp-theme-light='{light}'][data-jp-theme-name='{name}']", state="attached"
        )
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")  # it hides the page for a moment

    def trusted(self, number: int) -> bool:
        """Whether the front end shows what a cell holds as it stands."""
        return self.page.evaluate(f"n => {self._WIDGET}.content.widgets[n].model.trusted", number)

    def _outputs(self, number: int) -> list[dict[str, Any]]:
        return self.page.evaluate(f"n => {self._WIDGET}.content.widgets[n].model.toJSON().outputs ?? []", number)

    def _kernel(self) -> str:
        return self.page.evaluate(f"() => {self._WIDGET}?.context?.sessionContext?.session?.kernel?.status ?? 'none'")

    def _count(self, number: int) -> int | None:
        return self.page.evaluate(f"n => {self._WIDGET}.content.widgets[n].model.executionCount ?? null", number)


def _until(true: Callable[[], bool], what: str, page: Page | None = None) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"after {SECONDS:g} s it is still not so that {what}")
        page.wait_for_timeout(30) if page else time.sleep(0.1)
