"""A planted key is looked for in processes: their command lines, environments, kernels and notebooks."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from scripted import Scripted

from orchestra_magic import Orchestra, paths
from orchestra_magic.client import embedded, settings

from .conftest import EXECUTE, LISTED, STATE, STEPS, WF, Far
from .hunt import Hunt
from .table import FAULTS, RUN, STARTED, Fault

MakeFar = Callable[[Fault], Far]


def test_the_embedded_servers_process_has_no_key(
    isolated: Path, key: str, hunt: Hunt, monkeypatch: pytest.MonkeyPatch, starts: list[Any]
) -> None:
    """Neither the key of another server in its environment, nor its own token where others can look."""
    monkeypatch.setenv("ORCHESTRA_API_KEY", key)
    monkeypatch.setenv("MY_OTHER_KEY", key)
    settings.chosen.api_key_env = "MY_OTHER_KEY"
    orchestra = Orchestra("local")
    try:
        run = orchestra.execute("hello", {"name": "Ada"}).wait(60)
        assert run.outputs
        for executable, arguments, _, environment in starts:
            hunt.thing([executable, *arguments], "the command line of a process")
            hunt.thing(dict(os.environ if environment is None else environment), "the environment of a process")
        assert starts
        server = embedded.find()
        assert server is not None
        token = Hunt(server.token)
        ours = f"ORCHESTRA_HOME={paths.home()}".encode()
        children = 0
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment, line = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
            except OSError:
                continue
            token.text(line, f"the command line {line!r}")
            hunt.text(line, f"the command line {line!r}")
            if ours in environment.split(b"\0") and int(process.name) != os.getpid():
                children += 1
                hunt.text(environment, f"the environment of {line!r}")
                token.text(environment, f"the environment of {line!r}")
        assert children
        hunt.files(isolated)
        token.files(isolated, but=("server.json", "identity.json"))
        token.thing(orchestra, "orchestra")
        token.thing(run, "run")
        token.nothing()
        for name in ("server.json", "identity.json"):
            assert paths.server_file().with_name(name).stat().st_mode & 0o777 == 0o600
    finally:
        about = json.loads(paths.server_file().read_text())
        os.kill(about["pid"], signal.SIGTERM)


STARTS: list[Any] | None = None
HOOKS: list[Any] = []


def _heard(event: str, about: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen" and STARTS is not None:
        STARTS.append(about)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every process that is started here, with arguments and environment: also those that end before one looks."""
    if _heard not in HOOKS:  # a hook stays for as long as the process
        sys.addaudithook(_heard)
        HOOKS.append(_heard)
    seen: list[Any] = []
    monkeypatch.setattr(sys.modules[__name__], "STARTS", seen)
    return seen


@pytest.fixture
def kernel_environment(far: MakeFar, isolated: Path, key: str) -> tuple[Scripted, dict[str, str]]:
    """What a kernel's process gets to see."""
    server = far(FAULTS[-1]).server
    server.on("GET", "/workflows", LISTED)
    server.on("POST", EXECUTE, STARTED)
    state = [{"id": RUN, "status": "failed", "error": f"refused {key}", "end_time": "2026-01-01T00:00:00Z"}]
    server.on("GET", STATE, state)
    server.on("GET", STEPS, [])
    return server, os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}


CELLS = [
    "import logging\nlogging.basicConfig(level=logging.DEBUG)",
    "%load_ext orchestra_magic",
    "%config OrchestraMagics.verbose_errors = True",
    "%xmode Verbose",
    "%config OrchestraMagics",
    "%orchestra_connect",
    f"%%orchestra_execute {WF} -o run\nprompt: hello",
    f"%%orchestra_execute {WF} --dry-run\nprompt: hello",
    f"%%orchestra_execute {WF} --wait\nprompt: hello",
    f"form = %orchestra_form {WF}\nform",
    "form.set(prompt='hi').submit()\nform.run.wait(check=False)",
    "%orchestra_runs",
    "%orchestra_connect https://elsewhere.example/api",
    "%whos",
    "from orchestra_magic import Orchestra\nvars(Orchestra()), vars(run), vars(form)",
    "%orchestra_execute 00000000-0000-0000-0000-000000000404",
]


def test_a_saved_notebook(
    kernel_environment: tuple[Scripted, dict[str, str]], hunt: Hunt, isolated: Path, tmp_path: Path
) -> None:
    """With every cell's output, errors in full, and the state of its widgets."""
    server, environment = kernel_environment
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS], metadata=metadata)
    client = NotebookClient(made, timeout=120, kernel_name="python3", allow_errors=True, store_widget_state=True)
    client.execute(env=environment)
    place = tmp_path / "saved.ipynb"
    nbformat.write(made, place)
    hunt.files(tmp_path)
    hunt.files(isolated)
    text = place.read_text()
    assert "widget-state+json" in text
    assert "refused ********" in text
    assert "RunFailed" in text
    assert "DEBUG:urllib3" in text
    assert len(server.posts) == 4


def test_a_key_that_is_typed_at_the_prompt(
    kernel_environment: tuple[Scripted, dict[str, str]], hunt: Hunt, key: str, isolated: Path
) -> None:
    """In a real kernel: asked for as a password, used, and kept nowhere."""
    server, environment = kernel_environment
    environment = {name: value for name, value in environment.items() if not name.startswith("ORCHESTRA_API")}
    manager, client = start_new_kernel(kernel_name="python3", env=environment)
    asked: list[dict[str, Any]] = []

    def answer(message: dict[str, Any]) -> None:
        asked.append(message["content"])
        client.input(key)

    def run(code: str) -> None:
        def heard(message: dict[str, Any]) -> None:
            hunt.text(json.dumps(message["content"], default=str), f"a message of {code}")

        reply = client.execute_interactive(
            code, allow_stdin=True, stdin_hook=answer, output_hook=heard, timeout=120, store_history=True
        )
        assert reply["content"]["status"] == "ok", reply["content"]

    try:
        for cell in ("%load_ext orchestra_magic", f"%orchestra_connect {server.base_url}", "%orchestra_workflows"):
            run(cell)
        for cell in ("In", "Out", "%history", "%whos", "%config OrchestraMagics", "get_ipython().user_ns.keys()"):
            run(cell)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    assert [said["password"] for said in asked] == [True]
    assert f"API key for {server.host}" in asked[0]["prompt"]
    assert {said.headers["Authorization"] for said in server.said} == {f"Bearer {key}"}
    hunt.files(isolated)
