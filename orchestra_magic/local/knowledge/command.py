"""``orchestra-local knowledge``: fill the knowledge bases of the running server, list them, delete one."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..process import CommandError, request

_ALL = "/knowledge_bases"


def add(name: str, files: list[Path]) -> list[str]:
    """Add documents to a knowledge base, which is made where it is not there; return a line for each.

    Raises
    ------
    CommandError
        If no server runs, a file cannot be read, or the server refuses one. Those before it are in.
    """
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise CommandError(f"there is no file {', '.join(missing)}; nothing was added")
    _ask("POST", _ALL, {"name": name})
    lines = []
    for path in files:
        content = base64.b64encode(path.read_bytes()).decode()
        said = _ask("POST", f"{_one(name)}/documents", {"filename": path.name, "content": content})
        done = "replaced" if said["replaced"] else "added"
        lines.append(f"{done} {path.name}: {said['chunks']} chunk{'' if said['chunks'] == 1 else 's'}")
    return lines


def listing() -> list[str]:
    """Return a line for each knowledge base, and what is in it.

    Raises
    ------
    CommandError
        If no server runs.
    """
    lines = []
    for base in _ask("GET", _ALL):
        whole = _ask("GET", _one(base["name"]))
        documents = ", ".join(document["name"] for document in whole["documents"]) or "nothing yet"
        lines.append(f"{base['name']}: {documents}")
    return lines or ["there is no knowledge base; make one with: orchestra-local knowledge add NAME FILE…"]


def remove(name: str) -> str:
    """Delete a knowledge base.

    Raises
    ------
    CommandError
        If no server runs, or it has none of this name.
    """
    _ask("DELETE", _one(name))
    return f"deleted {name}"


def _one(name: str) -> str:
    return f"{_ALL}/{quote(name, safe='')}"


def _ask(method: str, path: str, content: dict[str, Any] | None = None) -> Any:
    answer = request(method, path, content, under_base=True)
    if answer is None:
        raise CommandError("no server runs; start one with: orchestra-local start")
    status, said = answer
    if status != 200:
        raise CommandError(str(said.get("detail", status) if isinstance(said, dict) else status))
    return said
