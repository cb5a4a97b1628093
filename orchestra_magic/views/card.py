"""The card of a run: one block that says everything, as text and as HTML.

It is saved with the notebook and must be whole by itself: no script, no style block, no address, no widget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import diagram, value
from .table import Table
from .words import MARKS, NOT_TYPESET, clean, clock, escape, fault, line, mark, results, seconds

if TYPE_CHECKING:
    from ..client.records import Step
    from ..client.snapshot import Snapshot

# Pills bring their own ground, so that they read the same in a light and a dark theme.
_GOOD, _BAD, _BUSY, _PLAIN = (
    "#0b5a28;background:#dff3e4",
    "#8a1212;background:#fde4e4",
    "#0b4a8a;background:#e1eefc",
    "#3c3c3c;background:#ececec",
)
_COLOURS = {"✔": _GOOD, "✘": _BAD, "◐": _BUSY, "○": _BUSY}


LONG_SECONDS = 60.0
"""A run that took longer says when it ended: someone has turned to something else."""

_FRAME = "border:1px solid rgba(128,128,128,0.35);border-radius:8px;padding:8px 12px;margin:4px 0"
_PART = "margin:8px 0 2px 0"


def text(seen: Snapshot) -> str:
    """Return the card for a terminal, with the same data as :func:`html`."""
    state = seen.state
    lines = [headline(seen)]
    lines += [f"  {clean(sentence)}" for sentence in _sentences(seen)]
    if state.error:
        lines += ["  error:", *("    " + each for each in _whole(state.error).split("\n"))]
    if state.finished and not (state.error and state.outputs is None):
        lines += ["  outputs:", value.text(state.outputs, "    ")]
    if seen.steps:
        lines += ["  steps:", *("    " + each for each in _steps_table(seen).text().split("\n"))]
    return "\n".join([*lines, f"  {clean(seen.reattach)}"])


def _whole(error: str) -> str:
    """Return an error as the server said it, but for what no terminal should have to scroll through."""
    more = len(error) - value.MOST
    return clean(error) if more <= 0 else f"{clean(error[: value.MOST])}\n… {more:,} more characters"


def headline(seen: Snapshot) -> str:
    """Return the card's first line: status, workflow, short id, time."""
    return " · ".join([mark(seen.state.status), *(line(part) for part in _headline(seen))])


def html(seen: Snapshot) -> str:
    """Return the card as HTML."""
    state = seen.state
    rest = " · ".join(escape(line(part)) for part in _headline(seen))
    parts = [f'<p style="margin:0">{pill(state.status)} {rest}</p>']
    parts += [f'<p style="{_PART}">{escape(sentence)}</p>' for sentence in _sentences(seen)]
    if state.error:
        parts.append(_part("Error") + value.verbatim(state.error))
    if state.finished and not (state.error and state.outputs is None):
        parts.append(_part("Outputs") + value.html(state.outputs))
    if seen.graph:
        picture = diagram.from_graph(seen.graph)
        parts.append(f'<p style="margin:10px 0">{diagram.img(picture, node_statuses(seen))}</p>')
    if seen.steps:
        inner = "".join(_step(step) for step in seen.steps)
        total = "1 step" if len(seen.steps) == 1 else f"{len(seen.steps)} steps"
        shown = " open" if any(_fault(step) for step in seen.steps) else ""
        parts.append(f"<details{shown}><summary>{total}</summary>{inner}</details>")
    parts.append(
        f'<p style="margin:8px 0 0 0"><small>Come back to this run: <code>{escape(seen.reattach)}</code></small></p>'
    )
    return f'<div {NOT_TYPESET} style="{_FRAME}">{"".join(parts)}</div>'


def _part(name: str) -> str:
    return f'<p style="{_PART}"><b>{name}</b></p>'


def _sentences(seen: Snapshot) -> list[str]:
    """Return what is said of a run below its headline."""
    state = seen.state
    ended = ""
    if state.ended_at is not None and (state.duration or 0.0) > LONG_SECONDS:
        ended = f"It ended at {clock(state.ended_at)} UTC, after {seconds(state.duration)}."
    return [sentence for sentence in (seen.note, ended, seen.trouble) if sentence]


def pill(status: str) -> str:
    """Return a status as HTML: mark, word and colour."""
    colour = _COLOURS.get(MARKS.get(status, ""), _PLAIN)
    return f'<b style="color:{colour};padding:1px 7px;border-radius:9px">{escape(mark(status))}</b>'


def node_statuses(seen: Snapshot) -> dict[str, str]:
    """Return the status of each node that has one; the last pass of a loop speaks for its node."""
    found = {step.node.split("#")[0]: _status(step) for step in seen.steps}
    if seen.state.finished:
        found |= {name: "skipped" for name in _names(seen) if seen.steps and name not in found}
        found["END"] = "completed" if seen.state.succeeded else seen.state.status
    return found


def _names(seen: Snapshot) -> list[str]:
    nodes = seen.graph.get("nodes")
    return [str(name) for name in nodes] if isinstance(nodes, dict) else []


def _headline(seen: Snapshot) -> list[str]:
    duration = seen.state.duration if seen.state.finished else seen.age
    name = seen.workflow_name or seen.workflow_id
    old = "not current" if seen.trouble and not seen.state.finished else ""
    return [part for part in (name, f"run {seen.state.id[:8]}", seconds(duration), _blemish(seen), old) if part]


def _blemish(seen: Snapshot) -> str:
    """Return what a run that is called completed has against it."""
    faulty = sum(bool(_fault(step)) for step in seen.steps) if seen.state.succeeded else 0
    return "" if not faulty else "1 step had an error" if faulty == 1 else f"{faulty} steps had errors"


def _fault(step: Step) -> str:
    return step.error or fault(step.outputs)


def _status(step: Step) -> str:
    """Return a step's status; a server may call one completed whose program failed."""
    good = MARKS.get(step.status) == MARKS["completed"]
    return "errored" if good and _fault(step) else step.status


def _steps_table(seen: Snapshot) -> Table:
    rows = [[step.node, mark(_status(step)), seconds(step.duration), _last_word(step)] for step in seen.steps]
    return Table(["node", "status", "time", "outputs"], rows)


def _last_word(step: Step) -> str:
    said = _fault(step) or results(step.outputs)
    return "" if said is None else line(said, 60)


def _step(step: Step) -> str:
    facts = " · ".join(
        part for part in (seconds(step.duration), f"{step.tokens} tokens" if step.tokens else "") if part
    )
    parts = [f"<summary><b>{escape(line(step.node))}</b> {pill(_status(step))} {escape(facts)}</summary>"]
    if said := _fault(step):
        parts.append(_part("Error") + value.verbatim(said))
    parts.append(_part("Inputs") + value.html(step.inputs) + _part("Outputs") + value.html(step.outputs))
    shown = " open" if said else ""
    inner = f'<div style="margin:2px 0 8px 16px">{"".join(parts[1:])}</div>'
    return f'<details{shown} style="margin:4px 0 4px 12px">{parts[0]}{inner}</details>'
