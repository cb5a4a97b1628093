"""How a started run is shown: a card that stays current, a line in a terminal, or nothing.

In a kernel the card is one display with an id: it is redrawn in place from the watcher's thread, and each
state of it is complete by itself, so that a saved notebook has the last one. It is no widget: those are gone
after a reload.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from ..client.snapshot import snapshot
from ..views import card, table
from . import redrawing

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..client.run import Run


def mode(shell: InteractiveShell, chosen: str) -> str:
    """Return what ``%config OrchestraMagics.watch`` means here: ``live``, ``wait`` or ``off``."""
    if not hasattr(shell, "kernel"):
        return "wait" if chosen == "wait" else "off"  # a terminal has the prompt where a card would be redrawn
    if chosen != "auto":
        return chosen
    return "wait" if "google.colab" in sys.modules else "live"  # Colab shows no update from a thread


class View(Protocol):
    """What shows a run while it is waited for, and after."""

    def update(self, run: Run) -> None:
        """Show the run as it is now."""

    def leave(self) -> None:
        """Show it as it is when the cell goes on: over, or followed in the background."""


class Card:
    """The card of one run, redrawn in place.

    Parameters
    ----------
    live : bool
        Whether it is kept current after the cell, from the watcher's thread.
    """

    def __init__(self, run: Run, *, live: bool) -> None:
        from IPython.display import display

        self._run = run
        self._live = live
        self._lock = threading.Lock()
        self._drawn = self._draw()
        self._handle: Any = display(self._drawn, raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def update(self, _: Run | None = None) -> None:
        """Redraw the card if it would look any different."""
        with self._lock:
            drawn = self._draw()
            if drawn != self._drawn:
                self._drawn = drawn
                self._handle.update(drawn, raw=True)

    def leave(self) -> None:
        """Leave the card final, or to the watcher."""
        self.update()
        if self._live and not self._run.latest.finished and self._run.refusal is None:
            self._run.on_change(self.update)
            redrawing.follow(self)

    def again(self) -> bool:
        """Show the card once more if it is final, and tell whether it is."""
        if not self._run.latest.finished and self._run.refusal is None:
            return False
        with self._lock:
            self._drawn = self._draw()
            self._handle.update(self._drawn, raw=True)
        return True

    def _draw(self) -> dict[str, str]:
        seen = snapshot(self._run, look=False)
        return {"text/plain": card.text(seen), "text/html": card.html(seen)}


class Line:
    """One line in a terminal, written over and over; it is gone in the end."""

    def __init__(self, run: Run, out: TextIO) -> None:
        self._run = run
        self._out = out
        self._begun = time.monotonic()
        self.update(run)

    def update(self, run: Run) -> None:
        """Write the line anew."""
        text = card.headline(snapshot(run, look=False))
        while table.width(text) >= shutil.get_terminal_size().columns:  # what is wrapped cannot be taken back
            text = text[:-1]
        self._out.write(f"\r\x1b[2K{text}")
        self._out.flush()

    def leave(self) -> None:
        """Take the line back; a terminal's bell tells of a run that took long."""
        long = self._run.latest.finished and time.monotonic() - self._begun > card.LONG_SECONDS
        self._out.write("\r\x1b[2K" + ("\a" if long else ""))
        self._out.flush()


class Lines:
    """A line for each change of the status, where nothing can be taken back."""

    def __init__(self, run: Run, out: TextIO) -> None:
        self._out = out
        self._last = ""
        self.update(run)

    def update(self, run: Run) -> None:
        """Write a line if the status is another one."""
        seen = snapshot(run, look=False)
        now = f"{seen.state.status} {bool(seen.trouble)}"
        if now != self._last:
            self._last = now
            self._out.write(card.headline(seen) + "\n")
            self._out.flush()

    def leave(self) -> None:
        """Leave the lines as they are."""


def show(shell: InteractiveShell, run: Run, how: str, *, waits: bool, stream: TextIO | None = None) -> View | None:
    """Show a run that was just started, as the mode ``how`` and the shell have it."""
    if hasattr(shell, "kernel"):
        if how == "off":
            return None
        hush(shell, run)
        return Card(run, live=how == "live")
    if not waits:
        return None
    out = sys.stderr if stream is None else stream
    return Line(run, out) if out.isatty() and os.environ.get("TERM") != "dumb" else Lines(run, out)


def hush(shell: InteractiveShell, run: Run) -> None:
    """Let the cell that shows the run's card, or is to show nothing, not show the run once more as its value."""
    now = shell.execution_count
    run.hush(lambda: shell.execution_count == now)
