"""The embedded Orchestra with a type of node that does nothing: its runs from acceptance to end, or its server."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from orchestra_magic.local.changes import Changes
from orchestra_magic.local.engine import Engine
from orchestra_magic.local.nodes import TYPES, Call, NodeType, Outcome, Services
from orchestra_magic.local.runs import Runs
from orchestra_magic.local.store import Store
from orchestra_magic.local.versions import Versions

GRAPH = {
    "input_data": {"n": "integer"},
    "nodes": {name: {"type": "nothing", "metadata": {}} for name in ("a", "b", "c")},
    "edges": [["START", "a"], ["a", "b"], ["b", "c"], ["c", "END"]],
    "selectedOutput": "c",
}


class Nothing(NodeType):
    """Does nothing, in this process."""

    name: ClassVar[str] = "nothing"

    def inputs(self, call: Call) -> dict[str, Any]:
        return {}

    async def run(self, inputs: dict[str, Any], call: Call) -> Outcome:
        return Outcome({})


class Noted(NodeType):
    """Takes a while, and writes down when it begins, in which process."""

    name: ClassVar[str] = "noted"

    def inputs(self, call: Call) -> dict[str, Any]:
        return {}

    async def run(self, inputs: dict[str, Any], call: Call) -> Outcome:
        line = f"{os.getpid()} {call.run_id} {call.node.name}\n"
        file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, line.encode())
        os.close(file)
        await asyncio.sleep(float(call.node.metadata["seconds"]))
        return Outcome({})


TYPES[Nothing.name] = Nothing()
TYPES[Noted.name] = Noted()


async def _main(folder: str, runs: int, clients: int) -> None:
    from pace import pace, say

    store = Store(Path(folder))
    versions, changes = Versions(store), Changes()
    engine = Engine(store, versions, Services(None, None), changes)  # type: ignore[arg-type]
    ours = Runs(store, versions, engine, changes)
    await store.save("three", "three", GRAPH)

    async def run(number: int) -> None:
        view = await ours.wait(await ours.accept("three", {"n": number}, None), None, 60)
        assert view, number
        assert view.status == "completed", view

    loop, process = time.thread_time(), time.process_time()
    figures = await pace(run, runs, clients)
    figures["cpu_of_commits"] = 1 - (time.thread_time() - loop) / (time.process_time() - process)
    await engine.close()
    store.close()
    say(figures)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        from orchestra_magic.local.__main__ import main

        sys.exit(main(sys.argv[1:]))
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
