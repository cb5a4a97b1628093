"""What a code node costs over the code itself: with a process that waits ahead, and from nothing, beside a bare Python.

Run it with ``pytest tests/benchmarks/test_code_node.py -m slow -s``.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from orchestra_magic.local.sandbox import strict
from orchestra_magic.local.sandbox.execution import Limits
from orchestra_magic.local.sandbox.process import Process
from orchestra_magic.local.sandbox.runner import Sandbox

from .figures import interval, median, spread, table

ROUNDS = 60
GOAL = 0.25
# A process that took the place of the last one is ready by then: two runs at once are another matter.
_PAUSE = 0.1


async def _warm(sandbox: Sandbox) -> float:
    began = time.perf_counter()
    done = await sandbox.run("1", {})
    took = time.perf_counter() - began
    assert done.results == 1
    return took


async def _cold() -> float:
    began = time.perf_counter()
    process = await Process.start()
    done = await process.run("1", {}, Limits())
    took = time.perf_counter() - began
    assert done.results == 1
    await process.end()
    return took


async def _strict(sandbox: Sandbox) -> float:
    began = time.perf_counter()
    done = await sandbox.run("1", {}, sandbox="strict")
    took = time.perf_counter() - began
    assert done.results == 1
    return took


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)
    return time.perf_counter() - began


async def _rounds() -> dict[str, list[float]]:
    sandbox = Sandbox()
    sandbox.prepare()
    times: dict[str, list[float]] = {"bare python": [], "warm": [], "cold": []}
    if strict.unusable() is None:
        times["strict"] = []
        await _strict(sandbox)
    for _ in range(ROUNDS):
        for name, found in times.items():
            await asyncio.sleep(_PAUSE)
            if name == "warm":
                found.append(await _warm(sandbox))
            elif name == "cold":
                found.append(await _cold())
            elif name == "strict":
                found.append(await _strict(sandbox))
            else:
                found.append(_bare())
    await sandbox.close()
    return times


@pytest.mark.slow
def test_overhead_of_a_code_node(capsys: pytest.CaptureFixture[str]) -> None:
    times = asyncio.run(_rounds())
    bare = times["bare python"]
    rows = []
    for name, found in times.items():
        low, middle, high = (1000 * one for one in spread(found))
        ratios = [one / beside for one, beside in zip(found, bare, strict=True)]
        between = "{:.2f} to {:.2f}".format(*interval(ratios))
        rows.append([name, f"{middle:.1f}", f"{low:.1f} to {high:.1f}", f"{median(ratios):.2f}", between])
    with capsys.disabled():
        print(f"\n\nA code node that does nothing, {ROUNDS} interleaved rounds, ms")
        print(table(["", "median", "quartiles", "over bare", "95 %"], rows))
    assert median([one / beside for one, beside in zip(times["warm"], bare, strict=True)]) <= GOAL
