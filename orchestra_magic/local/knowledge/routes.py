"""The routes of knowledge bases."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..json_http import JSON, read_body, while_asked
from ..values import plain, workflow_time
from .bases import Base, Bases, UnknownBaseError
from .readers import TEXTS, UnreadableError, format_of, guessed
from .reading import Reader, StoppingError

MAX_DOCUMENT = 15 << 20
_HOW = 'send {"name", "text"}, or {"filename", "content"} with the file in base64'
Row = tuple[str, str, Callable[[Request], Awaitable[Response]]]


class KnowledgeRoutes:
    """Answers the routes of ``bases``."""

    def __init__(self, bases: Bases) -> None:
        self._bases = bases
        self._reader = Reader()

    def close(self) -> None:
        """Let those who wait for a document go."""
        self._reader.close()

    def rows(self) -> list[Row]:
        """Return method, path and endpoint of each."""
        one = "/knowledge_bases/{name}"
        return [
            ("GET", "/knowledge_bases", self.list_knowledge_bases),
            ("POST", "/knowledge_bases", self.create_knowledge_base),
            ("GET", one, self.get_knowledge_base),
            ("DELETE", one, self.delete_knowledge_base),
            ("POST", f"{one}/documents", self.add_document),
        ]

    async def list_knowledge_bases(self, request: Request) -> Response:
        """List the knowledge bases."""
        del request
        return JSON([_answer(base) for base in await self._bases.every()])

    async def create_knowledge_base(self, request: Request) -> Response:
        """Make a knowledge base. One that is there already is returned as it is."""
        asked = _object(await read_body(request), 'send {"name", "description"}')
        name, description = asked.get("name"), asked.get("description")
        if not isinstance(name, str) or not isinstance(description, str | None):
            raise HTTPException(400, "a knowledge base needs a name, and may have a description, each as text")
        try:
            return JSON(_answer(await self._bases.create(name, plain(description))))
        except ValueError as error:
            raise HTTPException(400, str(error)) from None

    async def get_knowledge_base(self, request: Request) -> Response:
        """Return one knowledge base with the list of its documents."""
        return JSON(_whole(await self._base(request)))

    async def delete_knowledge_base(self, request: Request) -> Response:
        """Delete a knowledge base with its documents; return it as it was."""
        with _not_found():
            return JSON(_whole(await self._bases.delete(request.path_params["name"])))

    async def add_document(self, request: Request) -> Response:
        """Add a document, as text or as a file in base64; one with the same name is replaced."""
        base = await self._base(request)
        name, content, kind = _document(_object(await read_body(request), _HOW))
        if len(content) > MAX_DOCUMENT:
            raise HTTPException(413, f"{name} is larger than {MAX_DOCUMENT >> 20} MB")
        try:
            kind = kind or format_of(name)
            encoding = guessed(kind, content)
            chunks = await while_asked(request, self._reader.chunks(kind, content))
        except UnreadableError as error:
            raise HTTPException(400, f"{name}: {error}") from None
        except StoppingError:
            raise HTTPException(503, f"{name} was not read: the server stops; add it again") from None
        with _not_found():  # it may have been deleted while the document was read
            document = await self._bases.add(base.name, name, kind, len(content), chunks)
        said = {"guessed_encoding": encoding} if encoding else {}
        return JSON({**_document_answer(document), "replaced": document["replaced"], **said})

    async def _base(self, request: Request) -> Base:
        with _not_found():
            return await self._bases.get(request.path_params["name"])


@contextmanager
def _not_found() -> Iterator[None]:
    try:
        yield
    except UnknownBaseError as error:
        raise HTTPException(404, str(error)) from None


def _document(asked: dict[str, Any]) -> tuple[str, bytes, str | None]:
    """Return the name of a document, its content, and its format where that is no matter of its name."""
    name, text, content = asked.get("filename") or asked.get("name"), asked.get("text"), asked.get("content")
    if not (isinstance(name, str) and name.strip()):
        raise HTTPException(400, f"a document needs a name: {_HOW}")
    name = plain(name.strip())
    if isinstance(text, str) and content is None:
        ending = name.rpartition(".")[2].lower()
        return name, text.encode("utf-8", "replace"), ending if ending in TEXTS else "txt"
    if not isinstance(content, str) or text is not None:
        raise HTTPException(400, f"a document is text or a file, one of the two: {_HOW}")
    try:
        return name, base64.b64decode("".join(content.split()), validate=True), None
    except (binascii.Error, ValueError) as error:
        raise HTTPException(400, f"the content of {name} is not base64: {error}") from None


def _object(body: Any, how: str) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise HTTPException(400, f"the body is to be a JSON object: {how}")
    return body


def _answer(base: Base) -> dict[str, Any]:
    return {
        "name": base.name,
        "description": base.description,
        "created_at": workflow_time(base.created),
        "updated_at": workflow_time(base.updated),
        "document_count": base.documents,
        "chunk_count": base.chunks,
        **({"error": base.error} if base.error else {}),
    }


def _whole(base: Base) -> dict[str, Any]:
    return {**_answer(base), "documents": [_document_answer(row) for row in base.content]}


def _document_answer(row: Any) -> dict[str, Any]:
    return {
        "name": row["name"],
        "format": row["format"],
        "size": row["size"],
        "chunks": row["chunks"],
        "added_at": workflow_time(row["added"]),
    }
