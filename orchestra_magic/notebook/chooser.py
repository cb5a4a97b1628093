"""A choice of workflows, and then the form of the one that was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..client.workflow import Workflow
from ..errors import OrchestraError, OrchestraUsageError
from ..views import form_card
from ..views.words import escape, line
from .fields.control import WIDE
from .fields.field import ALERT
from .form import Form

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..client.orchestra import Orchestra


class Chooser:
    """Offers the workflows of a server; after a choice it is as good as the form.

    Attributes
    ----------
    form : Form or None
        The form of the workflow that was chosen.

    Examples
    --------
    >>> form = orchestra.form()  # doctest: +SKIP
    >>> form.choose("hello").set(name="Ada").submit()  # doctest: +SKIP
    """

    def __init__(
        self, orchestra: Orchestra, shell: InteractiveShell, inputs: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        self.form: Form | None = None
        self._handles: list[Any] = []
        self._orchestra, self._shell, self._inputs, self._options = orchestra, shell, inputs, options
        self._workflows: list[Workflow] = sorted(orchestra.workflows(), key=lambda each: each.name.casefold())
        offered = [("(choose a workflow)", -1)]
        offered += [(_label(each), place) for place, each in enumerate(self._workflows)]
        self._choice = widgets.Dropdown(description="Workflow", options=offered, layout=widgets.Layout(width=WIDE))
        self._choice.add_class("orchestra-choice")
        self._choice.observe(self._chosen, "value")
        self._said = widgets.HTML("" if self._workflows else "This server has no workflows.")
        self.widget = widgets.VBox([self._choice, self._said])
        self.widget.add_class("orchestra-chooser")

    def choose(self, workflow: str | Workflow) -> Form:
        """Put the form of a workflow below the choice, and return it.

        Raises
        ------
        NotFound, OrchestraUsageError
            If none or several fit.
        """
        found = self._orchestra.workflow(workflow)
        word = workflow if isinstance(workflow, str) else None
        self.form = Form(self._orchestra, found, self._shell, self._inputs, word=word, **self._options)
        self.widget.children = [self._choice, self._said, self.form.widget]
        self._said.value = ""
        if self._handles:
            self.form.shown.adopt(self._handles)
        return self.form

    def _chosen(self, change: Any) -> None:
        place = change["new"]
        if place is None or place < 0:
            return
        try:
            self.choose(self._workflows[place])
        except OrchestraError as error:
            self._fail(f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001  (a handler's exception would vanish)
            self._fail(f"The form failed: {type(error).__name__}: {error}")

    def _fail(self, said: str) -> None:
        self._said.value = f'<div role="alert" style="{ALERT}">✘ {escape(said)}</div>'

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "form":
            raise AttributeError(name)
        if self.form is None:
            raise OrchestraUsageError("No workflow is chosen yet: choose one in the list, or by form.choose(NAME).")
        return getattr(self.form, name)

    def __repr__(self) -> str:
        return repr(self.form) if self.form is not None else "<Form: choose a workflow>"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if not hasattr(self._shell, "kernel"):
            raise NotImplementedError
        display(self._repr_mimebundle_(), raw=True)  # type: ignore[no-untyped-call]
        empty = {"text/plain": "", "text/html": ""}  # the place of what stays of the form
        self._handles.append(display(empty, raw=True, display_id=True))  # type: ignore[no-untyped-call]
        if self.form is not None:
            self.form.shown.adopt(self._handles)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        still = self.form.shown.still() if self.form is not None else {}
        return {
            "text/plain": repr(self),
            "text/html": form_card.stand_in("a workflow of your choice"),
            **still,
            "application/vnd.jupyter.widget-view+json": view,
        }


def _label(workflow: Workflow) -> str:
    about = f" · {line(workflow.description, 60)}" if workflow.description else ""
    return f"{line(workflow.name, 60) or workflow.id}{about}"
