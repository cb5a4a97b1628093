"""The examples in the docstrings, run as they stand."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import orchestra_magic

HOUSE = Path(orchestra_magic.__file__).parent
MODULES = sorted(
    ".".join(("orchestra_magic", *path.relative_to(HOUSE).with_suffix("").parts))
    for path in HOUSE.rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert not doctest.testmod(importlib.import_module(name)).failed
