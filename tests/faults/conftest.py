"""The far end of each fault: a scripted server that has seen what it was asked, and what a history would show."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme
from IPython.core.interactiveshell import InteractiveShell
from scripted import Reply, Said, Scripted
from shells import fresh_shell

from orchestra_magic.client import reconcile, settings, transport

from .hunt import Hunt
from .table import RUN, Fault

WF = "1234f567-bb12-1234-b7cd-f7a71a98cd24"
EXECUTE, RUNS = f"/workflows/{WF}/execute", f"/workflows/{WF}/runs"
INPUTS = {"prompt": "hello"}
STATE, STEPS = f"{RUNS}/{RUN}", f"{RUNS}/{RUN}/steps"
LISTED = [{"workflow_id": WF, "name": "Say hi", "graph": {"nodes": {}, "input_data": {"prompt": {"type": "string"}}}}]
LIMIT = 20_000_000
PLACES: dict[str, int] = {}


class Far:
    """A server with one fault in one route; ``in_history`` says whether it starts runs all the same."""

    def __init__(self, fault: Fault, server: Scripted, base_url: str) -> None:
        self.fault, self.server, self.base_url = fault, server, base_url
        self.in_history = False
        self._runs: list[dict[str, Any]] = []
        self._posted = threading.Event()
        server.on("GET", RUNS, self._history)

    @property
    def host(self) -> str:
        return settings.host_of(self.base_url)

    def break_gets(self) -> None:
        """Let the fault happen to GETs."""
        self.server.on("GET", "/workflows", self._reply)
        if self.fault.server == "cut":
            self.server.cut("GET")

    def break_posts(self) -> None:
        """Let the fault happen to the POST that starts a run."""
        self.server.on("POST", EXECUTE, self._started)
        if self.fault.server == "cut":
            self.server.cut("POST")

    def said(self, line: str, path: str) -> str:
        """A message of the table as it is for this server."""
        return line.format(host=self.host, base=self.base_url, path=path, workflow=WF)

    def _history(self, _: Said) -> list[dict[str, Any]]:
        if self.fault.posts:
            assert self._posted.wait(20)  # on a busy machine a client loses its patience before we have read
        return self._runs

    def _started(self, said: Said) -> Reply:
        if self.in_history:
            now = datetime.now(timezone.utc).isoformat()
            self._runs.append({"id": RUN, "status": "running", "inputs": said.json, "start_time": now})
        settings.chosen.read_timeout = 60.0
        self._posted.set()
        return self._reply(said)

    def _reply(self, said: Said) -> Reply:
        made = self.fault.script(said.method)
        place = made.headers.get("Location", "").replace("{host}", self.host)
        return replace(made, headers=made.headers | ({"Location": place} if place else {}))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """TLS for this computer, and the file with the authority that vouches for it."""
    made = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path_factory.mktemp("tls") / "ca.pem"
    made.cert_pem.write_to_path(str(file))
    return context, file


@pytest.fixture
def far(
    authority: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch, key: str
) -> Iterator[Callable[[Fault], Far]]:
    """Make the far end of a fault, and have the settings lead there."""
    monkeypatch.setattr(reconcile, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(transport, "MAX_BYTES", LIMIT)
    monkeypatch.setenv("ORCHESTRA_API_KEY", key)
    opened: list[Scripted] = []
    context, file = authority

    def make(fault: Fault) -> Far:
        server = Scripted(tls=context if fault.server in {"secure", "untrusted"} else None)
        opened.append(server)
        base = server.base_url
        if fault.server == "closed":
            base = f"http://127.0.0.1:{unused_port()}/api/v1/workflow"
        elif fault.server == "unknown":
            base = "https://orchestra.invalid/api/v1/workflow"
        elif fault.server == "not tls":
            base = base.replace("http:", "https:")
        elif fault.server == "secure":
            settings.chosen.ca_bundle = str(file)
        if fault.patience is not None:
            settings.chosen.read_timeout = fault.patience
        monkeypatch.setenv("ORCHESTRA_BASE_URL", base)
        return Far(fault, server, base)

    yield make
    for server in opened:
        server.close()


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A real shell with the extension loaded."""
    for name in ("displayhook", "excepthook", "ps1", "ps2", "ps3"):
        monkeypatch.setattr(sys, name, getattr(sys, name, None), raising=False)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    with fresh_shell() as made:
        made.run_line_magic("load_ext", "orchestra_magic")
        yield made


@pytest.fixture
def hunt(key: str, request: pytest.FixtureRequest, figures: None) -> Iterator[Hunt]:
    """A hunt that must end with nothing found."""
    made = Hunt(key)
    yield made
    PLACES[request.node.name] = made.nothing()


@pytest.fixture(scope="module")
def figures() -> Iterator[None]:
    """Say how far was looked."""
    yield
    print(f"{len(PLACES)} hunts, {sum(PLACES.values())} places")
