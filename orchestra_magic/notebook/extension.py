"""Loading into a shell, and taking everything out of it again."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from . import tab
from .config import forget
from .magics import OrchestraMagics
from .redrawing import after_cell

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_OURS = re.compile(r"\s*%%orchestra_\w+")


def load(shell: InteractiveShell) -> None:
    """Register the magics, once."""
    if _loaded(shell) is not None:
        return
    shell.register_magics(OrchestraMagics)
    tab.install(shell, _loaded(shell))
    # Before IPython's own: it refuses a `%%` cell without a body, or below a comment, by an error that nbval
    # does not see (https://github.com/ipython/ipython/issues/15312).
    shell.input_transformer_manager.cleanup_transforms.insert(0, tidied)
    shell.events.register("post_run_cell", after_cell)


def unload(shell: InteractiveShell) -> None:
    """Leave the shell as it was before."""
    magics = _loaded(shell)
    if magics is None:
        return
    manager = shell.magics_manager
    for kind in ("line", "cell"):
        for name in OrchestraMagics.magics[kind]:
            manager.magics[kind].pop(name, None)
    manager.registry.pop(OrchestraMagics.__name__, None)
    if magics in shell.configurables:
        shell.configurables.remove(magics)
    tab.remove(shell)
    transforms = shell.input_transformer_manager.cleanup_transforms
    if tidied in transforms:
        transforms.remove(tidied)
    shell.events.unregister("post_run_cell", after_cell)
    # Another thread may be in the middle of importing it.
    watcher = getattr(sys.modules.get("orchestra_magic.client.watcher"), "watcher", None)
    if watcher is not None:
        watcher.stop()
    journal = sys.modules.get("orchestra_magic.client.journal")
    if journal is not None:
        journal.settle()
    forget()


def tidied(lines: list[str]) -> list[str]:
    """Let one of our cells begin with comments, and give one that is its ``%%`` line alone an empty body."""
    first = next((n for n, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), None)
    if first is None or not _OURS.match(lines[first]) or lines[first].rstrip().endswith("?"):
        return lines
    body = lines[first + 1 :]
    return [lines[first].rstrip("\n") + "\n", *(body if any(line.strip() for line in body) else ["\n"])]


# So IPython leaves it out when it asks whether a cell is typed to its end: in a terminal a cell would run at
# the end of its first line.
tidied.has_side_effects = True  # type: ignore[attr-defined]


def _loaded(shell: InteractiveShell) -> Any:
    return shell.magics_manager.registry.get(OrchestraMagics.__name__)
