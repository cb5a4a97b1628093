"""Make the page about the faults from their table: ``python -m tests.faults.document``."""

from __future__ import annotations

import sys
from pathlib import Path

PAGE = Path(__file__).parent / "README.md"

HEAD = """\
# What is said when the server or the network fails

Made from `table.py` by `python -m tests.faults.document`; the tests beside it hold every line against the real client.

- **A request** is any that starts nothing, such as `%orchestra_workflows`. **A start** is `%%orchestra_execute`,
  a form's Run button or `orchestra.execute`: all three say the same.
- *POSTs* is how many arrive at the server. A start is never sent twice, whatever happens.
- A start whose answer is *lost* may have happened. The workflow's history is read at 0, 1 and 3 s: if exactly one new
  run fits, it is taken, bound and said so. Otherwise the error is `RunUnconfirmed`, the journal keeps the start, and
  `orchestra.reconcile(error)` looks again at any time. Its message is: It is not known whether the run was started.
  *Why.* The history shows no new run with these inputs. (And how to go on.)
- `host` is the server, `base` its address. Times and sizes are set low here: in use a server has 60 s for an answer
  (`%config OrchestraMagics.read_timeout`), and 200 MB.
"""


def page() -> str:
    """Return the page."""
    from .table import CLASSES, Fault

    def row(fault: Fault) -> str:
        said = shown(fault.get) or "what was asked for"
        if fault.lost:
            started = f"`RunUnconfirmed`: … {words(fault.why or fault.says)} …"
        else:
            started = "the same" if fault.kind else "the run"
        bound = "if found" if fault.lost and fault.posts else "nothing" if fault.kind else "the run"
        journal = {"lost": "started if found, else unconfirmed", "dropped": "nothing", "started": "started"}
        note = "unconfirmed" if fault.lost and not fault.posts else journal[fault.journal]
        return f"| {fault.name} | {said} | {started} | {fault.posts} | {bound} | {note} |"

    parts = [HEAD]
    for name, faults in CLASSES.items():
        parts += [
            f"## {name[0].upper()}{name[1:]}\n",
            "| fault | a request says | a start says | POSTs | bound | journal |",
            "|---|---|---|---|---|---|",
            *(row(fault) for fault in faults),
            "",
        ]
    return "\n".join(parts)


def shown(error: str) -> str:
    """Return an error for a cell of the table."""
    kind, _, said = error.partition(": ")
    return f"`{kind}`: {words(said)}" if error else ""


def words(text: str) -> str:
    """Return a message with the places where a server's own words stand."""
    path = "/workflows/…"
    return text.format(host="host", base="base", path=path, workflow="…").replace("|", "\\|")


if __name__ == "__main__":
    sys.path.insert(0, str(PAGE.parents[1]))
    PAGE.write_text(page(), encoding="utf-8")
