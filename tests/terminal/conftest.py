"""IPython as it is started in a terminal, with one of our scripted servers at the other end."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator

import pexpect
import pytest
from scripted import Scripted

from ..notebook.workflows import EXECUTE, STARTED, STATE, STEPS, run_json, workflow_json

_TAKEN_BACK = re.compile(r"[^\n]*\x1b\[2K")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|[=>])|\r")


def plain(shown: str) -> str:
    """What is to be seen of what was written."""
    return _ESCAPES.sub("", _TAKEN_BACK.sub("", shown))


class Terminal:
    """A terminal with IPython in it."""

    def __init__(self, *options: str, kind: str, timeout: float = 30) -> None:
        environment = {**os.environ, "TERM": kind, "PROMPT_TOOLKIT_NO_CPR": "1"}
        environment |= {"NO_COLOR": "1"} if "--simple-prompt" in options else {}
        command = ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--HistoryManager.enabled=False", *options]
        self.process = pexpect.spawn(
            sys.executable,
            command,
            env=environment,
            encoding="utf-8",
            timeout=timeout,
            dimensions=(50, 120),
            use_poll=True,  # select() ends at 1,024 descriptors, and a long session of tests has more
        )
        self.number = 1

    def ready(self) -> str:
        """Wait for the prompt of the next cell, and return what was shown before it."""
        self.process.expect(rf"In \[{self.number}\]: ")
        return plain(self.process.before)

    def run(self, *lines: str) -> str:
        """Type a cell as a person does, and return what it shows."""
        for line in lines[:-1]:
            self.process.sendline(line)
            self.process.expect(r"\.\.\.: ")
        self.process.sendline(lines[-1])
        if len(lines) > 1 or lines[-1].startswith("%%"):
            for _ in range(2):  # two blank lines end a cell magic
                self.process.expect(r"\.\.\.: ")
                self.process.sendline("")
        self.number += 1
        return self.ready().partition("\n")[2].strip()

    def close(self) -> None:
        self.process.close(force=True)


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
def start(connected: Scripted) -> Iterator[Callable[..., Terminal]]:
    """Start terminals, which are closed afterwards."""
    started: list[Terminal] = []

    def make(*options: str, kind: str = "xterm-256color") -> Terminal:
        started.append(Terminal(*options, kind=kind))
        return started[-1]

    yield make
    for each in started:
        each.close()


@pytest.fixture
def terminal(start: Callable[..., Terminal]) -> Terminal:
    """A plain terminal whose first cell was ``%load_ext orchestra_magic``."""
    made = start("--simple-prompt", "--colors=NoColor")
    made.ready()
    assert made.run("%load_ext orchestra_magic") == ""
    return made
