"""What the embedded server may import: its walls."""

import ast
from pathlib import Path

import pytest

import orchestra_magic.local

HOME = Path(orchestra_magic.local.__file__).parent
FILES = sorted(HOME.rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = f"{node.module}." if node.module else ""
            yield from ((node.level, f"{module}{alias.name}") for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOME)))
def test_imports(path):
    depth = len(path.relative_to(HOME).parts)
    for level, name in imports(path):
        if level > depth:
            # beyond our own folder there are these two, and nothing of the client
            assert name.split(".")[0] in ("paths", "_version"), name
        assert not name.startswith("orchestra_magic"), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOME)))
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 400
