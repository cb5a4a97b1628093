"""The card of a run: one block that says everything, as text and as HTML.

It is saved with the notebook and must be whole by itself: no script, no style block, no address, no widget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import diagram, faults, remarks, steps, value
from .words import NOT_TYPESET, clean, clock, escape, line, mark, pill, seconds

if TYPE_CHECKING:
    from ..client.snapshot import Snapshot

LONG_SECONDS = 60.0
"""A run that took longer says when it ended: someone has turned to something else."""

BRIEF = 50
"""Characters of an error below the card that has all of it."""

_FRAME = "border:1px solid rgba(128,128,128,0.35);border-radius:8px;padding:8px 12px;margin:4px 0"


def text(seen: Snapshot) -> str:
    """Return the card for a terminal, with the same data as :func:`html`."""
    state = seen.state
    lines = [" · ".join([headline(seen), *_as_of(seen)])]
    lines += [f"  {clean(sentence)}" for sentence in _sentences(seen)]
    if failure := faults.failure(seen):
        lines += [f"  {_at(failure, 'error')}:", *("    " + each for each in _whole(failure.error).split("\n"))]
        lines += [f"    ({clean(failure.more)})"] if failure.more else []
    if _gave(seen):
        lines += ["  outputs:", value.text(state.outputs, "    ")]
    if seen.steps:
        lines += ["  steps:", *("    " + each for each in steps.table(seen).text().split("\n"))]
    return "\n".join([*lines, f"  {clean(seen.reattach)}"])


def _whole(error: str) -> str:
    """Return an error as the server said it, but for what no terminal should have to scroll through."""
    more = len(error) - value.MOST
    return clean(error) if more <= 0 else f"{clean(error[: value.MOST])}\n… {more:,} more characters"


def headline(seen: Snapshot) -> str:
    """Return the card's first line: status, workflow, short id, time."""
    return " · ".join([mark(_status(seen)), *(line(part) for part in _headline(seen))])


def brief(seen: Snapshot) -> str:
    """Return in one short line what became of a run whose card stands above and says all of it."""
    failure = faults.failure(seen)
    said = ": ".join([each for each in (failure.node, failure.error) if each]) if failure else ""
    ended = f"Run {seen.state.id[:8]} ended as {seen.state.status}{': ' if said else ''}{line(said, BRIEF)}"
    return f"{ended.rstrip('.')}{'' if ended.endswith('…') else '.'} The card above says all."


def html(seen: Snapshot) -> str:
    """Return the card as HTML."""
    state = seen.state
    rest = " · ".join(escape(line(part)) for part in [*_headline(seen), *_as_of(seen)])
    parts = [f'<p style="margin:0">{pill(_status(seen))} {rest}</p>']
    parts += [f'<p style="{steps.PART}">{escape(sentence)}</p>' for sentence in _sentences(seen)]
    failure = faults.failure(seen)
    if failure:
        parts.append(steps.part(_at(failure, "Error")) + value.verbatim(failure.error))
        parts += [f'<p style="{steps.PART}">{escape(failure.more)}</p>'] if failure.more else []
    if _gave(seen):
        parts.append(steps.part("Outputs") + value.html(state.outputs))
    if seen.graph:
        picture = diagram.from_graph(seen.graph)
        parts.append(f'<p style="margin:10px 0">{diagram.img(picture, node_statuses(seen))}</p>')
    parts.append(steps.html(seen, [failure.error] if failure else []))
    parts.append(
        f'<p style="margin:8px 0 0 0"><small>Come back to this run: <code>{escape(seen.reattach)}</code></small></p>'
    )
    return f'<div {NOT_TYPESET} style="{_FRAME}">{"".join(parts)}</div>'


def _at(failure: faults.Failure, word: str) -> str:
    return f"{word} in {line(failure.node)}" if failure.node else word


def _gave(seen: Snapshot) -> bool:
    """Whether there are outputs to show: a run that did not go well may have none."""
    return seen.state.finished and (seen.state.succeeded or seen.state.outputs is not None)


def _sentences(seen: Snapshot) -> list[str]:
    """Return what is said of a run below its headline."""
    state = seen.state
    ended = ""
    if state.ended_at is not None and (state.duration or 0.0) > LONG_SECONDS:
        ended = f"It ended at {clock(state.ended_at)} UTC, after {seconds(state.duration)}."
    return [sentence for sentence in (seen.note, ended, seen.trouble, *remarks.remarks(seen.steps)) if sentence]


def node_statuses(seen: Snapshot) -> dict[str, str]:
    """Return the status of each node that has one; the last pass of a loop speaks for its node."""
    found = {step.node.split("#")[0]: faults.status(step) for step in seen.steps}
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


def _as_of(seen: Snapshot) -> list[str]:
    """Return when a run that went on was like this: a saved card has nobody who keeps it current."""
    known = seen.as_of if not seen.state.finished else None
    return [f"as of {known.astimezone():%H:%M:%S}"] if known else []


def _status(seen: Snapshot) -> str:
    """Return the status of the run as it is shown: the service calls one completed in which every program failed."""
    return "completed with errors" if _blemish(seen) else seen.state.status


def _blemish(seen: Snapshot) -> str:
    """Return what a run that is called completed has against it."""
    faulty = sum(bool(faults.of(step)) for step in seen.steps) if seen.state.succeeded else 0
    return "" if not faulty else "1 step had an error" if faulty == 1 else f"{faulty} steps had errors"
