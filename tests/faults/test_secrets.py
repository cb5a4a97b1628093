"""A planted key is looked for after every fault, everywhere it could have got to."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keyring
import pytest
from IPython.core.interactiveshell import InteractiveShell
from keyring.backend import KeyringBackend
from scripted import Reply, Scripted

from orchestra_magic import Orchestra, OrchestraConfigError, OrchestraError, RunFailed
from orchestra_magic.client import reconcile, settings
from orchestra_magic.client.keys import Key
from orchestra_magic.notebook.form import Form

from .conftest import EXECUTE, INPUTS, LISTED, RUNS, STATE, STEPS, WF, Far
from .hunt import Hunt
from .table import FAULTS, RUN, STARTED, Fault

MakeFar = Callable[[Fault], Far]


def modules() -> dict[str, Any]:
    """All that the package keeps in its modules: settings, sessions, open connections."""
    return {name: vars(module) for name, module in sys.modules.items() if name.startswith("orchestra_magic")}


def test_the_hunt_finds_what_is_there(key: str, tmp_path: Path) -> None:
    class Slotted:
        __slots__ = ("kept",)

    slotted = Slotted()
    slotted.kept = {"deep": [(f"Bearer {key}",)]}

    def generated(kept: str) -> Iterator[str]:
        yield kept

    hidden: Any = ValueError()
    hidden.__context__ = OSError(1, key[: len(key) // 2])
    text = f"Bearer {key}"
    things = [slotted, hidden, {key: 1}, [key.upper().encode()], deque([key]), generated(key)]
    functions = [text.strip, slotted.__repr__, partial(print, key), lambda: text, lambda given=key: given]
    for number, thing in enumerate([*things, *functions]):
        hunt = Hunt(key)
        hunt.thing(thing, f"thing {number}")
        assert hunt.found, number
    (tmp_path / "file").write_bytes(b"\xff" + key.encode())
    hunt = Hunt(key)
    hunt.files(tmp_path)
    assert hunt.found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_after_every_fault(
    fault: Fault,
    far: MakeFar,
    hunt: Hunt,
    isolated: Path,
    shell: InteractiveShell,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By magic, with the longest errors there are, and by function; logs at DEBUG."""
    caplog.set_level(logging.DEBUG)
    for name in (None, "urllib3", "requests", "orchestra_magic"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    end = far(fault)
    end.break_gets()
    end.break_posts()
    shell.run_cell("%config OrchestraMagics.verbose_errors = True")
    shell.run_cell("%xmode Verbose")
    orchestra = shell.magics_manager.registry["OrchestraMagics"].orchestra
    for cell in ("%orchestra_workflows", f"%%orchestra_execute {WF} -o run\nprompt: hello"):
        result = shell.run_cell(cell)
        hunt.thing(result.error_in_exec, f"the error of {cell}")
        hunt.thing(result.result, f"the value of {cell}")
        if result.error_in_exec is not None:
            hunt.text("".join(traceback.format_exception(result.error_in_exec)), "the traceback")
            assert result.error_in_exec.__context__ is None
        else:
            hunt.thing(shell.display_formatter.format(result.result), "how it is displayed")
    shell.run_cell("%config OrchestraMagics")
    shell.run_cell("%whos")
    hunt.thing(orchestra, "orchestra")
    hunt.thing(modules(), "module")
    hunt.thing(
        {name: shell.user_ns.get(name) for name in ("run", "run_id", "In", "Out", "_ih", "_oh")}, "the namespace"
    )
    printed = capsys.readouterr()
    hunt.text(printed.out, "what was printed")
    hunt.text(printed.err, "what was printed as an error")
    hunt.text(caplog.text, "the logs")
    hunt.thing([record.__dict__ for record in caplog.records], "log record")
    hunt.files(isolated)
    arrived = [said for said in end.server.said if said.method == "POST"]
    assert len(arrived) == fault.posts


def test_everything_that_works(
    far: MakeFar, hunt: Hunt, key: str, isolated: Path, shell: InteractiveShell, caplog: pytest.LogCaptureFixture
) -> None:
    """Public objects that hold what a server said: looked into, shown, pickled and copied."""
    caplog.set_level(logging.DEBUG)
    server = far(FAULTS[-1]).server
    server.on("GET", "/workflows", LISTED)
    server.on("POST", EXECUTE, STARTED)
    done = [{"id": RUN, "status": "completed", "inputs": INPUTS, "outputs": "Hi", "end_time": "2026-01-01T00:00:00Z"}]
    server.on("GET", STATE, done)
    server.on("GET", STEPS, [{"id": "s", "node_id": "n", "status": "completed"}])
    server.on("GET", RUNS, done)
    for orchestra in (Orchestra(), Orchestra(server.base_url, key)):
        run = orchestra.execute(WF, INPUTS).wait(20)
        form = Form(orchestra, orchestra.workflow(WF), shell).set(**INPUTS)
        form.submit()
        form.run.wait(20)
        things = [orchestra, run, run.steps(), orchestra.workflow(WF), orchestra.history(WF), orchestra.runs()]
        things += [orchestra.preview(WF, INPUTS), form, form.widget.get_state(), orchestra.endpoint()]
        for thing in things:
            hunt.thing(thing, type(thing).__name__)
            hunt.text(str(thing), "str")
            hunt.thing(shell.display_formatter.format(thing), "how it is displayed")
        for thing in (orchestra, run, orchestra.endpoint(), form):
            try:
                hunt.text(pickle.dumps(thing), "a pickle")
            except (TypeError, pickle.PicklingError, AttributeError) as error:
                hunt.text(str(error), "why there is no pickle")
        assert copy.deepcopy(orchestra).base_url == orchestra.base_url
        hunt.thing(copy.deepcopy(orchestra), "a copy")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Key(key))
    hunt.text(caplog.text, "the logs")
    hunt.thing(modules(), "module")
    hunt.files(isolated)
    assert {said.headers["Authorization"] for said in server.said} == {f"Bearer {key}"}


ECHOES: dict[str, Callable[[str], Reply]] = {
    "detail": lambda key: Reply(401, {"detail": f"unknown key {key}"}),
    "detail in the list of a validation": lambda key: Reply(422, {"detail": [{"loc": [key], "msg": f"{key}!"}]}),
    "another member": lambda key: Reply(400, {"headers": {"authorization": f"Bearer {key}"}}),
    "text": lambda key: Reply(403, body=f"Authorization: Bearer {key}".encode()),
    "title": lambda key: Reply(500, body=f"<html><title>{key}</title>".encode()),
    "upper case": lambda key: Reply(400, {"detail": key.upper()}),
    "quoted for a URL": lambda key: Reply(400, {"detail": key.replace("-", "%2D")}),
    "JSON with escapes": lambda key: Reply(
        400, body=b'{"detail": "' + "".join(f"\\u{ord(c):04x}" for c in key).encode() + b'"}'
    ),
    "where a long text is cut": lambda key: Reply(400, {"detail": "x" * 585 + key}),
    "where a long body is cut": lambda key: Reply(400, body=b" " * 99_985 + key.encode() + b"x" * 10),
    "content type": lambda key: Reply(200, body=b"?", headers={"Content-Type": f"text/{key}"}),
    "location": lambda key: Reply(302, headers={"Location": f"https://elsewhere.example/?key={key}"}),
    "Retry-After": lambda key: Reply(429, headers={"Retry-After": key}),
}


@pytest.mark.parametrize("echo", ECHOES)
def test_a_key_that_the_server_echoes(
    echo: str, orchestra: Orchestra, server: Scripted, key: str, hunt: Hunt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "PAUSES", (0.0,))
    server.on("GET", "/workflows", ECHOES[echo](key))
    server.on("POST", EXECUTE, ECHOES[echo](key))
    server.on("GET", RUNS, ECHOES[echo](key))
    for ask in (orchestra.workflows, lambda: orchestra.execute(WF, INPUTS)):
        with pytest.raises(OrchestraError) as caught:
            ask()
        hunt.thing(caught.value, "error")
        hunt.text(str(caught.value), "message")


@pytest.mark.parametrize("planted", ["sk/with+odd=chars&<>/0123456789", "sk-planted-0123456789abcdef"])
def test_a_key_in_the_error_of_a_run(
    planted: str, server: Scripted, shell: InteractiveShell, isolated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also as other languages write it within JSON."""
    hunt = Hunt(planted)
    orchestra = Orchestra(server.base_url, planted)
    state = json.dumps([{"id": RUN, "status": "failed", "error": {"sent": [f"Bearer {planted}"]}}])
    step = json.dumps([{"id": "s", "node_id": "n", "status": "failed", "error": f"401 for {planted}"}])
    server.on("POST", EXECUTE, STARTED)
    server.on("GET", "/workflows", LISTED)
    server.on("GET", STATE, Reply(body=state.replace("/", "\\/").encode()))
    server.on("GET", STEPS, Reply(body=step.encode()))
    run = orchestra.execute(WF, INPUTS)
    with pytest.raises(RunFailed, match=r"\*{8}") as caught:
        run.wait(20)
    hunt.thing(caught.value, "error")
    for thing in (run, run.steps(), run.state):
        hunt.thing(thing, "thing")
        hunt.thing(shell.display_formatter.format(thing), "how it is displayed")
    hunt.files(isolated)
    hunt.nothing()


@pytest.mark.parametrize("planted", ["%" * 40, "\\" * 40, "%25" * 20, "&amp;" * 12, "a-" * 40])
def test_no_text_makes_the_search_for_a_key_long(planted: str) -> None:
    key = Key(planted)
    for text in (planted[:-1] * 1000, "%25" * 5000, "\\" * 10_000, "&amp;&" * 5000):
        key.mask(text)
    assert planted not in key.mask(f"x{planted}y")


def test_the_traceback_of_an_interrupt(orchestra: Orchestra, server: Scripted, hunt: Hunt) -> None:
    """It is no error of ours, so it is shown with its frames, by some settings with their variables."""
    arrived = threading.Event()

    def hang(handler: Any) -> None:
        arrived.set()
        handler.server.closing.wait()

    def press() -> None:
        assert arrived.wait(60)
        os.kill(os.getpid(), signal.SIGINT)

    server.on("GET", "/workflows", Reply(act=hang))
    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt) as caught:
        orchestra.workflows()
    presser.join()
    hunt.thing(caught.value, "interrupt")


def test_outputs_are_the_persons_own(orchestra: Orchestra, server: Scripted, key: str) -> None:
    """Nobody's data are changed: only what is shown as an error."""
    outputs = {"text": f"about {key}", "error": f"with {key}"}
    server.on("GET", STATE, [{"id": RUN, "status": "completed", "outputs": outputs}])
    found = orchestra.run(RUN, workflow=WF).outputs
    assert found["text"] == f"about {key}"


def test_nothing_goes_to_other_servers(
    orchestra: Orchestra, server: Scripted, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By redirects of every kind, by a change of the address, by a proxy that the environment names."""
    stranger = Scripted()
    monkeypatch.setenv("ORCHESTRA_API_KEY", key)
    monkeypatch.setenv("ORCHESTRA_BASE_URL", server.base_url)
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{stranger.host}")
    settings.chosen.proxies = {"http": f"http://{stranger.host}"}
    for status in (300, 301, 302, 303, 307, 308):
        for place in (stranger.base_url, f"//{stranger.host}/x", f"http://user@{stranger.host}/"):
            server.on("GET", "/workflows", Reply(status, headers={"Location": place}))
            server.on("POST", EXECUTE, Reply(status, headers={"Location": place}))
            for ask in (orchestra.workflows, lambda: orchestra.execute(WF, INPUTS)):
                with pytest.raises(OrchestraError, match="redirects to"):
                    ask()
    settings.chosen.base_url = stranger.base_url
    with pytest.raises(OrchestraConfigError, match="goes nowhere else"):
        Orchestra().workflows()
    settings.chosen.keys[server.host] = Key(key)
    with pytest.raises(OrchestraConfigError, match="goes nowhere else"):
        Orchestra().workflows()
    assert stranger.said == []
    stranger.close()


def test_netrc_does_not_replace_the_key(orchestra: Orchestra, server: Scripted, key: str, isolated: Path) -> None:
    netrc = isolated / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\ndefault login me password other\n")
    netrc.chmod(0o600)
    server.on("GET", "/workflows", Reply(307, headers={"Location": "/api/v1/workflow/moved"}))
    server.on("GET", "/moved", LISTED)
    server.on("POST", EXECUTE, STARTED)
    orchestra.workflows()
    orchestra.execute(WF, INPUTS)
    # Beyond this computer the session trusts the environment, and so would read the file: here by way of a proxy.
    settings.chosen.allow_insecure = True
    settings.chosen.proxies = {"http": f"http://{server.host}"}
    server.on("GET", "http://far.example/workflows", LISTED)
    Orchestra("http://far.example", key).workflows()
    assert server.said[-1].path == "http://far.example/workflows"
    assert [said.headers["Authorization"] for said in server.said] == [f"Bearer {key}"] * 4


class Ring(KeyringBackend):
    """A key store of one's own, as people write them."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


def test_a_key_from_the_keyring(
    server: Scripted, key: str, hunt: Hunt, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "orchestra_magic")
    before, ring = keyring.get_keyring(), Ring()
    keyring.set_keyring(ring)
    try:
        keyring.set_password("orchestra_magic", server.host, key)
        monkeypatch.setenv("ORCHESTRA_BASE_URL", server.base_url)
        server.on("GET", "/workflows", LISTED)
        orchestra = Orchestra()
        orchestra.workflows()
        assert server.said[0].headers["Authorization"] == f"Bearer {key}"
        hunt.thing(orchestra, "orchestra")
        monkeypatch.setattr(ring, "get_password", lambda *_: (_ for _ in ()).throw(RuntimeError(key)))
        with pytest.raises(OrchestraConfigError, match="no API key") as caught:
            orchestra.workflows()
        hunt.thing(caught.value, "the error of a key store that fails")
        assert "no key from the keyring: RuntimeError" in caplog.text
        hunt.text(caplog.text, "the logs")
    finally:
        keyring.set_keyring(before)
