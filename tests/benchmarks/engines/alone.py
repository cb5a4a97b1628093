"""The durable engine alone, as the embedded Orchestra sets it up: three steps that do nothing, and nothing of ours."""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

from orchestra_magic.local.engine import Engine, Places, Record


async def _nothing() -> Record:
    return {"output": {}}


async def _main(folder: str, runs: int, clients: int) -> None:
    from pace import pace, say

    over: dict[str, asyncio.Event] = {}

    async def work(run_id: str, places: Places) -> None:
        for step in [places.reserve(name) for name in ("a", "b", "c")]:
            await step(_nothing)
        over[run_id].set()

    engine = Engine(Path(folder), work)
    engine.launch()

    async def run(_number: int) -> None:
        run_id = str(uuid.uuid4())
        over[run_id] = asyncio.Event()
        await engine.start(run_id)
        await over[run_id].wait()

    figures = await pace(run, runs, clients)
    engine.close()
    say(figures)


asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
