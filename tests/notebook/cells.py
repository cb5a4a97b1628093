"""A notebook without a front end: cells that run in a real IPython shell, and what each showed."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Cells:
    """Runs cells one by one in ``shell``; ``capsys`` hears what they print."""

    def __init__(self, shell: InteractiveShell, capsys: Any) -> None:
        self.shell = shell
        self._capsys = capsys

    def __getitem__(self, name: str) -> Any:
        """A variable of the notebook."""
        return self.shell.user_ns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.shell.user_ns

    def run(self, cell: str) -> Any:
        """Run a cell and return its value; raise what it raised."""
        result = self.shell.run_cell(cell)
        result.raise_error()
        return result.result

    def fail(self, cell: str) -> BaseException:
        """Run a cell that must fail, and return its error."""
        result = self.shell.run_cell(cell)
        assert result.error_in_exec is not None, f"the cell did not fail:\n{cell}"
        return result.error_in_exec

    def shown(self) -> str:
        """What was printed since the last call, without colours."""
        printed = self._capsys.readouterr()
        return _COLOURS.sub("", printed.out + printed.err)

    def bundle(self, value: Any) -> dict[str, Any]:
        """How a front end gets to see a value."""
        return self.shell.display_formatter.format(value)[0]
