"""One SQLite file: a thread that writes, grouping what comes at the same time into one commit, and one that reads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from .patience import is_full
from .private import LinkError, open_private

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
_Asked = tuple[Work[Any], "asyncio.Future[Any]"]
_Done = tuple["asyncio.Future[Any]", Any, "Exception | None"]
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON")


class DataError(Exception):
    """The data folder cannot be used. The message says why and what to do."""


class Database:
    """A file with our tables.

    Parameters
    ----------
    path : Path
        The file; it is made, for its owner alone, where there is none.
    schema : Sequence[str]
        What each version of the tables adds to the one before, as SQL; the first makes them.
    """

    def __init__(self, path: Path, schema: Sequence[str]) -> None:
        self._path = path
        try:
            private_file(path)
            self._connection = self._open()
        except (OSError, sqlite3.Error) as error:
            raise unusable(path, error) from None
        try:
            self._prepare(schema)
        except (DataError, sqlite3.Error) as error:
            self._connection.close()
            raise unusable(path, error) if isinstance(error, sqlite3.Error) else error from None
        self._waiting: SimpleQueue[_Asked | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="writer", daemon=True)
        self._writer.start()
        self._readers = ThreadPoolExecutor(1, "reader")
        self._reading = self._readers.submit(self._open).result()

    async def write(self, work: Work[T]) -> T:
        """Do ``work`` in a transaction and return its result when that is on the disk."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put((work, future))
        return await future

    async def read(self, work: Work[T]) -> T:
        """Return what ``work`` reads."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, self._reading)

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._waiting.put(None)
        self._writer.join()
        self._readers.submit(self._reading.close).result()
        self._readers.shutdown()
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection

    def _prepare(self, schema: Sequence[str]) -> None:
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found > len(schema):
            raise DataError(
                f"{self._path} was written by a newer version of orchestra_magic; nothing was changed. "
                "Upgrade this one, or choose another folder with --data"
            )
        # A file whose beginning is whole may be damaged behind it: better said now than at the first request.
        for row in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            self._connection.execute(f'SELECT 1 FROM "{row[0]}" LIMIT 1').fetchone()  # noqa: S608  (a name in its own file)
        for pragma in _PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")
        for version, added in enumerate(schema[found:], found + 1):
            self._connection.executescript(f"BEGIN; {added}; PRAGMA user_version={version}; COMMIT")

    def _write_all(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch = [first]
            last = False
            while not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    last = True
                    break
                batch.append(following)
            self._commit(batch)
            if last:
                return

    def _commit(self, batch: list[_Asked]) -> None:
        done: list[_Done] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for work, future in batch:
                self._connection.execute("SAVEPOINT one")
                try:
                    done.append((future, work(self._connection), None))
                except Exception as error:
                    # A disk that is full may have undone the whole transaction, not this work alone.
                    if not self._connection.in_transaction:
                        raise
                    self._connection.execute("ROLLBACK TO one")
                    done.append((future, None, error))
                self._connection.execute("RELEASE one")
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  (the thread goes on, and who asked is told)
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            done = [(future, None, error) for _, future in batch]
        batch[0][1].get_loop().call_soon_threadsafe(_settle, done)


def _settle(done: list[_Done]) -> None:
    for future, result, error in done:
        if future.done():
            continue  # whoever asked was stopped meanwhile
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def unusable(path: Path, error: Exception) -> DataError:
    """Return what to say of a file of ours that cannot be opened."""
    if is_full(error):
        return DataError(f"{path} cannot be written to ({error}); nothing was overwritten. Make room on its disk")
    if isinstance(error, OSError | sqlite3.OperationalError):
        return DataError(f"{path} cannot be used ({error}); nothing was overwritten. See who may write there")
    return DataError(
        f"{path} is no database that can be read ({error}); nothing was changed. "
        "Put back a copy of the folder, or move it away to begin anew"
    )


def private_file(path: Path) -> None:
    """Make ``path`` a file that only its owner can read, if there is none."""
    try:
        os.close(open_private(path, os.O_RDWR))
    except LinkError as error:
        raise DataError(str(error)) from None
