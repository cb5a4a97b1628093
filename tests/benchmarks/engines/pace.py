"""How each engine is timed: the same loop around a coroutine that takes one run to its end.

It is imported in environments that have nothing of ours, and needs the standard library alone.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

WARM = 5


async def pace(run: Callable[[int], Awaitable[None]], runs: int, clients: int) -> dict[str, float]:
    """Take ``runs`` runs to their end, ``clients`` at a time; return runs per second and CPU seconds per run."""
    for number in range(WARM):
        await run(-1 - number)
    numbers = iter(range(runs))

    async def client() -> None:
        for number in numbers:
            await run(number)

    wall, processor = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(clients)))
    return {
        "runs_per_second": runs / (time.perf_counter() - wall),
        "cpu_per_run": (time.process_time() - processor) / runs,
    }


def say(figures: dict[str, float]) -> None:
    """Print the result where the benchmark reads it: on the last line."""
    print(json.dumps(figures), flush=True)
