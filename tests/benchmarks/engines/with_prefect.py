"""Prefect: a flow of three tasks, with the server that it starts by itself. Run in an environment of its own."""

from __future__ import annotations

import asyncio
import os
import sys

os.environ["PREFECT_HOME"] = sys.argv[1]
os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
from pace import pace, say
from prefect import flow, task
from prefect.server.api.server import SubprocessASGIServer


@task(persist_result=True)
async def node(value: dict) -> dict:
    """Do nothing."""
    return value


@flow(persist_result=True)
async def graph(number: int) -> dict:
    """Three nodes, one after the other."""
    return await node(await node(await node({"n": number})))


async def _run(number: int) -> None:
    assert await graph(number) == {"n": number}


async def _main(runs: int, clients: int) -> None:
    say(await pace(_run, runs, clients))


server = SubprocessASGIServer()
server.start()
os.environ["PREFECT_API_URL"] = server.api_url
try:
    asyncio.run(_main(int(sys.argv[2]), int(sys.argv[3])))
finally:
    server.stop()
