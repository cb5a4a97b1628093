"""A real embedded Orchestra in a process of its own, and the shortest way to talk to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests


class LocalServer:
    """An embedded Orchestra with a home of its own.

    ``base_url`` and ``token`` are what a client needs; the rest is for tests of the server itself.
    """

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("ORCHESTRA_") and "proxy" not in name.lower()
        }
        self.environment |= {"ORCHESTRA_HOME": str(home), "ORCHESTRA_MODEL_BASE_URL": "none", **environment}
        self.http = requests.Session()
        self.http.trust_env = False
        self._ids: dict[str, str] = {}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``orchestra-local`` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "orchestra_magic.local", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *options: str) -> LocalServer:
        done = self.command("start", "--json", *options)
        assert done.returncode == 0, done.stderr
        self.read()
        return self

    def read(self) -> dict[str, Any]:
        about = json.loads((self.home / "local" / "server.json").read_text())
        self.base_url, self.token, self.pid = about["base_url"], about["token"], about["pid"]
        self.http.headers["Authorization"] = f"Bearer {self.token}"
        return about

    def running(self) -> bool:
        try:
            self.read()
        except OSError:
            return False
        return _alive(self.pid)

    def stop(self) -> None:
        """As ``orchestra-local stop`` does it, without a process of its own."""
        if self.running():
            self._end(signal.SIGTERM)

    def close(self) -> None:
        """Stop it, and see that nothing went wrong in it unseen."""
        self.stop()
        log = self.home / "local" / "server.log"
        crash = self.home / "local" / "crash.log"
        assert "Traceback" not in (crash.read_text() if crash.exists() else "")
        said = log.read_text() if log.exists() else ""
        assert " ERROR " not in said, said
        assert " WARNING " not in said, said

    def kill(self) -> None:
        """As a power cut does it, for the process alone."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)
        while _alive(self.pid):
            time.sleep(0.005)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, self.base_url + path, timeout=70, **options)

    def get(self, path: str, **options: Any) -> Any:
        response = self.request("GET", path, **options)
        assert response.status_code == 200, response.text
        return response.json()

    def id_of(self, name: str) -> str:
        if name not in self._ids:
            self._ids = {one["name"]: one["workflow_id"] for one in self.get("/workflows")}
        return self._ids.get(name, name)

    def upload(self, graph: Any, **wrapping: Any) -> str:
        body = {"graph": graph, **wrapping} if wrapping else graph
        response = self.request("POST", "/workflows", json=body)
        assert response.status_code == 200, response.text
        return response.json()["workflow_id"]

    def execute(self, workflow: str, inputs: Any = None, **headers: str) -> str:
        path = f"/workflows/{self.id_of(workflow)}/execute"
        response = self.request("POST", path, json=inputs or {}, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()["run_id"]

    def run(self, workflow: str, run_id: str, *, wait: int = 60) -> dict[str, Any]:
        path = f"/workflows/{self.id_of(workflow)}/runs/{run_id}"
        [run] = self.get(path, headers={"Prefer": f"wait={wait}"} if wait else {})
        return run

    def steps(self, workflow: str, run_id: str) -> list[dict[str, Any]]:
        return self.get(f"/workflows/{self.id_of(workflow)}/runs/{run_id}/steps")

    def finish(self, workflow: str, inputs: Any = None) -> dict[str, Any]:
        """Execute, and return the run when it is over."""
        run = self.run(workflow, self.execute(workflow, inputs))
        assert run["end_time"], run
        return run


def _alive(pid: int) -> bool:
    """Tell whether ``pid`` is a server of ours; what has ended has no command line."""
    try:
        return b"orchestra_magic.local" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
