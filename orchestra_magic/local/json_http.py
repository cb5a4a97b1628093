"""JSON in and out of the routes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from .values import dumps, loads, unstorable

T = TypeVar("T")


class JSON(Response):
    """A JSON answer. The schemas of examples and large tables make it worth writing compactly."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the document."""
        return dumps(content).encode()


async def read_body(request: Request, *, stored: bool = False) -> Any:
    """Return the value of the body.

    Raises
    ------
    HTTPException
        If it is not JSON, or did not arrive; with ``stored``, also if it cannot be kept as it is.
    """
    try:
        value = loads(await request.body())
    except ClientDisconnect:
        raise HTTPException(400, "the connection was closed before the body was there") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None
    flaw = unstorable(value) if stored else None
    if flaw:
        raise HTTPException(400, f"the body {flaw}")
    return value


async def while_asked(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what ``work`` gives. Its end is the end of the connection too: nobody waits for it then.

    Parameters
    ----------
    request : Request
        Who asks for it, the body read.
    work : Coroutine
        What takes long.

    Raises
    ------
    HTTPException
        If the connection was closed meanwhile; ``work`` was cancelled.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.wait({task})
    raise HTTPException(400, "the connection was closed before the answer was there")


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
