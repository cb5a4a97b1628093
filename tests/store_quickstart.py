"""Run the quickstart notebook against a fresh embedded Orchestra, and store it with what came out.

Do this when an output changes on purpose: ``python tests/store_quickstart.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"


def store(path: Path) -> None:
    """Run the notebook at ``path`` and write it back, without times and widget states, which differ each time."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=120, store_widget_state=False, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["ORCHESTRA_HOME"] = home
        try:
            store(NOTEBOOK)
        finally:
            subprocess.run([sys.executable, "-m", "orchestra_magic.local", "stop"], check=False)
