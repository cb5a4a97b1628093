"""The knowledge bases of a server: one SQLite file each.

In it are the documents, their chunks, an index of words, and, where there is a model for it, the chunks' vectors.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from ... import paths
from ..database import DataError, private_file
from ..models.process import ModelProcessError
from ..values import now
from . import searching
from .searching import Hit
from .vectors import Embedder
from .words import indexed, question

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
SCHEMA = 2
_CREATE = """
CREATE TABLE about (description TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, format TEXT NOT NULL, size INTEGER NOT NULL,
    added INTEGER NOT NULL
);
CREATE TABLE chunks (id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents, text TEXT NOT NULL);
CREATE INDEX chunks_of_document ON chunks (document);
CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'porter unicode61 remove_diacritics 2');
INSERT INTO about VALUES ('', {now}, {now})
"""
_SINCE = {
    2: """
CREATE TABLE vectors (chunk INTEGER PRIMARY KEY REFERENCES chunks, model TEXT NOT NULL, vector BLOB NOT NULL)
""",
}
"""What each version of the tables added."""
_COUNTS = "SELECT count(*) AS documents, (SELECT count(*) FROM chunks) AS chunks FROM documents"
_DOCUMENTS = """
SELECT d.name, d.format, d.size, d.added, count(c.id) AS chunks
FROM documents d LEFT JOIN chunks c ON c.document = d.id GROUP BY d.id ORDER BY d.id
"""
_THREADS = 4
_AT_ONCE = 8  # a question waits for those before it, which may take a second
_PATIENCE = 3.0
_log = logging.getLogger(__name__)


class UnknownBaseError(LookupError):
    """There is no knowledge base of this name. The message names those that exist."""


@dataclass(frozen=True)
class Base:
    """A knowledge base as it is now. ``documents`` are rows of name, format, size, added and chunks."""

    name: str
    description: str
    created: int
    updated: int
    documents: int
    chunks: int
    content: list[sqlite3.Row]
    error: str | None = None
    """Why it cannot be read."""


@dataclass(frozen=True)
class Found:
    """What a search found, and what is to be said of it."""

    hits: list[Hit]
    mode: str
    note: str | None = None


class Bases:
    """Every knowledge base in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = ThreadPoolExecutor(_THREADS, "knowledge")
        self._embedder = Embedder()
        self._indexing: dict[str, asyncio.Task[str | None]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._working: set[asyncio.Task[Any]] = set()
        if self._embedder.unusable() is None:
            for name in self.names():  # an earlier server may have been stopped amid its vectors
                self._index(name)

    async def close(self) -> None:
        """Stop what makes vectors; the next server goes on with it."""
        for task in self._indexing.values():
            task.cancel()
        await self._embedder.close()
        if self._working:
            await asyncio.wait(self._working)

    def names(self) -> list[str]:
        """Return the names of those that exist."""
        return sorted(path.stem for path in self._folder.glob("*.sqlite") if NAME.fullmatch(path.stem))

    async def create(self, name: str, description: str | None) -> Base:
        """Make a knowledge base; one that is there stays as it is, but for a new description.

        Raises
        ------
        ValueError
            If it cannot be called so.
        """
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a knowledge base: letters, digits, _ and -, at most 64")
        other = next((one for one in self.names() if one.lower() == name.lower() and one != name), None)
        if other:
            raise ValueError(f"there is a knowledge base {other!r}, whose name differs in case alone")
        path = self._path(name)

        def work(db: sqlite3.Connection) -> Base:
            if description is not None:
                db.execute("UPDATE about SET description = ?, updated = ?", (description, now()))
            return _base(name, db)

        def do() -> Base:
            there = os.path.lexists(path)
            try:
                paths.private_folder(self._folder)
                private_file(path)
                return self._use(name, work, write=True)
            except (OSError, sqlite3.Error):
                if not there:
                    _unlink(path)
                raise

        return await self._alone(name, do)

    async def get(self, name: str) -> Base:
        """Return a knowledge base.

        Raises
        ------
        UnknownBaseError
            If there is none of this name.
        """
        return await self._do(name, partial(_base, name))

    async def every(self) -> list[Base]:
        """Return all knowledge bases; of one that cannot be read, the ``error``."""
        found = []
        for name in self.names():
            with suppress(UnknownBaseError):  # it was deleted meanwhile
                found.append(await self._alone(name, partial(self._whatever, name)))
        return found

    async def delete(self, name: str) -> Base:
        """Delete a knowledge base with all that is in it, also one that cannot be read; return it as it was.

        Raises
        ------
        UnknownBaseError
            If there is none of this name.
        """

        def do() -> Base:
            base = self._whatever(name)
            _unlink(self._path(name))
            return base

        return await self._alone(name, do)

    async def add(self, name: str, document: str, kind: str, size: int, chunks: list[str]) -> dict[str, Any]:
        """Add a document in its chunks; return its row, and whether it ``replaced`` one with the same name.

        Raises
        ------
        UnknownBaseError
            If there is no such knowledge base.
        """

        def work(db: sqlite3.Connection) -> dict[str, Any]:
            found = db.execute("SELECT id FROM documents WHERE name = ?", (document,)).fetchone()
            if found:
                for table, key in (("words", "rowid"), ("vectors", "chunk")):
                    old = f"DELETE FROM {table} WHERE {key} IN (SELECT id FROM chunks WHERE document = ?)"  # noqa: S608
                    db.execute(old, tuple(found))
                db.execute("DELETE FROM chunks WHERE document = ?", tuple(found))
                db.execute("DELETE FROM documents WHERE id = ?", tuple(found))
            row = {"name": document, "format": kind, "size": size, "added": now()}
            new = "INSERT INTO documents (name, format, size, added) VALUES (:name, :format, :size, :added)"
            number = db.execute(new, row).lastrowid
            for chunk in chunks:
                added = db.execute("INSERT INTO chunks (document, text) VALUES (?, ?)", (number, chunk)).lastrowid
                db.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (added, indexed(chunk)))
            db.execute("UPDATE about SET updated = ?", (now(),))
            return {**row, "chunks": len(chunks), "replaced": bool(found)}

        added = await self._do(name, work, write=True)
        if self._embedder.unusable() is None:
            self._index(name)
        return added

    async def search(self, name: str, query: str, top: int, mode: str = searching.FULL_TEXT) -> Found:
        """Return the chunks that fit best, the best first.

        Parameters
        ----------
        mode : str
            One of :data:`~.searching.MODES`. Without a model for vectors, words alone are searched, and the note
            says so.

        Raises
        ------
        UnknownBaseError
            If there is no such knowledge base.
        """
        note = None
        if mode != searching.FULL_TEXT:
            vector, note = await self._vector(name, query)
            if vector is not None:

                def work(db: sqlite3.Connection) -> Found:
                    hits = searching.by_vectors(db, vector, query, top, mode)
                    return Found(hits, mode, searching.progress(db, mode))

                return await self._do(name, work)
        hits = await self._do(name, lambda db: searching.by_words(db, question(query), top))
        return Found(hits, searching.FULL_TEXT, note)

    async def _vector(self, name: str, query: str) -> tuple[bytes | None, str | None]:
        """Return the vector of ``query``, or why there is none."""
        reason = self._embedder.unusable()
        if reason is None:
            # One that is not done in time goes on; what is there is searched.
            task = self._index(name)
            await asyncio.wait({task}, timeout=_PATIENCE)
            reason = task.result() if task.done() else None
            if reason is None:
                try:
                    [vector] = await self._embedder.embed([query])
                except ModelProcessError as error:
                    reason = str(error)
                else:
                    return vector, None
        return None, f"searched by words alone: {reason}"

    def _index(self, name: str) -> asyncio.Task[str | None]:
        """Make the vectors that are missing, in a task that gives the reason if it cannot."""
        task = self._indexing.get(name)
        if task is None or task.done():
            task = self._indexing[name] = asyncio.create_task(self._make_vectors(name))
        return task

    async def _make_vectors(self, name: str) -> str | None:
        last = 0
        try:
            while True:
                rows = await self._do(name, partial(searching.without_vector, last=last, most=_AT_ONCE))
                if rows:
                    vectors = await self._embedder.embed([row["text"] for row in rows])
                    await self._do(name, partial(searching.keep, rows=rows, vectors=vectors), write=True)
                    last = rows[-1]["id"]
                elif last:
                    last = 0  # once more: a chunk may have been added under the number of an earlier one
                else:
                    return None
        except UnknownBaseError:
            return None  # whoever searches it is told
        except (ModelProcessError, DataError, sqlite3.Error) as error:
            _log.warning("the vectors of the knowledge base %s cannot be made: %s", name, error)
            return str(error)

    async def _do(self, name: str, work: Work[T], *, write: bool = False) -> T:
        return await self._alone(name, partial(self._use, name, work, write=write))

    async def _alone(self, name: str, do: Callable[[], T]) -> T:
        """Return what ``do`` gives, called in a thread while nobody else uses the knowledge base."""
        turn = self._turns.setdefault(name, asyncio.Lock())

        async def in_turn() -> T:
            async with turn:
                return await asyncio.get_running_loop().run_in_executor(self._threads, do)

        # Who stops waiting stops no thread: the next one's turn comes when that is done.
        working = asyncio.create_task(in_turn())
        self._working.add(working)
        working.add_done_callback(self._done)
        return await asyncio.shield(working)

    def _done(self, working: asyncio.Task[Any]) -> None:
        self._working.discard(working)
        if not working.cancelled():
            working.exception()  # else that of one nobody waits for would be logged as a fault of the server

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.sqlite"

    def _whatever(self, name: str) -> Base:
        """Return a knowledge base, also one that cannot be read."""
        try:
            return self._use(name, partial(_base, name))
        except (DataError, sqlite3.Error) as error:
            changed = self._path(name).lstat().st_mtime_ns // 1000
            return Base(name, "", changed, changed, 0, 0, [], str(error))

    def _use(self, name: str, work: Work[T], *, write: bool = False) -> T:
        path = self._path(name)
        if not (NAME.fullmatch(name) and os.path.lexists(path)):
            known = ", ".join(self.names())
            raise UnknownBaseError(
                f"there is no knowledge base {name!r}; " + (f"there are: {known}" if known else "none was made yet")
            )
        if path.is_symlink():
            raise DataError(f"{path} is a symbolic link, which is not followed; move it away")
        try:
            # A connection for each use: a base can be deleted at any time, and opening one costs little.
            with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as db:
                db.row_factory = sqlite3.Row
                if not _prepare(db):
                    raise DataError(f"{path} was written by a newer version of orchestra_magic: upgrade this one")
                db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                done = work(db)
                db.execute("COMMIT")
                return done
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"{path} is damaged, or no database ({error}); put back a copy of it, or delete the knowledge base"
            ) from None


def _unlink(path: Path) -> None:
    try:
        for end in ("", "-journal"):
            path.with_name(path.name + end).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path} cannot be deleted ({error.strerror}); move it away") from None


def _base(name: str, db: sqlite3.Connection) -> Base:
    about: dict[str, Any] = dict(db.execute("SELECT * FROM about").fetchone())
    counts: dict[str, Any] = dict(db.execute(_COUNTS).fetchone())
    return Base(name=name, **about, **counts, content=db.execute(_DOCUMENTS).fetchall())


def _prepare(db: sqlite3.Connection) -> bool:
    """Make the tables where there are none; return whether they are ones that this version knows."""
    found: Any = db.execute("PRAGMA user_version").fetchone()[0]
    if found < SCHEMA:
        db.execute("BEGIN IMMEDIATE")
        found = db.execute("PRAGMA user_version").fetchone()[0]
        scripts = [_CREATE.format(now=now())] if found == 0 else []
        for script in scripts + [since for version, since in _SINCE.items() if version > found]:
            for statement in script.split(";\n"):
                db.execute(statement)
        db.execute(f"PRAGMA user_version={SCHEMA}")
        db.execute("COMMIT")
    return bool(found <= SCHEMA)
