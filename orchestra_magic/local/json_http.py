"""JSON in and out of the routes."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from .values import dumps, loads


class JSON(Response):
    """A JSON answer. The schemas of examples and large tables make it worth writing compactly."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the document."""
        return dumps(content).encode()


async def read_body(request: Request) -> Any:
    """Return the value of the body.

    Raises
    ------
    HTTPException
        If it is not JSON, or did not arrive.
    """
    try:
        return loads(await request.body())
    except ClientDisconnect:
        raise HTTPException(400, "the connection was closed before the body was there") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None
