"""Each fault through the plain functions, the magic and the form.

What is said, how many POSTs arrived, what is bound, and what the journal has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from orchestra_magic import Orchestra, OrchestraError, Run
from orchestra_magic.client import journal
from orchestra_magic.client.workflow import workflow
from orchestra_magic.notebook.form import Form

from .conftest import EXECUTE, INPUTS, WF, Far
from .document import PAGE, page
from .table import CLASSES, FAULTS, RUN, Fault

MakeFar = Callable[[Fault], Far]
Door = Callable[[], Run]


def named(fault: Fault) -> str:
    return fault.name


every_fault = pytest.mark.parametrize("fault", FAULTS, ids=named)
every_class = pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.doors], ids=named)


def shown(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def in_the_journal() -> str:
    """What the journal says of the one start that there was."""
    found = journal.entries()
    if not found:
        return "dropped"
    (entry,) = found
    return "lost" if entry.lost and entry.unconfirmed else "intended" if entry.unconfirmed else "started"


@pytest.fixture
def function() -> Door:
    return lambda: Orchestra().execute(WF, INPUTS)


@pytest.fixture
def magic(shell: InteractiveShell) -> Door:
    def start() -> Run:
        result = shell.run_cell(f"%%orchestra_execute {WF}\nprompt: hello")
        result.raise_error()
        return result.result

    return start


@pytest.fixture
def form(shell: InteractiveShell) -> Door:
    graph: dict[str, Any] = {"nodes": {}, "edges": [], "input_data": {"prompt": {"type": "string"}}}
    known = workflow({"workflow_id": WF, "name": "Say hi", "graph": graph}, lambda _: ())

    def start() -> Run:
        made = Form(Orchestra(), known, shell).set(**INPUTS)
        made.submit()
        return made.run

    return start


def check(fault: Fault, end: Far, start: Door) -> Run | None:
    """Start a run, hold all that is to be seen against the table, and return the run."""
    end.break_posts()
    run = error = None
    try:
        run = start()
    except OrchestraError as raised:
        error = raised
    found = fault.lost and end.in_history
    if found or not fault.kind:
        assert error is None, shown(error)
        assert run is not None
        assert run.id == RUN
        assert ("found in the history" in run.note) is found
    else:
        assert error is not None
        assert shown(error) == end.said(fault.post, EXECUTE)
        assert error.__context__ is None
        assert "\n" not in str(error)
    assert len(end.server.posts) == fault.posts
    assert in_the_journal() == ("started" if found else fault.journal)
    return run


@every_fault
def test_a_get(fault: Fault, far: MakeFar) -> None:
    end = far(fault)
    end.break_gets()
    if fault.kind:
        with pytest.raises(OrchestraError) as caught:
            Orchestra().workflows()
        assert shown(caught.value) == end.said(fault.get, "/workflows")
    else:
        assert Orchestra().workflows() == []
    assert not end.server.posts
    assert len(end.server.said) <= 5
    assert journal.entries() == []


@every_fault
def test_a_start(fault: Fault, far: MakeFar, function: Door) -> None:
    check(fault, far(fault), function)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.lost and fault.posts], ids=named)
def test_a_start_that_the_history_shows(fault: Fault, far: MakeFar, function: Door) -> None:
    end = far(fault)
    end.in_history = True
    check(fault, end, function)


DOORS = [
    pytest.param(way, fault, in_history, id=f"{way}: {fault.name}" + (", in the history" if in_history else ""))
    for way in ("magic", "form")
    for fault in FAULTS
    for in_history in (False, True)
    if fault.doors and (not in_history or (fault.lost and fault.posts))
]


@pytest.mark.parametrize(("way", "fault", "in_history"), DOORS)
def test_the_other_doors(
    way: str, fault: Fault, in_history: bool, far: MakeFar, request: pytest.FixtureRequest, shell: InteractiveShell
) -> None:
    end = far(fault)
    end.in_history = in_history
    run = check(fault, end, request.getfixturevalue(way))
    assert shell.user_ns.get("run_id") == (None if run is None else RUN)


@every_class
def test_the_magic_that_lists(fault: Fault, far: MakeFar, shell: InteractiveShell) -> None:
    end = far(fault)
    end.break_gets()
    result = shell.run_cell("%orchestra_workflows")
    if fault.kind:
        assert shown(result.error_in_exec) == end.said(fault.get, "/workflows")
    else:
        assert result.result == []


def test_every_class_has_one_that_stands_for_it() -> None:
    for name, faults in CLASSES.items():
        assert any(fault.doors for fault in faults), name


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.faults.document`"
