"""The time from a run's end on the server to the return of who waits for it, beside fixed polls.

Forty runs of 0.2 to 20 s, each watched by all strategies at once, from a process each: our handle on the embedded
Orchestra, our handle on a server that only answers polls, and polls at fixed intervals. Run it with
``pytest tests/benchmarks/test_latency.py -m slow -s``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from local.embedded import LocalServer

from orchestra_magic.client.records import moment

from .figures import median, table

RUNS, SHORTEST, LONGEST = 40, 0.2, 20.0
LANES = 2
"""How many runs are under way at once."""
PATIENCE = 120
SLEEPER = {
    "input_data": {"seconds": {"type": "number"}},
    "nodes": {"sleep": {"type": "code", "metadata": {"code": "import time\ntime.sleep({{seconds}})", "timeout": 60}}},
    "edges": [["START", "sleep"], ["sleep", "END"]],
}
ONLOOKER = Path(__file__).parent / "onlooker.py"


class Polled:
    """A server that only answers polls: it passes on to a real one, and knows neither ``Prefer`` nor ``ETag``."""

    def __init__(self, far: LocalServer) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self) -> None:
                headers = {"Authorization": self.headers["Authorization"]}
                answer = requests.get(far.base_url + self.path, headers=headers, timeout=30)
                self.send_response_only(answer.status_code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Onlooker:
    """One strategy in a process of its own."""

    def __init__(self, strategy: str, base_url: str, server: LocalServer) -> None:
        command = [sys.executable, str(ONLOOKER), strategy, base_url, server.token]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=server.environment
        )
        assert self.process.stdout is not None
        assert "ready" in self.process.stdout.readline()
        self._lock = threading.Lock()
        self._told: dict[str, dict[str, Any]] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def watch(self, workflow: str, run_id: str) -> None:
        assert self.process.stdin is not None
        with self._lock:
            self.process.stdin.write(f"{workflow} {run_id}\n")
            self.process.stdin.flush()

    def result(self, run_id: str) -> dict[str, Any]:
        with self._news:
            assert self._news.wait_for(lambda: run_id in self._told, timeout=PATIENCE)
            return self._told[run_id]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            with self._news:
                self._told[said["run"]] = said
                self._news.notify_all()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    made = LocalServer(tmp_path / "orchestra").start()
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_time_from_the_end_to_the_return(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = server.upload(SLEEPER, name="sleeper", trusted=True)
    server.finish(workflow, {"seconds": 0})
    polled = Polled(server)
    onlookers = {
        "ours, embedded Orchestra": Onlooker("handle", server.base_url, server),
        "ours, polls alone": Onlooker("handle", polled.base_url, server),
        "fixed poll of 1 s": Onlooker("1", server.base_url, server),
        "fixed poll of 5 s": Onlooker("5", server.base_url, server),
    }
    execute = threading.Lock()  # LocalServer has one connection

    def watched(seconds: float) -> tuple[float, dict[str, tuple[float, int]]]:
        with execute:
            run_id = server.execute(workflow, {"seconds": seconds})
        for onlooker in onlookers.values():
            onlooker.watch(workflow, run_id)
        told = {name: onlooker.result(run_id) for name, onlooker in onlookers.items()}
        with execute:
            run = server.run(workflow, run_id)
        started, ended = moment(run["start_time"]), moment(run["end_time"])
        assert run["status"] == "completed"
        assert started is not None
        assert ended is not None
        late = {name: (said["back"] - ended.timestamp(), said["requests"]) for name, said in told.items()}
        return (ended - started).total_seconds(), late

    lengths = [SHORTEST * (LONGEST / SHORTEST) ** (n / (RUNS - 1)) for n in range(RUNS)]
    try:
        with ThreadPoolExecutor(LANES) as lanes:
            results = list(lanes.map(watched, [length for n in range(LANES) for length in lengths[n::LANES]]))
    finally:
        for onlooker in onlookers.values():
            onlooker.close()
        polled.close()

    rows = []
    for name in onlookers:
        delays = [late[name][0] for _, late in results]
        shares = [late[name][0] / length for length, late in results]
        counts = [late[name][1] for _, late in results]
        rows.append(
            [
                name,
                f"{1000 * median(delays):.0f}",
                f"{1000 * max(delays):.0f}",
                f"{100 * median(shares):.1f} %",
                f"{median(counts):.0f}",
                f"{sum(counts)}",
            ]
        )
    with capsys.disabled():
        head = ["strategy", "median ms", "longest ms", "median share", "requests a run", "in all"]
        print(f"\n{RUNS} runs of {SHORTEST:g} to {LONGEST:g} s\n" + table(head, rows))

    ours = [late["ours, embedded Orchestra"][0] for _, late in results]
    assert median(ours) <= 0.030
    for length, late in results:
        assert late["ours, polls alone"][0] <= 0.15 * length + 0.3, (length, late)
