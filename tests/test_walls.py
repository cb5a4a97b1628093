"""The walls of the house: which room may import which, and what a start may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestra_magic

HOUSE = Path(orchestra_magic.__file__).parent
SHARED = {"errors", "paths", "_version"}
MAY = {
    "client": {"client", "views", *SHARED},
    "views": {"views"},
    "notebook": {"notebook", "client", "views", *SHARED},
    "local": {"local", *SHARED},
}
# The one import that goes up, for those who call `orchestra.form(...)`.
UPWARD = {("client/orchestra.py", "notebook")}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each imported module's full name, and whether it is imported for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    for_types = {id(inner) for block in typing for inner in ast.walk(block)}
    package = ("orchestra_magic", *path.relative_to(HOUSE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in for_types
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (start, node.module) if part)
            for alias in node.names:
                yield f"{base}.{alias.name}", id(node) in for_types


@pytest.mark.parametrize("room", MAY)
def test_arrows_go_one_way(room: str) -> None:
    for path in sorted((HOUSE / room).rglob("*.py")):
        for name, for_types in imports(path):
            parts = name.split(".")
            if parts[0] != "orchestra_magic" or for_types or len(parts) < 2:
                continue
            allowed = parts[1] in MAY[room] or (str(path.relative_to(HOUSE)), parts[1]) in UPWARD
            assert allowed, f"{path.relative_to(HOUSE)} imports {name}"


@pytest.mark.parametrize(
    ("module", "only"),
    [
        ("requests", {"client/transport.py"}),
        (
            "ipywidgets",
            {
                f"notebook/{name}.py"
                for name in ("chooser", "fields/chosen", "fields/control", "fields/field", "fields/typed", "form_parts")
            },
        ),
    ],
)
def test_a_library_has_its_room(module: str, only: set[str]) -> None:
    users = {
        str(path.relative_to(HOUSE))
        for path in HOUSE.rglob("*.py")
        for name, _ in imports(path)
        if name.split(".")[0] == module
    }
    assert users == only


def test_the_client_and_the_views_know_no_notebook() -> None:
    for room in ("client", "views"):
        for path in (HOUSE / room).rglob("*.py"):
            assert not [
                name for name, _ in imports(path) if name.split(".")[0] in {"IPython", "traitlets", "ipywidgets"}
            ]


LOAD = """
import sys
before = set(sys.modules)
{action}
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize(
    "action",
    [
        "import orchestra_magic",
        "from IPython.core.interactiveshell import InteractiveShell as S; S.instance().run_line_magic('load_ext', 'orchestra_magic')",
    ],
    ids=["import", "load_ext"],
)
def test_the_start_is_light(action: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD.format(action=action)], capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.split())
    loaded = {name.split(".")[0] for name in modules}
    assert "orchestra_magic" in loaded
    late = ("orchestra_magic.views", "orchestra_magic.client.orchestra", "orchestra_magic.notebook.completion")
    assert not [name for name in modules if name.startswith(late)]
    assert not loaded & {
        "requests",
        "urllib3",
        "ipywidgets",
        "yaml",
        "pandas",
        "numpy",
        "starlette",
        "uvicorn",
    }


def test_public_names_are_exact() -> None:
    names = orchestra_magic.__all__
    assert names == sorted(names)
    assert all(getattr(orchestra_magic, name) is not None for name in names)
    assert dir(orchestra_magic) == names
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        orchestra_magic.nonsense  # noqa: B018


def test_every_public_name_is_documented() -> None:
    for name in orchestra_magic.__all__:
        if name != "__version__":
            assert getattr(orchestra_magic, name).__doc__, name
