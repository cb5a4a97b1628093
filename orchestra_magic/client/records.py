"""Answers read tolerantly into frozen dataclasses.

The service documents its answers by examples, so nothing here depends on a member being there, on its type,
or on its spelling. What is not understood is kept in ``raw``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

SUCCEEDED = frozenset({"completed", "success", "succeeded"})
FINISHED = SUCCEEDED | {
    "failed", "error", "errored", "cancelled", "canceled", "timeout", "timed_out", "stopped", "aborted",
}  # fmt: skip


@dataclass(frozen=True)
class RunState:
    """What the server said of one run at one moment.

    ``status`` is in lower case and otherwise as the server has it; times are in UTC; ``outputs`` is any
    JSON value; ``all_outputs`` holds every node's output and the inputs.
    """

    id: str
    status: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Any = None
    all_outputs: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def finished(self) -> bool:
        """Whether the run is over. A word that nobody knows means that it goes on."""
        return self.ended_at is not None or self.error is not None or self.status in FINISHED

    @property
    def succeeded(self) -> bool:
        """Whether the run is over and went well."""
        if not self.finished or self.error is not None:
            return False
        return self.status in SUCCEEDED or self.status not in FINISHED

    @property
    def duration(self) -> float | None:
        """Seconds from start to end, by the server's times: its own number is cut to whole seconds."""
        return seconds_between(self.started_at, self.ended_at)


@dataclass(frozen=True)
class Step:
    """One node of one run.

    ``node`` is the node's name in the graph; ``duration`` is in seconds; ``tokens`` is what the server
    counted, or what a model's answer says it used; ``notes`` is what the server says of how it came about.
    """

    id: str
    node: str
    status: str
    inputs: Any = None
    outputs: Any = None
    error: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    tokens: int = 0
    notes: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def duration(self) -> float | None:
        """Seconds from start to end."""
        return seconds_between(self.started_at, self.ended_at)


@dataclass(frozen=True)
class Input:
    """One input of a workflow, and how it is known.

    Attributes
    ----------
    name, description : str
    type : str or None
        In JSON Schema's words: ``string``, ``number``, ``integer``, ``boolean``, ``array``, ``object``.
    default : Any
        Only meaningful where ``has_default``.
    required : bool
    enum : tuple
        The values to choose from; empty where any will do.
    source : str
        ``declared``, ``canvas``, ``template`` or ``history``.
    format : str
        What kind of text it is, in JSON Schema's words and some more: ``date``, ``time``, ``date-time``,
        ``multiline``, ``file``, ``password``; empty where nothing is said of it.
    item_enum : tuple
        For an array: the values that its items are chosen from.
    """

    name: str
    type: str | None = None
    description: str = ""
    default: Any = None
    has_default: bool = False
    required: bool = False
    enum: tuple[Any, ...] = ()
    source: str = "declared"
    format: str = ""
    item_enum: tuple[Any, ...] = ()

    @property
    def secret(self) -> bool:
        """Whether its value is to be shown nowhere."""
        return self.format == "password"


def run_state(data: Any, run_id: str | None = None) -> RunState | None:
    """Read one run: an array of one, a bare object, or nothing yet (None)."""
    if isinstance(data, list):
        fitting = [item for item in data if isinstance(item, Mapping)]
        named = [item for item in fitting if item.get("id") == run_id]
        data = next(iter(named or fitting), None)
    if not isinstance(data, Mapping):
        return None
    inputs, everything = data.get("inputs"), data.get("all_outputs")
    return RunState(
        id=str(data.get("id") or data.get("run_id") or run_id or ""),
        status=_word(data.get("status")),
        inputs=inputs if isinstance(inputs, Mapping) else {},
        outputs=data.get("outputs"),
        all_outputs=everything if isinstance(everything, Mapping) else {},
        error=_error(data.get("error")),
        started_at=moment(data.get("start_time")),
        ended_at=moment(data.get("end_time")),
        raw=data,
    )


def run_states(data: Any) -> list[RunState]:
    """Read a history."""
    states = (run_state(item) for item in data) if isinstance(data, list) else ()
    return [state for state in states if state is not None and state.id]


def step(data: Mapping[str, Any]) -> Step:
    """Read one step."""
    notes = data.get("step_metadata")
    return Step(
        id=str(data.get("id") or ""),
        node=str(data.get("node_id") or data.get("node") or data.get("name") or "?"),
        status=_word(data.get("status")),
        inputs=data.get("inputs"),
        outputs=data.get("outputs"),
        error=_error(data.get("error")),
        started_at=moment(data.get("start_time")),
        ended_at=moment(data.get("end_time")),
        tokens=_tokens(data),
        notes=notes if isinstance(notes, Mapping) else {},
        raw=data,
    )


def steps(data: Any) -> list[Step]:
    """Read the steps of a run, in the order in which they began: the service does not promise one."""
    found = [step(item) for item in data if isinstance(item, Mapping)] if isinstance(data, list) else []
    late = datetime.max.replace(tzinfo=timezone.utc)
    return sorted(found, key=lambda each: each.started_at or late)


def graph_of(data: Any) -> Mapping[str, Any]:
    """Return a graph, which may come as JSON in a string."""
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            return {}
    return data if isinstance(data, Mapping) else {}


def moment(value: Any) -> datetime | None:
    """Read a time in any of the service's forms, as UTC.

    Examples
    --------
    >>> moment("2025-04-24T03:18:12.322630Z").isoformat()
    '2025-04-24T03:18:12.322630+00:00'
    >>> moment("2025-03-12 00:59:55.465508+00:00").isoformat()
    '2025-03-12T00:59:55.465508+00:00'
    """
    if not isinstance(value, str):
        return None
    # Python 3.10 reads neither Z nor a fraction of other than three or six digits
    text = re.sub(r"[zZ]$", "+00:00", value.strip())
    text = re.sub(r"\.(\d+)", lambda m: "." + m.group(1)[:6].ljust(6, "0"), text)
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):  # the first and the last day there is have no other zone
        return None


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from ``start`` to ``end``, None where one is missing."""
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())


def _word(value: Any) -> str:
    return str(value).strip().lower() if value not in (None, "") else "unknown"


def _error(value: Any) -> str | None:
    if value in (None, "", [], {}, False):
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _tokens(data: Mapping[str, Any]) -> int:
    counted = data.get("tokens")
    outputs = data.get("outputs")
    usage = outputs.get("usage") if isinstance(outputs, Mapping) else None
    used = usage.get("total_tokens") if isinstance(usage, Mapping) else None
    return next((n for n in (counted, used) if isinstance(n, int) and n > 0), 0)
