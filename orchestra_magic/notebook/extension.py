"""Loading into a shell, and taking everything out of it again."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from .config import forget
from .magics import OrchestraMagics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_BODILESS = re.compile(r"\s*%%orchestra_execute\b.*")


def load(shell: InteractiveShell) -> None:
    """Register the magics, once."""
    if _loaded(shell) is not None:
        return
    shell.register_magics(OrchestraMagics)
    # Before IPython's own: it refuses a `%%` cell without a body, by an error that nbval does not see.
    shell.input_transformer_manager.cleanup_transforms.insert(0, bodiless)


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
    transforms = shell.input_transformer_manager.cleanup_transforms
    if bodiless in transforms:
        transforms.remove(bodiless)
    watcher = sys.modules.get("orchestra_magic.client.watcher")
    if watcher is not None:
        watcher.watcher.stop()
    forget()


def bodiless(lines: list[str]) -> list[str]:
    """Give a ``%%orchestra_execute`` cell that is its first line alone an empty body: a run without inputs."""
    told = [line for line in lines if line.strip()]
    if len(told) == 1 and _BODILESS.fullmatch(told[0].rstrip("\n")) and not told[0].rstrip().endswith("?"):
        return [told[0].rstrip("\n") + "\n", "\n"]
    return lines


def _loaded(shell: InteractiveShell) -> Any:
    return shell.magics_manager.registry.get(OrchestraMagics.__name__)
