"""The history of a workflow, written in pieces: whole it may be larger than memory, and others would wait for it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

from .answers import run_document
from .json_http import JSON
from .values import loads

if TYPE_CHECKING:
    from .runs import Runs, View
    from .store import Store


async def answer(store: Store, runs: Runs, workflow_id: str, limit: int, offset: int) -> Response:
    """Return the answer with the runs of a workflow, the newest first."""
    pieces = _pieces(store, runs, workflow_id, limit, offset)
    # What goes wrong here still has an answer of its own; and most histories are one piece.
    ready = [await anext(pieces), await anext(pieces, b"")]
    if not ready[1]:
        return Response(ready[0], media_type=JSON.media_type)

    async def whole() -> AsyncIterator[bytes]:
        while ready:
            yield ready.pop(0)
        async for piece in pieces:
            yield piece

    return StreamingResponse(whole(), media_type=JSON.media_type)


async def _pieces(store: Store, runs: Runs, workflow_id: str, limit: int, offset: int) -> AsyncIterator[bytes]:
    opening = b"["
    rows = await store.runs(workflow_id, limit, offset)
    while rows:
        unfinished = {row["run_id"]: await runs.view_of(row) for row in rows if row["ended"] is None}
        piece = opening + await asyncio.to_thread(_documents, rows, unfinished)
        opening = b","
        limit -= len(rows)
        # Counted from the last one and not from the newest, which may be another by now.
        rows = await store.runs(workflow_id, limit, 0, before=rows[-1]["seq"]) if limit else []
        yield piece if rows else piece + b"]"
    if opening == b"[":
        yield b"[]"


def _documents(rows: list[sqlite3.Row], unfinished: Mapping[str, View]) -> bytes:
    return ",".join(_document(row, unfinished.get(row["run_id"])) for row in rows).encode()


def _document(row: sqlite3.Row, view: View | None) -> str:
    if view is None:
        return run_document(row, row["status"], loads(row["node_outputs"]))
    return run_document(view.row, view.status, view.node_outputs)
