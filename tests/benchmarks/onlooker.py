"""A process that waits for runs by one strategy: ids on its input, the moment of each return on its output.

``python onlooker.py STRATEGY BASE_URL TOKEN``, where the strategy is ``handle`` for :meth:`Run.wait`, or the
seconds of a fixed poll.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import requests

from orchestra_magic import Orchestra


class Counted(Orchestra):
    """Counts what is asked, thread by thread."""

    here = threading.local()

    def ask(self, *given: Any, **named: Any) -> Any:
        self.here.count = getattr(self.here, "count", 0) + 1
        return super().ask(*given, **named)


def by_handle(orchestra: Counted, workflow: str, run_id: str) -> int:
    Counted.here.count = 0
    orchestra.run(run_id, workflow=workflow).wait(timeout=120)
    return Counted.here.count


def by_fixed_poll(http: requests.Session, url: str, seconds: float) -> int:
    count = 0
    while True:
        count += 1
        (run,) = http.get(url, timeout=30).json()
        if run["end_time"]:
            return count
        time.sleep(seconds)


def main(strategy: str, base_url: str, token: str) -> None:
    orchestra = Counted(base_url, token)
    http = requests.Session()
    http.trust_env = False
    http.headers["Authorization"] = f"Bearer {token}"

    def follow(workflow: str, run_id: str) -> None:
        if strategy == "handle":
            count = by_handle(orchestra, workflow, run_id)
        else:
            count = by_fixed_poll(http, f"{base_url}/workflows/{workflow}/runs/{run_id}", float(strategy))
        print(json.dumps({"run": run_id, "back": time.time(), "requests": count}), flush=True)

    orchestra.workflows()  # as in a session that is under way
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        threading.Thread(target=follow, args=line.split(), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
