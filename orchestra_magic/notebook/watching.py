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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from ..client.snapshot import snapshot
from ..views import card, table

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..client.run import Run


def mode(shell: InteractiveShell, chosen: str) -> str:
    """Return what ``%config OrchestraMagics.watch`` means here: ``live``, ``wait`` or ``off``."""
    if chosen != "auto":
        return chosen
    if not hasattr(shell, "kernel"):
        return "off"  # a terminal has the prompt where a card would be redrawn
    return "wait" if "google.colab" in sys.modules else "live"  # Colab shows no update from a thread


class Card:
    """The card of one run, redrawn in place."""

    def __init__(self, run: Run) -> None:
        from IPython.display import display

        self._run = run
        self._lock = threading.Lock()
        self._drawn = self._draw()
        self._handle: Any = display(self._drawn, raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def update(self, _: Any = None) -> None:
        """Redraw the card if it would look any different."""
        with self._lock:
            drawn = self._draw()
            if drawn != self._drawn:
                self._drawn = drawn
                self._handle.update(drawn, raw=True)

    def _draw(self) -> dict[str, str]:
        seen = snapshot(self._run, look=False)
        return {"text/plain": card.text(seen), "text/html": card.html(seen)}


def follow(shell: InteractiveShell, run: Run) -> Card:
    """Show the card of a run, and keep it current until the run is over."""
    shown = Card(run)
    run.on_change(shown.update)
    hush(shell, run)
    return shown


def hush(shell: InteractiveShell, run: Run) -> None:
    """Let the cell that shows the run's card, or is to show nothing, not show the run once more as its value."""
    now = shell.execution_count
    run.hush(lambda: shell.execution_count == now)


@contextmanager
def progress(shell: InteractiveShell, run: Run, stream: TextIO | None = None) -> Iterator[None]:
    """Say how a run goes while its wait blocks a shell that has no card."""
    if hasattr(shell, "kernel"):
        yield
        return
    out = sys.stderr if stream is None else stream
    say, end = _rewritten(out) if out.isatty() and os.environ.get("TERM") != "dumb" else _listed(out)
    say(run)
    lock, waiting = threading.Lock(), [True]

    def onlooker(changed: Run) -> None:
        with lock:  # the watcher may be in the middle of a look when the wait ends
            if waiting:
                say(changed)

    stop = run.on_change(onlooker)
    try:
        yield
    finally:
        stop()
        with lock:
            waiting.clear()
        end()


def _rewritten(out: TextIO) -> tuple[Callable[[Run], None], Callable[[], None]]:
    """Write one line over and over; it is gone in the end."""

    def say(run: Run) -> None:
        text = card.headline(snapshot(run, look=False))
        while table.width(text) >= shutil.get_terminal_size().columns:  # what is wrapped cannot be taken back
            text = text[:-1]
        out.write(f"\r\x1b[2K{text}")
        out.flush()

    def end() -> None:
        out.write("\r\x1b[2K")
        out.flush()

    return say, end


def _listed(out: TextIO) -> tuple[Callable[[Run], None], Callable[[], None]]:
    """Write a line for each change of the status."""
    last: list[str] = []

    def say(run: Run) -> None:
        if last != [run.latest.status]:
            last[:] = [run.latest.status]
            out.write(card.headline(snapshot(run, look=False)) + "\n")

    return say, lambda: None
