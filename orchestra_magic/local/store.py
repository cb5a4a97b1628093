"""What the server remembers: workflows in all their versions, every run that was accepted, and its finished steps.

A run is accepted when its row is here, and a step is finished when it is recorded here.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .database import Database
from .values import dumps, loads, now

if TYPE_CHECKING:
    from .steps import Record

_WORKFLOWS_AND_RUNS = """
CREATE TABLE graphs (hash TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE workflows (
    workflow_id TEXT PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, shipped TEXT,
    deleted INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL, updated INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE versions (
    workflow_id TEXT NOT NULL, version INTEGER NOT NULL, hash TEXT NOT NULL REFERENCES graphs,
    trusted INTEGER NOT NULL, created INTEGER NOT NULL, PRIMARY KEY (workflow_id, version)
) WITHOUT ROWID;
CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL UNIQUE, workflow_id TEXT NOT NULL,
    version INTEGER NOT NULL, inputs TEXT NOT NULL, defaults TEXT NOT NULL, started INTEGER NOT NULL,
    key TEXT UNIQUE, digest TEXT NOT NULL, recovered INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT 'queued', ended INTEGER, error TEXT, outputs TEXT, node_outputs TEXT
);
CREATE INDEX runs_of_workflow ON runs (workflow_id, seq);
CREATE INDEX runs_to_finish ON runs (seq) WHERE ended IS NULL;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID
"""
_STEPS = """
CREATE TABLE steps (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, key TEXT NOT NULL, record TEXT NOT NULL,
    UNIQUE (run, key)
)
"""
SCHEMA = (_WORKFLOWS_AND_RUNS, _STEPS)
_WORKFLOW = """
SELECT w.*, v.trusted, v.hash, g.document FROM workflows w
JOIN versions v ON v.workflow_id = w.workflow_id AND v.version = {version} JOIN graphs g USING (hash)
"""
_CURRENT = _WORKFLOW.format(version="w.version") + "WHERE w.workflow_id = ? "


QUEUED = "queued"
_ALL = 1 << 62
_READ_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class NewRun:
    """A run that asks to be accepted."""

    run_id: str
    workflow_id: str
    version: int
    inputs: Mapping[str, Any]
    defaults: Mapping[str, Any]
    key: str | None = None


@dataclass(frozen=True)
class Ending:
    """How a run ended. ``outputs`` is None where nothing was selected: then it is all of them."""

    status: str
    error: str | None
    node_outputs: Mapping[str, Any]
    outputs: str | None = None


class KeyReusedError(Exception):
    """The idempotency key belongs to a run with another workflow or other inputs."""


class DeletedError(Exception):
    """The workflow was deleted."""


class NameTakenError(Exception):
    """Another workflow has the name.

    Attributes
    ----------
    workflow_id : str
        The id of that one.
    """

    def __init__(self, workflow_id: str) -> None:
        super().__init__(workflow_id)
        self.workflow_id = workflow_id


class Store(Database):
    """The file with our tables."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "orchestra.sqlite", SCHEMA)
        # Every start of a run asks for it, and a row of the file would bring the whole graph along.
        query = "SELECT workflow_id, version FROM workflows WHERE NOT deleted"
        self._current: dict[str, int] = dict(map(tuple, self._connection.execute(query)))

    def current(self, workflow_id: str) -> int | None:
        """Return the current version of a workflow; None where there is none, or none any more."""
        return self._current.get(workflow_id)

    async def workflows(self) -> list[sqlite3.Row]:
        """Return every workflow in its current version, the oldest first."""
        query = _WORKFLOW.format(version="w.version") + "WHERE NOT deleted ORDER BY w.created, w.name"
        return await self.read(lambda db: db.execute(query).fetchall())

    async def workflow(self, workflow_id: str) -> sqlite3.Row | None:
        """Return one workflow in its current version, also a deleted one."""
        query = _WORKFLOW.format(version="w.version") + "WHERE w.workflow_id = ?"
        return await self.read(lambda db: _one(db, query, workflow_id))

    async def version(self, workflow_id: str, version: int) -> sqlite3.Row | None:
        """Return one workflow as it was in ``version``."""
        query = _WORKFLOW.format(version="?") + "WHERE w.workflow_id = ?"
        return await self.read(lambda db: _one(db, query, version, workflow_id))

    async def id_of_name(self, name: str) -> str | None:
        """Return the id of the workflow called ``name``."""
        return await self.read(lambda db: _id_of_name(db, name))

    async def save(
        self,
        workflow_id: str | None,
        name: str | None,
        graph: Any,
        *,
        trusted: bool | None = None,
        shipped: bool = False,
    ) -> sqlite3.Row:
        """Store a workflow, and return it. Another graph, or other trust, than the current makes a new version.

        Without an id it is the one of that name, else a new one. Name and trust that are not said stay as they were;
        a new one is trusted.

        Raises
        ------
        DeletedError
            If it was deleted.
        NameTakenError
            If it would take the name of another.
        """
        document = dumps(graph)
        digest = hashlib.sha256(document.encode()).hexdigest()

        def work(db: sqlite3.Connection) -> Any:
            moment = now()
            owner = _id_of_name(db, name)
            own = workflow_id or owner or str(uuid.uuid4())
            found = _one(db, _CURRENT, own)
            if shipped and not _may_ship(found, owner, digest):
                return found or _one(db, _CURRENT, owner)
            if found and found["deleted"]:
                raise DeletedError
            if owner not in (None, own) and not (found and found["name"] == name):
                raise NameTakenError(str(owner))
            # Code that was not trusted does not become so by an upload that does not speak of it.
            version, trust = (found["version"], found["trusted"]) if found else (0, 1)
            content = digest, trust if trusted is None else int(trusted)
            db.execute("INSERT OR IGNORE INTO graphs VALUES (?, ?)", (digest, document))
            if not found or content != (found["hash"], trust):
                version += 1
                db.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?)", (own, version, *content, moment))
            db.execute(
                "INSERT INTO workflows VALUES (?1, ?2, ?3, ?4, 0, ?5, ?5) ON CONFLICT DO UPDATE "
                "SET name = ?2, version = ?3, shipped = coalesce(?4, shipped), updated = ?5",
                (own, name or (found and found["name"]), version, digest if shipped else None, moment),
            )
            return _one(db, _CURRENT, own)

        row: sqlite3.Row = await self.write(work)
        if not row["deleted"]:
            self._current[row["workflow_id"]] = row["version"]
        return row

    async def delete(self, workflow_id: str) -> sqlite3.Row | None:
        """Take a workflow out of the list; return it as it was, None if it is not there. Its runs keep theirs."""

        def work(db: sqlite3.Connection) -> sqlite3.Row | None:
            found = _one(db, _CURRENT + "AND NOT deleted", workflow_id)
            query = "UPDATE workflows SET deleted = 1, updated = ? WHERE workflow_id = ? AND NOT deleted"
            db.execute(query, (now(), workflow_id))
            return found

        row = await self.write(work)
        self._current.pop(workflow_id, None)
        return row

    async def accept(self, run: NewRun) -> tuple[sqlite3.Row, bool]:
        """Store a run; return its row, and whether it is new.

        Raises
        ------
        KeyReusedError
            If its idempotency key belongs to a different run.
        """
        inputs = dumps(run.inputs)
        digest = _digest(run.workflow_id, run.inputs)

        def work(db: sqlite3.Connection) -> tuple[sqlite3.Row, bool]:
            found = _of_key(db, run.key, digest)
            if found:
                return found, False
            defaults = dumps(run.defaults)
            row = (run.run_id, run.workflow_id, run.version, inputs, defaults, now(), run.key, digest)
            query = (
                "INSERT INTO runs (run_id, workflow_id, version, inputs, defaults, started, key, digest) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *"
            )
            return db.execute(query, row).fetchall()[0], True

        return await self.write(work)

    async def accepted(self, workflow_id: str, inputs: Mapping[str, Any], key: str | None) -> sqlite3.Row | None:
        """Return the run that was accepted with this idempotency key.

        Raises
        ------
        KeyReusedError
            If it is a different run.
        """
        digest = _digest(workflow_id, inputs)
        return await self.read(lambda db: _of_key(db, key, digest))

    async def run(self, run_id: str) -> sqlite3.Row | None:
        """Return the row of a run."""
        return await self.read(lambda db: _one(db, "SELECT * FROM runs WHERE run_id = ?", run_id))

    async def runs(self, workflow_id: str, limit: int, offset: int, before: int = _ALL) -> list[sqlite3.Row]:
        """Return a page of the runs of a workflow, the newest first; fewer where they are large, but at least one.

        ``before`` is the number of the run that the page comes after.
        """
        # The index alone counts off the offset; whole rows are read for the page only.
        page = "SELECT seq FROM runs WHERE workflow_id = ? AND seq < ? ORDER BY seq DESC LIMIT ? OFFSET ?"
        query = f"SELECT * FROM runs WHERE seq IN ({page}) ORDER BY seq DESC"  # noqa: S608  (constants)

        def work(db: sqlite3.Connection) -> list[sqlite3.Row]:
            rows: list[sqlite3.Row] = []
            size = 0
            for row in db.execute(query, (workflow_id, before, limit, offset)):
                rows.append(row)
                size += sum(len(row[name] or "") for name in ("inputs", "outputs", "node_outputs"))
                if size > _READ_AT_ONCE:
                    break
            return rows

        return await self.read(work)

    async def unfinished(self) -> list[str]:
        """Return the ids of the runs that have no end, the oldest first."""
        query = "SELECT run_id FROM runs WHERE ended IS NULL ORDER BY seq"
        return await self.read(lambda db: [row["run_id"] for row in db.execute(query)])

    async def record(self, seq: int, step: Record) -> None:
        """Write down a step of the run with this number."""
        row = (seq, step["key"], dumps(step))
        await self.write(lambda db: db.execute("INSERT INTO steps VALUES (?, ?, ?)", row))

    async def steps(self, seq: int) -> list[Record]:
        """Return the recorded steps of the run with this number, in the order in which they ended."""
        query = "SELECT record FROM steps WHERE run = ? ORDER BY rowid"
        return await self.read(lambda db: [loads(row["record"]) for row in db.execute(query, (seq,))])

    async def count_recovery(self, run_ids: list[str]) -> None:
        """Note that a crash interrupted these runs once more."""
        query = "UPDATE runs SET recovered = recovered + 1 WHERE run_id = ?"
        await self.write(lambda db: db.executemany(query, [(run_id,) for run_id in run_ids]))

    async def finish(self, run_id: str, ending: Ending) -> sqlite3.Row | None:
        """Write down how a run ended, and return its row; None where that is written already."""
        node_outputs = dumps(ending.node_outputs)
        query = (
            "UPDATE runs SET status = ?, ended = max(?, started), error = ?, outputs = ?, node_outputs = ? "
            "WHERE run_id = ? AND ended IS NULL RETURNING *"
        )
        row = (ending.status, now(), ending.error, ending.outputs, node_outputs, run_id)
        return await self.write(lambda db: next(iter(db.execute(query, row).fetchall()), None))

    async def old_runs(self, before: int | None, keep: int | None) -> list[str]:
        """Return finished runs: those that ended before a time, and all but the newest ``keep`` of each workflow."""
        query = """
            SELECT run_id FROM (
                SELECT run_id, ended, row_number() OVER (PARTITION BY workflow_id ORDER BY seq DESC) AS place
                FROM runs
            ) WHERE ended IS NOT NULL AND (ended < ?1 OR place > ?2)
        """
        return await self.read(lambda db: [row["run_id"] for row in db.execute(query, (before, keep))])

    async def forget(self, run_ids: list[str]) -> None:
        """Delete runs, with their steps."""
        query = "DELETE FROM runs WHERE run_id = ?"
        await self.write(lambda db: db.executemany(query, [(run_id,) for run_id in run_ids]))

    async def fact(self, name: str, value: str | None = None) -> str | None:
        """Return a fact about the server's life, or store it."""
        if value is None:
            row = await self.read(lambda db: _one(db, "SELECT value FROM facts WHERE name = ?", name))
            return None if row is None else str(row["value"])
        query = "INSERT INTO facts VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
        await self.write(lambda db: db.execute(query, (name, value)))
        return value


def _id_of_name(db: sqlite3.Connection, name: str | None) -> str | None:
    row = _one(db, "SELECT workflow_id FROM workflows WHERE name = ? AND NOT deleted ORDER BY created", name)
    return None if row is None else str(row["workflow_id"])


def _may_ship(found: sqlite3.Row | None, owner: str | None, digest: str) -> bool:
    """Tell whether a graph that comes with the package may be stored: what a user changed, deleted or named stays."""
    if found is None:
        return owner is None
    untouched = not found["deleted"] and found["hash"] == found["shipped"]
    return untouched and digest != found["shipped"] and owner in (None, found["workflow_id"])


def _one(db: sqlite3.Connection, query: str, *values: Any) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(query, values).fetchone()
    return row


def _digest(workflow_id: str, inputs: Mapping[str, Any]) -> str:
    said = f"{workflow_id}\n{json.dumps(inputs, sort_keys=True)}"
    return hashlib.sha256(said.encode()).hexdigest()


def _of_key(db: sqlite3.Connection, key: str | None, digest: str) -> sqlite3.Row | None:
    found = None if key is None else _one(db, "SELECT * FROM runs WHERE key = ?", key)
    if found is not None and found["digest"] != digest:
        raise KeyReusedError
    return found
