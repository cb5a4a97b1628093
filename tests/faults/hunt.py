"""A hunt for a planted key: in text, in files, and in everything that can be reached from an object."""

from __future__ import annotations

import base64
import contextlib
import types
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orchestra_magic.client.keys import Key

TESTS = str(Path(__file__).parents[1])
_CLOSED = (types.ModuleType, int, float, complex)
_DEEP = 60


class Hunt:
    """Looks for one key, and counts the places it has looked at."""

    def __init__(self, key: str) -> None:
        half = len(key) // 2
        shapes = (key, key[:half], key[half:], base64.b64encode(key.encode()).decode(), quote(key, safe=""), key[::-1])
        self._shapes = {shape.lower() for shape in shapes}
        self.places = 0
        self.found: list[str] = []

    def text(self, text: str | bytes | bytearray, where: str) -> None:
        """Look into a text."""
        self.places += 1
        plain = (text.decode("utf-8", "replace") if isinstance(text, bytes | bytearray) else text).lower()
        if any(shape in plain for shape in self._shapes):
            self.found.append(where)

    def files(self, folder: Path, *, but: tuple[str, ...] = ()) -> None:
        """Look into every file below a folder, and at its name; ``but`` those with these names."""
        for path in sorted(folder.rglob("*")):
            self.text(str(path), f"the name of {path}")
            if path.is_file() and path.name not in but:
                self.text(path.read_bytes(), str(path))

    def thing(self, root: object, where: str) -> None:
        """Look into everything that can be reached from an object by attributes, items, causes, frames and functions."""
        seen: dict[int, object] = {}
        waiting: list[tuple[object, str, int]] = [(root, where, 0)]
        while waiting:
            value, path, depth = waiting.pop()
            if id(value) in seen or depth > _DEEP or isinstance(value, _CLOSED):
                continue
            seen[id(value)] = value  # held, so that no other gets its id
            if isinstance(value, str | bytes | bytearray):
                self.text(value, path)
                continue
            waiting += [(inner, f"{path}{name}", depth + 1) for name, inner in _inside(value)]
            with contextlib.suppress(Exception):
                self.text(repr(value), f"repr of {path}")

    def nothing(self) -> int:
        """Hold that nothing was found, and that something was looked at; return at how much."""
        assert self.places
        assert not self.found, self.found[:10]
        return self.places


def _inside(value: Any) -> Iterator[tuple[str, object]]:
    """What an object holds, each with how it is named there."""
    if isinstance(value, types.TracebackType):
        yield from _variables(value)
        return
    if isinstance(value, Key):  # the one place that keeps it: of this, only what it shows is looked at
        return
    if isinstance(value, type):
        if value.__module__.startswith("orchestra_magic"):
            yield from _attributes(value)
        return
    yield from _called(value)
    if isinstance(value, BaseException):
        for name in ("args", "__cause__", "__context__", "__traceback__", "__notes__"):
            yield f".{name}", getattr(value, name, None)
    if isinstance(value, Mapping):
        with contextlib.suppress(NotImplementedError):  # a cache that shows no items has attributes
            for key, inner in list(value.items()):
                yield " key", key
                yield f"[{key!r:.40}]", inner
    elif isinstance(value, list | tuple | set | frozenset | deque):
        yield from ((f"[{number}]", inner) for number, inner in enumerate(list(value)))
    yield from _attributes(value)


def _called(value: Any) -> Iterator[tuple[str, object]]:
    """What a function was given to keep: its object, its defaults, the variables around it; of a generator its own."""
    yield ".__self__", getattr(value, "__self__", None)
    if isinstance(value, types.MethodType):
        yield ".__func__", value.__func__
    elif isinstance(value, types.FunctionType):
        yield ".__defaults__", value.__defaults__
        yield ".__kwdefaults__", value.__kwdefaults__
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # a variable that has no value yet
                yield f" closed over {name}", cell.cell_contents
    elif isinstance(value, types.GeneratorType) and value.gi_frame is not None:
        yield ".gi_frame", dict(value.gi_frame.f_locals)


def _variables(value: types.TracebackType) -> Iterator[tuple[str, object]]:
    frame: types.TracebackType | None = value
    while frame is not None:
        code = frame.tb_frame.f_code
        if not code.co_filename.startswith(TESTS):  # a test knows the key itself
            yield from ((f" in {code.co_name}: {name}", inner) for name, inner in frame.tb_frame.f_locals.items())
        frame = frame.tb_next


def _attributes(value: Any) -> Iterator[tuple[str, object]]:
    yield from ((f".{name}", inner) for name, inner in list(getattr(value, "__dict__", {}).items()))
    for kind in type(value).__mro__:
        names = kind.__dict__.get("__slots__", ())
        for name in [names] if isinstance(names, str) else names:
            with contextlib.suppress(AttributeError):
                yield f".{name}", getattr(value, name)
