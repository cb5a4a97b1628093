"""Keys that are planted in the server, and looked for wherever they could turn up."""

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest

from orchestra_magic.local import secrets
from orchestra_magic.local.sandbox import access, bubblewrap, landlock, strict

from .embedded import LocalServer
from .graphs import code, graph
from .programs import WITHOUT_LANDLOCK

MODEL_KEY, SITE_KEY, RING_KEY = (f"sk-planted-{name}-0123456789abcdef" for name in ("model", "site", "ring"))
KEYS = (MODEL_KEY, SITE_KEY, RING_KEY)
KEYRING = f"""
from keyring.backend import KeyringBackend

class Keyring(KeyringBackend):
    priority = 9

    def set_password(self, service, username, password):
        raise NotImplementedError

    def get_password(self, service, username):
        return {RING_KEY!r} if (service, username) == ("orchestra_magic", "ORCHESTRA_SECRET_RING") else None
"""
# Everything that a program can read of the system and of the server's folders, gathered as text.
SPY = """
import glob, os, subprocess
found = {"environ": dict(os.environ)}
pids = [str(os.getppid()), *map(str, {{pids}})]
try:
    pids += [one for one in os.listdir("/proc") if one.isdigit()]
except OSError:
    pass
for pid in pids:
    for name in ("environ", "cmdline", "maps", "fd"):
        path = f"/proc/{pid}/{name}"
        try:
            if name == "fd":
                found[path] = [os.readlink(f"{path}/{one}") for one in os.listdir(path)]
            else:
                found[path] = open(path, "rb").read()[:100000].decode("latin-1")
        except OSError as error:
            found[path] = type(error).__name__
for folder in {{folders}}:
    for path in glob.glob(f"{folder}/**/*", recursive=True) + [f"{folder}/local/server.json"]:
        try:
            found[path] = open(path, "rb").read().decode("latin-1")
        except OSError as error:
            found[path] = type(error).__name__
try:
    found["ps"] = subprocess.run(["ps", "axewww"], capture_output=True, text=True).stdout
except OSError as error:
    found["ps"] = type(error).__name__
found
"""


@pytest.fixture(scope="module")
def echo():
    """Says in its answer all that it was sent: a chat completion, and JSON."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said = json.dumps(dict(self.headers))
            status = 401 if self.path.startswith("/refusing") else 200
            body = json.dumps({"choices": [{"message": {"content": said}}], "headers": dict(self.headers)}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Echo", self.headers.get("Authorization", ""))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def server(tmp_path_factory, echo):
    """A server of this test alone: what it wrote is searched when it has stopped."""
    pytest.importorskip("keyring")
    ring = tmp_path_factory.mktemp("ring")
    (ring / "planted_ring.py").write_text(KEYRING)
    environment = {
        "ORCHESTRA_MODEL_BASE_URL": f"{echo}/v1",
        "ORCHESTRA_MODEL_API_KEY": MODEL_KEY,
        "ORCHESTRA_SECRET_SITE": SITE_KEY,
        "ORCHESTRA_HTTP_PRIVATE": "1",
        "PYTHONPATH": str(ring),
        "PYTHON_KEYRING_BACKEND": "planted_ring.Keyring",
    }
    running = LocalServer(tmp_path_factory.mktemp("planted"), **environment).start()
    yield running
    running.close()


def forms(key):
    raw = key.encode()
    encoded = [base64.b64encode(raw[shift:])[4:-4] for shift in range(3)]
    return [raw, quote(key).encode(), raw.hex().encode(), raw[::-1], *encoded]


def assert_clean(where, content):
    for key in KEYS:
        for form in forms(key):
            assert form not in content, f"a key stands in {where}"


def nodes_that_use_keys(echo):
    def request(secret, path=""):
        headers = {"Authorization": f"Bearer {secret}"}
        metadata = {"integration": "http_request", "url": f"{echo}{path}", "secret_headers": headers}
        return {"type": "integration", "metadata": metadata}

    model = {"type": "model", "metadata": {"model": "m", "messages": [{"role": "user", "content": "hi"}]}}
    return {"ask": model, "site": request("SITE"), "ring": request("RING"), "refused": request("SITE", "/refusing")}


def test_a_key_stands_nowhere(server, echo):
    nodes = nodes_that_use_keys(echo) | {
        "spy": code(SPY),
        "after": code("[{{ask}}, {{site}}, {{ring}}, {{refused}}, dict(__import__('os').environ)]"),
    }
    chain = ["START", *nodes, "END"]
    workflow = server.upload(
        graph(
            nodes,
            *(f"{before} {after}" for before, after in pairwise(chain)),
            input_data={"pids": {"type": "array"}, "folders": {"type": "array"}},
        ),
        name="planted",
    )
    run = server.finish(workflow, {"pids": [server.pid, os.getpid()], "folders": [str(server.home)]})
    assert run["status"] == "completed", run["error"]
    outputs = run["all_outputs"]
    # They were sent: what came back has their mask in the place of them.
    assert "Bearer ***" in outputs["ask"]
    for name in ("site", "ring", "refused"):
        assert outputs[name]["data"]["results"]["headers"]["Authorization"] == "Bearer ***"
    answers = {
        "the run": run,
        "the steps": server.steps(workflow, run["id"]),
        "the workflows": server.get("/workflows"),
        "the history": server.get(f"/workflows/{workflow}/runs"),
        "the diagram": server.get(f"/workflows/{workflow}/diagram"),
    }
    spied = outputs["spy"]["data"]["results"]
    assert spied, outputs["spy"]
    assert spied["environ"]["HOME"] != str(Path.home())
    if landlock.version():
        assert spied[f"/proc/{server.pid}/environ"] == "PermissionError"
        assert spied[f"{server.home}/local/server.json"] == "PermissionError"
        assert server.token not in json.dumps(spied)
    else:
        answers["the run"]["all_outputs"].pop("spy")
        answers["the steps"] = [one for one in answers["the steps"] if one["node_id"] != "spy"]
    for where, answer in answers.items():
        assert_clean(where, json.dumps(answer).encode())
    assert_clean("the answer of the command", server.command("logs").stdout.encode())
    if landlock.version():
        server.stop()
        for path in server.home.rglob("*"):
            if path.is_file():
                assert_clean(path, path.read_bytes())


@pytest.mark.parametrize("sandbox", ["bwrap", "strict"])
def test_isolated_code_finds_no_key(server, sandbox):
    reason = {"bwrap": bubblewrap.unusable, "strict": strict.unusable}[sandbox]()
    if reason:
        pytest.skip(reason)
    spy = SPY if sandbox == "bwrap" else "import os\nopen('/proc/self/environ').read()"
    inputs = {"pids": [server.pid], "folders": [str(server.home)]}
    node = graph({"spy": code(spy, sandbox=sandbox)}, "START spy", "spy END", input_data={key: [] for key in inputs})
    run = server.finish(server.upload(node, name=sandbox, trusted=False), inputs)
    data = run["all_outputs"]["spy"]["data"]
    assert_clean(sandbox, json.dumps(data).encode())
    if sandbox == "bwrap":
        assert data["results"][f"/proc/{server.pid}/environ"] == "FileNotFoundError"
    else:
        assert "Error" in data["error"]


def test_code_without_trust_is_given_no_secret(server, echo):
    nodes = {"site": nodes_that_use_keys(echo)["site"]}
    run = server.finish(server.upload(graph(nodes, "START site", "site END"), name="foreign", trusted=False))
    assert "given no secrets" in run["error"]


SERVER = """
sys.argv = ["orchestra-local", "start", "--json"]
runpy.run_module("orchestra_magic.local", run_name="__main__")
"""


@pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"), reason="the filter is for these two"
)
def test_a_server_without_landlock_says_what_code_can_read_and_it_is_so(make_server):
    server = make_server(ORCHESTRA_SECRET_SITE=SITE_KEY)
    command = [sys.executable, "-c", WITHOUT_LANDLOCK + SERVER]
    done = subprocess.run(command, env=server.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    server.read()
    [said] = done.stderr.splitlines()
    assert "this system has no Landlock: code nodes can read what you can read, also keys" in said
    assert "no Landlock" in server.command("logs").stdout
    program = f"open('/proc/{server.pid}/environ').read().count({SITE_KEY[::-1]!r}[::-1])"
    run = server.finish(server.upload(graph({"spy": code(program)}, "START spy", "spy END"), name="spy"))
    # Whoever gave up the powers of root may not look into a process that has them.
    assert run["all_outputs"]["spy"]["data"]["results"] == (1 if os.geteuid() else None)


def test_the_server_says_at_its_start_what_code_can_see(server):
    assert access.limits_of_the_sandbox() in server.command("logs").stdout


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (f"a {SITE_KEY} b", "a *** b"),
        ({"k": [SITE_KEY, 5, None], SITE_KEY: ""}, {"k": ["***", 5, None], "***": ""}),
        ("\ud800" + SITE_KEY, "\ud800***"),
    ],
)
def test_hidden(value, shown):
    assert secrets.hidden(value, [SITE_KEY, "short"]) == shown
    assert secrets.hide(b"short", ["short"[:3], None]) == b"short"


def test_hidden_however_json_escapes_it():
    key = 'sk-"pl/an\\té\nd\\'
    as_json = json.dumps(key)
    inside = json.dumps({"error": as_json.replace("/", "\\/")})
    numbers = "".join(f"\\u{ord(one):04X}" for one in key)
    for form in (key, as_json, as_json.replace("/", "\\/"), json.dumps(key, ensure_ascii=False), inside, numbers):
        shown = secrets.hide(form.encode(), [key])
        assert b"***" in shown
        assert b"sk-" not in shown
        assert b"pl" not in shown


@pytest.mark.timeout(5)
def test_long_answers_are_searched_in_no_time():
    assert secrets.hide(b"\\" * 10**6, [SITE_KEY]) == b"\\" * 10**6
