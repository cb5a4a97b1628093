"""Real servers for the tests of the embedded Orchestra."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .embedded import LocalServer

SAMPLES = Path(__file__).parent.parent / "samples"


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """One server for all tests that only use it."""
    shared = tmp_path_factory.mktemp("shared")
    running = LocalServer(tmp_path_factory.mktemp("server"), ORCHESTRA_CODE_FILES=str(shared)).start()
    yield running
    running.close()


@pytest.fixture(scope="session")
def _restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    shared = tmp_path_factory.mktemp("shared")
    one = LocalServer(tmp_path_factory.mktemp("restarted"), ORCHESTRA_CODE_FILES=str(shared))
    yield one
    one.close()


@pytest.fixture
def restarted(_restarted: LocalServer) -> LocalServer:
    """A running server that a test may stop or kill, as those before it did: its data has seen something."""
    return _restarted if _restarted.running() else _restarted.start()


@pytest.fixture
def code_files(restarted: LocalServer, request: pytest.FixtureRequest) -> Path:
    """Return a folder of this test that the code nodes of ``restarted`` can write to."""
    folder = Path(restarted.environment["ORCHESTRA_CODE_FILES"]) / request.node.name
    folder.mkdir()
    return folder


@pytest.fixture
def make_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalServer]]:
    """Make servers of a test's own, where an earlier life or other options count. Each is stopped afterwards."""
    made: list[LocalServer] = []

    def make(**environment: str) -> LocalServer:
        made.append(LocalServer(tmp_path_factory.mktemp("own"), **environment))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def sample() -> Callable[[str], Any]:
    """Read a documented example."""
    return lambda name: json.loads((SAMPLES / name).read_text())
