"""Run AI workflows of Arcee Orchestra from a notebook.

``%load_ext orchestra_magic`` brings the magics; :class:`Orchestra` is the same as plain functions.
The names below are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .client.orchestra import Orchestra
    from .client.records import Input, Step
    from .client.run import Run
    from .client.workflow import Workflow
    from .errors import (
        NotFound,
        OrchestraAuthError,
        OrchestraConfigError,
        OrchestraConnectionError,
        OrchestraError,
        OrchestraInputError,
        OrchestraUsageError,
        RunDetached,
        RunFailed,
        RunTimeout,
        RunUnconfirmed,
        ServerError,
    )

__all__ = [
    "Input",
    "NotFound",
    "Orchestra",
    "OrchestraAuthError",
    "OrchestraConfigError",
    "OrchestraConnectionError",
    "OrchestraError",
    "OrchestraInputError",
    "OrchestraUsageError",
    "Run",
    "RunDetached",
    "RunFailed",
    "RunTimeout",
    "RunUnconfirmed",
    "ServerError",
    "Step",
    "Workflow",
    "__version__",
]

_HOMES = {
    "Input": "client.records",
    "Orchestra": "client.orchestra",
    "Run": "client.run",
    "Step": "client.records",
    "Workflow": "client.workflow",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the magics to ``shell``: what ``%load_ext orchestra_magic`` calls."""
    from .notebook.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take everything out of ``shell`` again: what ``%unload_ext orchestra_magic`` calls."""
    from .notebook.extension import unload

    unload(shell)
