"""How a knowledge base is searched: by the words of its chunks, by their vectors, or by both."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from ..models.embedding import MODEL
from .vectors import nearest
from .words import codes, question

FULL_TEXT, VECTOR, HYBRID = "full_text", "vector", "hybrid"
MODES = (FULL_TEXT, VECTOR, HYBRID)
# Words settle what the vectors leave open. Counted the same as these they do harm: a question in other words than
# the text has a confident list of wrong ones. Of a code the vectors know nothing: where a chunk has one that the
# question names, the vectors settle what the words leave open.
_FIRST, _SECOND = 0.9, 0.1
_RARE = 0.1
_CANDIDATES = 1000
_BY_WORDS = """
SELECT c.id, c.text, d.name AS source, -bm25(words) AS score
FROM words JOIN chunks c ON c.id = words.rowid JOIN documents d ON d.id = c.document
WHERE words MATCH ? ORDER BY bm25(words), words.rowid LIMIT ?
"""
_MISSING = """
SELECT c.id, c.text FROM chunks c LEFT JOIN vectors v ON v.chunk = c.id AND v.model = ?
WHERE c.id > ? AND v.chunk IS NULL ORDER BY c.id LIMIT ?
"""
# The number of a chunk that is gone may have been given to another meanwhile.
_KEEP = "INSERT OR REPLACE INTO vectors SELECT id, ?, ? FROM chunks WHERE id = ? AND text = ?"
_CHUNK = "SELECT c.text, d.name AS source FROM chunks c JOIN documents d ON d.id = c.document WHERE c.id = ?"
_PROGRESS = "SELECT (SELECT count(*) FROM vectors WHERE model = ?), (SELECT count(*) FROM chunks)"


@dataclass(frozen=True)
class Hit:
    """A chunk that was found.

    ``score`` is, by words, relative to the best one, which has 1; by vectors, the cosine; by both, nine tenths of
    the one and a tenth of the other: words come first in a chunk that has no vector yet, or a code of the query.
    """

    text: str
    score: float
    source: str


def by_words(db: sqlite3.Connection, asked: str, top: int) -> list[Hit]:
    """Return the ``top`` chunks that fit best by their words; ``asked`` is in the language of the index."""
    rows = db.execute(_BY_WORDS, (asked, top)).fetchall() if asked else []
    best = rows[0]["score"] if rows else 1.0
    return [Hit(row["text"], round(row["score"] / best, 4), row["source"]) for row in rows]


def by_vectors(db: sqlite3.Connection, vector: bytes, query: str, top: int, mode: str) -> list[Hit]:
    """Return the ``top`` chunks that are nearest to ``vector``; in the mode hybrid, words have their say too."""
    rows = db.execute("SELECT chunk, vector FROM vectors WHERE model = ? ORDER BY chunk", (MODEL,)).fetchall()
    scores = dict(zip((row["chunk"] for row in rows), nearest([row["vector"] for row in rows], vector), strict=True))
    if mode == HYBRID:
        asked = question(query)
        words = db.execute(_BY_WORDS, (asked, _CANDIDATES)).fetchall() if asked else []
        said = {row["id"]: row["score"] / words[0]["score"] for row in words}
        scores = _both(scores, said, _named(db, query) & said.keys())
    best = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))[:top]
    found = [(chunk, db.execute(_CHUNK, (chunk,)).fetchone()) for chunk in best]
    return [Hit(row["text"], round(scores[chunk], 4), row["source"]) for chunk, row in found]


def _both(near: dict[int, float], said: dict[int, float], named: set[int]) -> dict[int, float]:
    scores = {}
    for chunk in near.keys() | said.keys():
        first, second = (near, said) if chunk in near and chunk not in named else (said, near)
        scores[chunk] = _FIRST * first.get(chunk, 0.0) + _SECOND * second.get(chunk, 0.0)
    return scores


def _named(db: sqlite3.Connection, query: str) -> set[int]:
    """Return the chunks that have a code of the query, unless that is in many of them: then it names none."""
    most = max(3, int(_RARE * db.execute("SELECT count(*) FROM chunks").fetchone()[0]))
    found: set[int] = set()
    for code in codes(query):
        rows = db.execute("SELECT rowid FROM words WHERE words MATCH ? LIMIT ?", (code, most + 1)).fetchall()
        if len(rows) <= most:
            found.update(row["rowid"] for row in rows)
    return found


def without_vector(db: sqlite3.Connection, last: int, most: int) -> list[sqlite3.Row]:
    """Return chunks that have no vector of the model yet, after the chunk ``last``."""
    return db.execute(_MISSING, (MODEL, last, most)).fetchall()


def keep(db: sqlite3.Connection, rows: Sequence[sqlite3.Row], vectors: Sequence[bytes]) -> None:
    """Put the vectors beside their chunks."""
    given = ((MODEL, vector, row["id"], row["text"]) for row, vector in zip(rows, vectors, strict=True))
    db.executemany(_KEEP, given)


def progress(db: sqlite3.Connection, mode: str) -> str | None:
    """Say how many chunks have a vector, None if all of them have one."""
    done, there = db.execute(_PROGRESS, (MODEL,)).fetchone()
    if done == there:
        return None
    others = "were not searched" if mode == VECTOR else "were searched by words alone"
    return f"{done} of {there} chunks have their vectors by now: the others {others}"
