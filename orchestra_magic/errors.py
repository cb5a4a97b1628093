"""Every error that this package raises on purpose.

::

    OrchestraError
     ├─ OrchestraUsageError        a bad option, name or argument; nothing was sent
     ├─ OrchestraInputError        the inputs are not what can be sent (line, column); nothing was sent
     ├─ OrchestraConfigError       no key, no address, or an address that is not safe
     ├─ OrchestraConnectionError   the server was not reached; nothing was started
     ├─ OrchestraAuthError         the server refused the key (401, 403)
     ├─ NotFound                   the server does not know the workflow or run (404)
     ├─ ServerError                any other refusal or an answer that cannot be read
     ├─ RunFailed                  the run ended, and not well
     ├─ RunTimeout                 the wait ended before the run did
     ├─ RunDetached                the wait was interrupted; the run goes on
     └─ RunUnconfirmed             the answer to a start was lost; the run may or may not exist

In IPython each shows as one line, and still is a real error that stops *Run All*, nbval and papermill.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from datetime import datetime

    from .client.run import Run

# A front end sends the cells of a *Run All* one after the other, and a kernel stops those that it has when one fails.
# A stack takes IPython as long as they need to arrive; one line does not, and the cell below would go on.
_GATHERING_SECONDS = 0.1

__all__ = [
    "NotFound",
    "OrchestraAuthError",
    "OrchestraConfigError",
    "OrchestraConnectionError",
    "OrchestraError",
    "OrchestraInputError",
    "OrchestraUsageError",
    "RunDetached",
    "RunFailed",
    "RunTimeout",
    "RunUnconfirmed",
    "ServerError",
]


class OrchestraError(Exception):
    """The root: catch it to catch everything that this package raises on purpose."""

    verbose: ClassVar[bool] = False
    """Show the whole stack in IPython (``%config OrchestraMagics.verbose_errors = True``)."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this before it formats a stack of its own. A UsageError would be
        # short too, but the kernel then sends no `error` output, and nbval passes the cell.
        from .views.words import clean  # what a server says must not steer a terminal

        if "ipykernel" in sys.modules:
            time.sleep(_GATHERING_SECONDS)
        if OrchestraError.verbose:
            return clean("".join(traceback.format_exception(self)).rstrip()).split("\n")
        return [clean(f"{type(self).__name__}: {self}")]


class OrchestraUsageError(OrchestraError):
    """A bad option, name or argument. Nothing was sent."""


class OrchestraInputError(OrchestraError):
    """The inputs are not a mapping of JSON values, or cannot be read. Nothing was sent.

    Attributes
    ----------
    reason : str
        What is wrong and what to do, in one sentence.
    line, column : int or None
        Where, counted from 1. In a cell, ``line`` counts the ``%%`` line too.
    excerpt : str or None
        The faulty line as written. ``str()`` of the error shows it with a caret.
    """

    def __init__(
        self,
        reason: str,
        *,
        line: int | None = None,
        column: int | None = None,
        excerpt: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column
        self.excerpt = excerpt

    def __str__(self) -> str:
        if self.line is None:
            return self.reason
        where = f"line {self.line}" + ("" if self.column is None else f", column {self.column}")
        text = f"{where}: {self.reason}"
        if self.excerpt is not None:
            gutter = f"  {self.line:>4} | "
            text += f"\n{gutter}{self.excerpt}"
            if self.column is not None:
                text += f"\n{' ' * (len(gutter) + self.column - 1)}^"
        return text


class OrchestraConfigError(OrchestraError):
    """There is no key, no address, or an address that a key must not be sent to."""


class OrchestraConnectionError(OrchestraError):
    """The server was not reached, so nothing was started.

    Attributes
    ----------
    stopped : bool
        Whether it is the embedded Orchestra and was stopped on purpose: it does not come back by itself.
    """

    def __init__(self, message: str, *, stopped: bool = False) -> None:
        super().__init__(message)
        self.stopped = stopped


class _AnswerError(OrchestraError):
    """An answer of the server that is not what was asked for.

    Attributes
    ----------
    status : int or None
        The HTTP status, None where there was none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class OrchestraAuthError(_AnswerError):
    """The server refused the key (401 or 403)."""


class NotFound(_AnswerError):  # noqa: N818  (the field's word, as in the API)
    """The server does not know the workflow or the run (404)."""


class ServerError(_AnswerError):
    """The server refused the request, failed, or gave an answer that cannot be read.

    Attributes
    ----------
    retry_after : float or None
        Seconds that the server asked to wait.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class _RunError(OrchestraError):
    """An error about one run, which it carries as ``run``: nothing that was paid for is out of reach."""

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run


class RunFailed(_RunError):  # noqa: N818
    """The run ended as failed or cancelled. ``str()`` holds the server's error."""

    brief = ""
    """What IPython shows instead, where the run's card in the same cell holds the error."""

    def _render_traceback_(self) -> list[str]:
        from .views.words import clean

        shown = super()._render_traceback_()
        return [clean(f"{type(self).__name__}: {self.brief}")] if self.brief and not OrchestraError.verbose else shown


class RunTimeout(_RunError):  # noqa: N818
    """The time that ``wait`` was given is over. The run goes on."""


class RunDetached(_RunError):  # noqa: N818
    """The wait was interrupted. The run goes on, and every name stays bound."""


class RunUnconfirmed(OrchestraError):  # noqa: N818
    """The answer to a start was lost, and the history does not say for certain what became of it.

    Attributes
    ----------
    workflow_id : str
        The workflow that was to be started.
    inputs : Mapping[str, Any]
        What was sent.
    sent_at : datetime
        When, by this computer's clock.
    key : str
        The idempotency key that was sent.
    candidates : Sequence[Run]
        Runs that may be the one: none, or more than one.
    """

    def __init__(
        self,
        message: str,
        *,
        workflow_id: str,
        inputs: Mapping[str, Any],
        sent_at: datetime,
        key: str,
        candidates: Sequence[Run] = (),
    ) -> None:
        super().__init__(message)
        self.workflow_id = workflow_id
        self.inputs = inputs
        self.sent_at = sent_at
        self.key = key
        self.candidates = tuple(candidates)
