"""LangGraph with its SQLite saver, each step on the disk before the next. Run in an environment of its own."""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any, TypedDict

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from pace import pace, say


def _merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {**one, **other}


class State(TypedDict):
    """Inputs and outputs."""

    values: Annotated[dict[str, Any], _merge]


def _node(name: str) -> Any:
    async def node(_state: State) -> State:
        return {"values": {name: {}}}

    return node


async def _main(folder: str, runs: int, clients: int) -> None:
    async with aiosqlite.connect(Path(folder) / "langgraph.sqlite") as connection:
        await connection.execute("PRAGMA synchronous=FULL")
        saver = AsyncSqliteSaver(connection)
        await saver.setup()
        building = StateGraph(State)
        for name in ("a", "b", "c"):
            building.add_node(name, _node(name))
        for edge in ((START, "a"), ("a", "b"), ("b", "c"), ("c", END)):
            building.add_edge(*edge)
        graph = building.compile(checkpointer=saver)

        async def run(number: int) -> None:
            config = {"configurable": {"thread_id": str(uuid.uuid4())}}
            ended = await graph.ainvoke({"values": {"n": number}}, config, durability="sync")
            assert set(ended["values"]) == {"n", "a", "b", "c"}, ended

        say(await pace(run, runs, clients))


asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
