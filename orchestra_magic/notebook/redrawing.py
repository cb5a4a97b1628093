"""The end of a run, shown once more by a cell.

nbclient, and with it papermill and nbconvert, drops what is displayed for a cell that is over: its notebook would
keep a card as it was when the cell ended. So what threads redraw is shown again, final, by the next cell that ends.
"""

from __future__ import annotations

from typing import Any, Protocol


class Redrawn(Protocol):
    """What is redrawn from threads."""

    def again(self) -> bool:
        """Show it once more if it is final, and tell whether it is."""


_open: list[Redrawn] = []


def follow(shown: Redrawn) -> None:
    """Let the cells that end from now on show it once more, until it is final."""
    if shown not in _open and not _hears_threads():
        _open.append(shown)


def after_cell(*_: Any) -> None:
    """Show what has become final since the last cell. IPython calls it at the end of each cell."""
    for shown in list(_open):
        if shown.again():
            _open.remove(shown)


def _hears_threads() -> bool:
    # Where a person sits, threads are heard, and to draw a card anew would close what they unfolded in it.
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", True))
