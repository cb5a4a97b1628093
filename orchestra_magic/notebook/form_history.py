"""Last inputs: what earlier runs were started with, filled in again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..client import discovery, secrecy
from ..client.records import Input
from ..errors import OrchestraError
from ..views.words import clock, line, mark
from .form_parts import NOTHING

if TYPE_CHECKING:
    from ..client.run import Run
    from .form import Form

RUNS = 10
"""How many runs are offered."""


class LastInputs:
    """The inputs of earlier runs of one form's workflow."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._runs: list[Run] = []
        self._before: dict[str, Any] = {}

    def fetch(self) -> None:
        """Ask for the runs, offer them, and fill in the newest; this waits for the server."""
        form, parts = self._form, self._form.parts
        runs = form.orchestra.history(form.workflow, limit=RUNS)
        if not runs:
            parts.tell("The server remembers no run of this workflow.")
            return
        self._before = {field.name: field.control.mark() for field in form.fields.values()}
        self._runs = []  # nothing is filled in while the list is made
        parts.earlier.options = [(NOTHING, -1), *((_label(run), place) for place, run in enumerate(runs))]
        parts.earlier.value = -1
        self._runs = list(runs)
        parts.show(parts.earlier)
        parts.earlier.value = 0

    def choose(self, place: int | None) -> None:
        """Fill in the inputs of one run, or what stood there before."""
        if not self._runs or place is None:
            return
        if place < 0:
            for name, before in self._before.items():
                self._form.fields[name].control.back(before)
            return
        run = self._runs[place]
        left = self._fill(run.latest.inputs)
        told = f"These are the inputs of run {run.short_id}, from {clock(run.latest.started_at)} UTC."
        self._form.parts.tell(" ".join([told, *left]))

    def _fill(self, inputs: Any) -> list[str]:
        """Fill in the fields, and return a sentence for each input that could not be."""
        form, left = self._form, []
        for name, value in inputs.items():
            if name not in form.fields and name not in form.left_out:
                form.take(Input(name, discovery.json_type(value), source="history"))
        for field in list(form.fields.values()):
            if field.secret:
                if field.name in inputs:
                    left.append(f"{field.name} is a secret, and is not filled in.")
                continue
            try:
                field.set(inputs.get(field.name), literal=True)
            except OrchestraError as error:
                left.append(str(error))
        return left


def _label(run: Run) -> str:
    seen = secrecy.state(run.latest, run.hidden)
    return f"{clock(seen.started_at)} · {mark(seen.status)} · {line(dict(seen.inputs), 60)}"
