"""Real shells, each with a namespace of its own, that leave nothing behind."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


@contextmanager
def fresh_shell(config: Config | None = None) -> Iterator[InteractiveShell]:
    """A shell without history and colours; at its end the extension is unloaded."""
    config = config or Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance(config=config)
    try:
        yield made
    finally:
        if "orchestra_magic" in made.extension_manager.loaded:
            made.extension_manager.unload_extension("orchestra_magic")
        InteractiveShell.clear_instance()
        # What a shell does at the end of its process collects garbage, a second each: of hundreds it takes minutes.
        atexit.unregister(made.atexit_operations)
        atexit.unregister(made.magics_manager.registry["ScriptMagics"].kill_bg_processes)
