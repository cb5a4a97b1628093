"""Every test has a home, a configuration and an environment of its own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripted import Scripted

from orchestra_magic import Orchestra, paths
from orchestra_magic.client.settings import Chosen, chosen

# Whoever starts the tests in the background may ignore interrupts, and every child would as well.
signal.signal(signal.SIGINT, signal.default_int_handler)

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the person's own is read or written: home, keys, endpoints, proxies, netrc."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith("ORCHESTRA_") or name.upper() in PROXIES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(home / "jupyter"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("ORCHESTRA_HOME", str(home / "orchestra"))
    # keyring must not reach a real key store
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    return home


@pytest.fixture
def server() -> Iterator[Scripted]:
    """A real HTTP server on loopback whose answers the test decides."""
    scripted = Scripted()
    yield scripted
    scripted.close()


@pytest.fixture
def key() -> str:
    """A key that is recognised wherever it turns up."""
    return "sk-planted-0123456789abcdef"


@pytest.fixture
def orchestra(server: Scripted, key: str) -> Orchestra:
    """The client, connected to the scripted server."""
    return Orchestra(server.base_url, key)


@pytest.fixture
def embedded_at() -> Iterator[Callable[[str, str], None]]:
    """Say that an embedded server runs at an address, with a token: by its file, and by the lock that it holds."""
    with contextlib.ExitStack() as held:

        def say(base_url: str, token: str) -> None:
            paths.server_file().parent.mkdir(parents=True)
            paths.server_file().write_text(json.dumps({"base_url": base_url, "token": token}))
            lock = held.enter_context(paths.server_lock_file().open("wb"))
            fcntl.flock(lock, fcntl.LOCK_EX)

        yield say


@pytest.fixture(autouse=True)
def settings_restored() -> Iterator[None]:
    """What a test chooses does not reach the next one."""
    yield
    for name, value in vars(Chosen()).items():
        setattr(chosen, name, value)
