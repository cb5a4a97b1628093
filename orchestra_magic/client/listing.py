"""Lists that show themselves as tables and turn into DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import secrecy

if TYPE_CHECKING:
    import pandas as pd

    from ..views.table import Table
    from .records import Step
    from .run import Run
    from .workflow import Workflow


class _Listing:
    """What the lists share: text, HTML and a DataFrame from the same rows."""

    def _table(self) -> Table:
        raise NotImplementedError

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        table = self._table()
        return {"text/plain": table.text(), "text/html": table.html()}

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        # IPython has a printer of its own for every list, and asks it before the bundle above.
        printer.text(self._table().text())


class Workflows(_Listing, list["Workflow"]):
    """Workflows, as the server lists them."""

    def _table(self) -> Table:
        from ..views import listings  # drawn only when looked at

        return listings.workflows(self)


class Runs(_Listing, list["Run"]):
    """Runs, newest first."""

    def _table(self) -> Table:
        from ..views import listings

        for run in self[:1]:
            run.recognise()  # the workflow says which inputs are secret
        return listings.runs([(secrecy.state(run.latest, run.hidden), run.workflow_id) for run in self])

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame with one row per run: id, status, times, duration (s), error, inputs, outputs."""
        import pandas as pd  # only for those who have it

        states = [run.latest for run in self]
        columns = ("id", "status", "started_at", "ended_at", "duration", "error", "inputs", "outputs")
        return pd.DataFrame({name: [getattr(state, name) for state in states] for name in columns})


class Steps(_Listing, list["Step"]):
    """The steps of a run, in the order in which they began."""

    run: Run | None = None
    """The run that they belong to: it knows what is secret."""

    def _table(self) -> Table:
        from ..views import listings

        hidden = self.run.hidden if self.run is not None else frozenset()
        return listings.steps([secrecy.step(each, hidden) for each in self])

    def to_frame(self) -> pd.DataFrame:
        """Return a DataFrame with one row per step: node, status, times, duration (s), tokens, error, data."""
        import pandas as pd

        columns = (
            "node",
            "status",
            "started_at",
            "ended_at",
            "duration",
            "tokens",
            "error",
            "inputs",
            "outputs",
        )
        return pd.DataFrame({name: [getattr(step, name) for step in self] for name in columns})
