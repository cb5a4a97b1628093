"""Code in namespaces of its own, where bubblewrap can make them."""

import asyncio
import socket
import time

import pytest

from orchestra_magic.local.sandbox import bubblewrap
from orchestra_magic.local.sandbox.runner import Sandbox

from .programs import run


@pytest.fixture
def bwrapped(monkeypatch):
    if reason := bubblewrap.unusable():
        pytest.skip(reason)
    monkeypatch.setenv("ORCHESTRA_CODE_SANDBOX", "bwrap")


def test_isolated_code_is_python_all_the_same(bwrapped):
    done = run("import numpy\nprint('out')\nopen('f', 'w').write('x')\n[int(numpy.arange(3).sum()), {{x}}]", {"x": "v"})
    assert (done.results, done.stdout, done.error) == ([3, "v"], "out\n", "")


def test_isolated_code_sees_nothing_else(bwrapped, tmp_path):
    assert "FileNotFoundError" in run(f"open({str(tmp_path)!r} + '/x')").error
    assert run("import os\nlen([one for one in os.listdir('/proc') if one.isdigit()])").results <= 4
    assert run("import os\nos.path.exists('/root/.ssh') or os.path.exists('/home')").results is False


def test_isolated_code_is_ended(bwrapped):
    began = time.monotonic()
    assert "longer than 1 s" in run("import time\ntime.sleep(60)", timeout=1).stopped
    assert run("import os\nos._exit(3)").stopped.startswith("the code ended its process (exit status 3)")
    assert run("import ctypes\nctypes.string_at(0)").stopped == "the process of the code was ended by SIGSEGV"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("trusted", "reached"), [(True, True), (False, False)])
def test_isolated_code_without_trust_has_no_network(bwrapped, trusted, reached):
    async def once(program):
        sandbox = Sandbox()
        try:
            return await sandbox.run(program, {}, trusted=trusted)
        finally:
            await sandbox.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        done = asyncio.run(once(f"import socket\nsocket.create_connection({address!r}, 2).close()\n'reached'"))
    assert (done.results == "reached") is reached
    assert bool(done.error) is not reached
