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


@pytest.fixture
def make_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., LocalServer]]:
    """Make servers that a test may kill, stop or configure. Each is stopped afterwards."""
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
