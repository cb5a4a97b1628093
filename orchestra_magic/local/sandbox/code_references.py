"""References in the code of a code node: ``rows = {{table}}`` is the object, ``"about {{topic}}"`` its text.

They are found and replaced in the parsed code, so that no value is ever spliced into source.
This module is also loaded inside the sandbox, by itself: it needs the standard library alone.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

VALUES = "__orchestra_values__"
# Keys of JSON are in any language, and \w leaves out part of some: a name is all but spaces and the signs of ASCII.
NAME = r"[^\x00-@\[-^`{-\x7f\s][^\x00-,./:-@\[-^`{-\x7f\s]*"
PATH = rf"{NAME}(?:\.{NAME}|\.[0-9]+|\[-?[0-9]+\]|\['[^'\]]*'\]|\[\"[^\"\]]*\"\])*"
"""What stands between double braces, in code and everywhere else."""
_UNHASHABLE = (ast.Set, ast.SetComp, ast.Dict, ast.DictComp)
_REFERENCE = re.compile(rf"\{{\{{\s*({PATH})\s*\}}\}}")


def find(tree: ast.AST) -> list[str]:
    """Return the path of each reference in a parsed program, each once, in the order of the code."""
    found: dict[str, None] = {}

    def note(path: str) -> Any:
        found[path] = None
        return ""

    for node, in_fstring in _places(tree):
        path = _bare(node)
        if path is not None:
            note(path)
        elif not in_fstring and isinstance(node, ast.Constant) and isinstance(node.value, str):
            _substitute(node.value, note)
    return list(found)


def misfits(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, code) for each ``{{…}}`` that is no reference: to Python a set of what no set can hold."""
    for node, _ in _places(tree):
        inner = node.elts[0] if isinstance(node, ast.Set) and len(node.elts) == 1 else None
        if isinstance(inner, _UNHASHABLE) and _bare(node) is None and _bare(inner) is None:
            yield inner.lineno, ast.unparse(node)


def fill(tree: ast.Module, values: Mapping[str, Any]) -> ast.Module:
    """Replace the references in ``tree``: a bare one by its value's name, one inside text by the text."""

    def text(path: str) -> str:
        return _text(values[path])

    class Filler(ast.NodeTransformer):
        def visit_Set(self, node: ast.Set) -> ast.AST:
            path = _bare(node)
            if path is None:
                return self.generic_visit(node)
            holder = ast.Name(id=VALUES, ctx=ast.Load())
            value = ast.Subscript(value=holder, slice=ast.Constant(path), ctx=ast.Load())
            return ast.fix_missing_locations(ast.copy_location(value, node))

        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            if isinstance(node.value, str):
                node.value = _substitute(node.value, text)
            return node

        def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
            for part in node.values:
                if isinstance(part, ast.FormattedValue):
                    part.value = self.visit(part.value)
            return node

    filled: ast.Module = Filler().visit(tree)
    return filled


def name(code: str, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return ``code`` with a name in the place of each reference, and the values of these names.

    It is for an interpreter that takes source alone. Only names come into it, and every line stays where it is.

    Raises
    ------
    ValueError
        If a reference stands where no name can.
    """
    code = code.replace("\r\n", "\n").replace("\r", "\n")
    tree = ast.parse(code, "<code>")
    source = code.encode()
    lines = [0, *(match.end() for match in re.finditer(rb"\n", source))]
    patterns = {id(one) for node in ast.walk(tree) for one in _of_pattern(node)}
    named: dict[str, Any] = {}
    places: list[tuple[int, int, bytes]] = []
    for node, in_fstring in _places(tree):
        path = _bare(node)
        if path is not None:
            value = values[path]
        elif not in_fstring and isinstance(node, ast.Constant) and isinstance(node.value, str):
            value = _substitute(node.value, lambda path: _text(values[path]))
            if value == node.value:
                continue
        else:
            continue
        expression: Any = node
        begin = lines[expression.lineno - 1] + expression.col_offset
        end = lines[expression.end_lineno - 1] + expression.end_col_offset
        # Inside f-strings, Pythons before 3.12 do not know where a part stands.
        if id(node) in patterns or not _is(source[begin:end], expression):
            raise ValueError(
                f"line {expression.lineno}: a reference cannot stand here in the sandbox 'strict'; "
                "give it a name on a line of its own, and use that"
            )
        word = f"__orchestra_{len(named)}__"
        named[word] = value
        places.append((begin, end, word.encode()))
    for begin, end, word_there in sorted(places, reverse=True):
        gone = source[begin:end].count(b"\n")
        source = source[:begin] + b"(" + word_there + b"\n" * gone + b")" + source[end:]
    return source.decode(), named


def _of_pattern(node: ast.AST) -> list[ast.expr]:
    """Return the values that a pattern compares with: there, a name would take any."""
    if isinstance(node, ast.MatchValue):
        return [node.value]
    return node.keys if isinstance(node, ast.MatchMapping) else []


def _is(source: bytes, node: ast.expr) -> bool:
    """Tell whether ``source`` says ``node``."""
    try:
        said = ast.parse(b"(" + source + b")", mode="eval").body
    except (SyntaxError, ValueError):
        return False
    return ast.dump(said) == ast.dump(node)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _places(tree: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Walk in the order of the code; say of each node whether it is literal text of an f-string."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, in_fstring = waiting.pop()
        yield node, in_fstring
        if _bare(node) is None:
            literal = isinstance(node, ast.JoinedStr)
            waiting += [(child, literal) for child in reversed(list(ast.iter_child_nodes(node)))]


def _bare(node: ast.AST) -> str | None:
    """Return the path of ``{{a.b[0]}}``: to Python a set in a set, which could never be made."""
    if not (isinstance(node, ast.Set) and len(node.elts) == 1):
        return None
    inner = node.elts[0]
    if not (isinstance(inner, ast.Set) and len(inner.elts) == 1):
        return None
    path = _path(inner.elts[0])
    return path if path and re.fullmatch(PATH, path) else None


def _path(node: ast.expr) -> str | None:
    if isinstance(node, ast.BinOp):
        # To Python a hyphen within a name takes one name from another; only with spaces it is meant to.
        left = _path(node.left) if isinstance(node.op, ast.Sub) and _adjoin(node.left, node.right) else None
        right = _path(node.right) or _number(node.right)
        return f"{left}-{right}" if left and right else None
    parts: list[str] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            parts.append(f".{node.attr}")
            node = node.value
        elif isinstance(node, ast.Subscript) and (part := _subscript(node.slice)):
            parts.append(part)
            node = node.value
        else:
            return None
    return node.id + "".join(reversed(parts))


def _adjoin(left: ast.expr, right: ast.expr) -> bool:
    return (left.end_lineno, (left.end_col_offset or 0) + 1) == (right.lineno, right.col_offset)


def _number(node: ast.expr) -> str | None:
    if not (isinstance(node, ast.Constant) and type(node.value) is int):
        return None
    digits = str(node.value)
    # 0x10 is no part of a name that says 16.
    return digits if node.end_col_offset == node.col_offset + len(digits) else None


def _subscript(node: ast.expr) -> str | None:
    sign = ""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = "-", node.operand
    if not isinstance(node, ast.Constant):
        return None
    if isinstance(node.value, int) and not isinstance(node.value, bool):
        return f"[{sign}{node.value}]"
    if isinstance(node.value, str) and not sign and "]" not in node.value:
        quote = '"' if "'" in node.value else "'"
        return f"[{quote}{node.value}{quote}]"
    return None


def _substitute(template: str, value_of: Callable[[str], str]) -> str:
    return _REFERENCE.sub(lambda match: value_of(match.group(1)), template)
