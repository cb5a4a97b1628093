"""A fresh shell for each test, and a scripted server that it is connected to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from scripted import Scripted
from shells import fresh_shell

from orchestra_magic import Orchestra
from orchestra_magic.notebook.form import Form

from .cells import Cells
from .forms import MakeForm
from .workflows import EXECUTE, STARTED, STATE, STEPS, WF, run_json, workflow_json


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A real shell with a namespace of its own, no history, and no colours."""
    # A shell takes these over, and they are no affair of the next test.
    for name in ("displayhook", "excepthook", "ps1", "ps2", "ps3"):
        monkeypatch.setattr(sys, name, getattr(sys, name, None), raising=False)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    with fresh_shell() as made:
        yield made


@pytest.fixture
def connected(server: Scripted, key: str, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """The scripted server as a person's environment names it, with one workflow whose runs come to an end."""
    monkeypatch.setenv("ORCHESTRA_BASE_URL", server.base_url)
    monkeypatch.setenv("ORCHESTRA_API_KEY", key)
    server.on("GET", "/workflows", [workflow_json()])
    server.on("POST", EXECUTE, STARTED)
    server.on("GET", STATE, run_json(outputs="Hi Ada"))
    server.on("GET", STEPS, [])
    return server


@pytest.fixture
def cells(shell: InteractiveShell, connected: Scripted, capsys: pytest.CaptureFixture[str]) -> Cells:
    """A notebook whose first cell was ``%load_ext orchestra_magic``."""
    made = Cells(shell, capsys)
    made.run("%load_ext orchestra_magic")
    return made


@pytest.fixture
def make_form(cells: Cells, connected: Scripted) -> MakeForm:
    """A form for a workflow that declares these inputs, which may be left out unless they say otherwise."""

    def make(options: dict[str, Any] | None = None, /, **inputs: Any) -> Form:
        said = inputs or {"prompt": {"type": "string"}}
        declared = {
            name: {"required": False, **each} if isinstance(each, dict) else each for name, each in said.items()
        }
        connected.on("GET", "/workflows", [workflow_json(inputs=declared)])
        orchestra = Orchestra()
        return Form(orchestra, orchestra.workflow(WF), cells.shell, **(options or {}))

    return make
