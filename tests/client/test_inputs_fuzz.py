"""Any body gives JSON values or an OrchestraInputError: no other exception, no hang, no crash.

Each property runs in a process of its own under a watchdog, so that a crash of the interpreter is a failed test
that shows the body. Run as a script, this file is that process.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GATE, SLOW = 2_000, 20_000
PATIENCE = 10  # seconds for one body
JARGON = ("token", "simple key", "mapping value", "block end", "scalar", "while ", "expected <", "delimiter")

FRAGMENTS = [
    *("a", "b", "key", "prompt", "no", "on", "null", "~", "true", "True", "None", "12", "012", "0o14", "0x1F", "1e3"),
    *("1e400", "-", "- ", "-\n", ": ", ":", "? ", ",", ", ", "[", "]", "{", "}", "{}", "[]", "{{ x }}", "${x}", "$x"),
    *("\n", "\n", "\n", "\n  ", "\n    ", "\n\t", "\t", " ", "  ", "\r\n", "\r", '"', "'", '"x"', "'y'", '"a": 1'),
    *("#", " # c", "\n# c\n", "---\n", "\n...\n", "%YAML 1.2\n---\n", "%", "@", "`", "!", "!!str ", "!!int ", "!x "),
    *("&a ", "*a", "&b", "*b ", "<<: ", "|", "|\n", ">-\n", "|2\n", "\\", '"\\', '"\\u12', '"\\ud83d\\ude00"', "//"),
    *('"\\U00a10000"', "!%ff ", "!%zz", "!<", "%TAG ! x:\n---\n", "%YAML 9.9\n", "!!map ", "!!binary x"),
    *(".inf", ".nan", "NaN", "-Infinity", "=", " = ", "\ufeff", "\x85", "\u2028", "\xa0", "\x00", "\x07", "é", "日本"),
    *("😀", "\ud800", "\u202e", "a: 1\n", "b:\n", "- x\n", "  c: d\n", '{"a": ', '"b": [', "1, ", "/* */", "\x7f"),
]


def check(text: str, first_line: int = 1, how: str = "auto") -> None:
    """One body: a mapping of JSON values, or an error that points into the body."""
    from orchestra_magic.client.inputs import parse
    from orchestra_magic.errors import OrchestraInputError

    try:
        found = parse(text, format=how, first_line=first_line)
    except OrchestraInputError as error:
        check_error(error, text, first_line)
    else:
        check_json(found, dict)
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()


def check_error(error: Any, text: str, first_line: int) -> None:
    shown = str(error)
    shown.encode()
    assert not any(word in error.reason for word in JARGON), error.reason
    assert error.reason.endswith("."), error.reason
    assert len(error.reason) < 400
    if error.line is not None:
        lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert first_line <= error.line < first_line + len(lines)
        line = lines[error.line - first_line]
        assert 1 <= error.column <= len(line) + 1
        assert shown.count("\n") == 2


def check_json(value: Any, kind: type | None = None, depth: int = 1) -> None:
    assert kind is None or type(value) is kind
    assert depth <= 101
    if type(value) is dict:
        for key, item in value.items():
            assert type(key) is str
            check_json(item, None, depth + 1)
    elif type(value) is list:
        for item in value:
            check_json(item, None, depth + 1)
    else:
        assert type(value) in (str, int, float, bool, type(None))


def same(left: Any, right: Any) -> bool:
    """Equal bit for bit: 1 is not 1.0, and 0.0 is not -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return repr(left) == repr(right)


def mutate(text: str, chance: random.Random) -> str:
    """Break a valid document in one to three places."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text) + 1)
        length = chance.choice((0, 0, 1, 1, 2, 8))
        text = text[:at] + chance.choice(("", chance.choice(FRAGMENTS), text[at : at + 9] * 2)) + text[at + length :]
    return text


def hostile(chance: random.Random) -> str:
    """Build what is meant to hurt a parser: deep, long, repeated, referring to itself."""
    size = chance.choice((50, 101, 101, 1_000, 5_000, 100_000))
    piece = chance.choice(FRAGMENTS) + chance.choice(("", "", *FRAGMENTS))
    kinds: list[Callable[[], str]] = [
        lambda: chance.choice(("", "a: ", '{"a": ')) + piece * min(size, 5_000),
        lambda: "a: " + "[" * size + "]" * chance.choice((0, size)),
        lambda: '{"a": ' * size + "1" + "}" * chance.choice((0, size)),
        lambda: "{a: " * size,
        lambda: "- " * size + "x",
        lambda: "".join(" " * n + "a:\n" for n in range(min(size, 1_000))),
        lambda: "? " * size,
        lambda: "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a, {'*b' + str(n - 1) if n else 1}]\n" for n in range(200)),
        lambda: (
            "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]\n" for n in range(1, chance.randint(2, 40)))
        ),
        lambda: f"a: &a {'[' * 60}*b{']' * 60}\nb: &b [*a]",
        lambda: f"a: {'9' * size}",
        lambda: f'{{"a": -{"9" * size}.{"1" * chance.choice((0, 9))}}}',
        lambda: f'{{"{"k" * size}": 1}}',
        lambda: f"{'k' * size}: 1",
        lambda: 'a: "' + chance.choice(("x", "\\\\", " ", "\\u0041", "\n")) * size,
        lambda: "&a " * size + "x",
        lambda: "!!str " * size + "x",
        lambda: "a: 1\n" * min(size, 5_000),
        lambda: "".join(chr(chance.randrange(0x3000)) for _ in range(min(size, 500))),
    ]
    return chance.choice(kinds)()


def properties(pure: bool) -> dict[str, Any]:
    """The properties by name, as functions that hypothesis runs."""
    import yaml
    from hypothesis import given
    from hypothesis import strategies as st

    if pure:
        del yaml.CSafeLoader
    finite = st.floats(allow_nan=False, allow_infinity=False)
    leaf = st.none() | st.booleans() | st.integers() | finite | st.text(max_size=20)
    tree = st.recursive(
        leaf,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    )
    mapping = st.dictionaries(st.text(max_size=8), tree, max_size=3)
    chance = st.integers(0, 2**62).map(random.Random)
    how = st.sampled_from(("auto", "auto", "yaml", "json"))
    line = st.integers(1, 3)

    def broken(pieces: list[str], first: int, form: str) -> None:
        note("".join(pieces))
        check("".join(pieces), first, form)

    def yaml_like(value: dict[str, Any], source: random.Random, flow: bool | None, wide: bool) -> None:
        text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=wide, sort_keys=False)
        for body in (text, mutate(text, source)):
            note(body)
            check(body)

    def json_like(value: dict[str, Any], source: random.Random, indent: int | None) -> None:
        body = mutate(json.dumps(value, indent=indent), source)
        note(body)
        check(body)

    def hurtful(source: random.Random, form: str) -> None:
        body = hostile(source)
        note(body)
        check(body, how=form)

    def round_trip(value: dict[str, Any], source: random.Random, indent: int | str | None, narrow: bool) -> None:
        from orchestra_magic.client.inputs import parse

        levels = depth(value)
        for _ in range(source.choice((0, 0, 3, 90))):
            wrap, more = source.choice(((lambda inner: {"a": inner}, 1), (lambda inner: {"b": [inner]}, 2)))
            if levels + more > 100:
                break
            value, levels = wrap(value), levels + more
        value["big"] = source.randrange(10 ** source.choice((1, 20, 4_300)))
        body = json.dumps(value, indent=indent, ensure_ascii=narrow)
        note(body)
        assert same(parse(body), value)

    return {
        "broken": given(st.lists(st.sampled_from(FRAGMENTS), max_size=12), line, how)(broken),
        "yaml": given(mapping, chance, st.sampled_from((None, True, False)), st.booleans())(yaml_like),
        "json": given(mapping, chance, st.sampled_from((None, 0, 2)))(json_like),
        "hostile": given(chance, how)(hurtful),
        "round-trip": given(mapping, chance, st.sampled_from((None, 0, 2, "\t")), st.booleans())(round_trip),
    }


def depth(value: Any) -> int:
    if not isinstance(value, (dict, list)) or not value:
        return int(isinstance(value, (dict, list)))
    return 1 + max(depth(item) for item in (value.values() if isinstance(value, dict) else value))


RECORD: list[int] = []


def note(body: str) -> None:
    """Write down the body before it is read, and give it a limited time."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    os.ftruncate(RECORD[0], 0)
    os.pwrite(RECORD[0], body[:2_000].encode("utf-8", "surrogatepass"), 0)


def main(name: str, examples: int, loader: str, record: str) -> None:
    from hypothesis import HealthCheck, settings

    RECORD.append(os.open(record, os.O_RDWR | os.O_CREAT))
    faulthandler.enable()
    limits = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    limits(properties(loader == "python")[name])()
    faulthandler.cancel_dump_traceback_later()


SLOWLY = [pytest.mark.slow, pytest.mark.timeout(3_600)]
IN_C = [(name, "c") for name in ("broken", "yaml", "json", "hostile", "round-trip")]
IN_PYTHON = [(name, "python") for name in ("broken", "yaml", "hostile")]
RUNS = [(*which, GATE) for which in (*IN_C, IN_PYTHON[0])]
RUNS += [pytest.param(*which, SLOW, marks=SLOWLY) for which in IN_C + IN_PYTHON]


@pytest.mark.parametrize(("name", "loader", "examples"), RUNS)
def test_any_body_gives_values_or_an_error(name, loader, examples, tmp_path):
    record = tmp_path / "body.txt"
    command = [sys.executable, __file__, name, str(examples), loader, str(record)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3_500, check=False)
    if done.returncode:
        body = record.read_bytes().decode("utf-8", "surrogatepass") if record.exists() else ""
        pytest.fail(f"exit {done.returncode} at the body {body!r}\n{done.stderr[-4_000:]}", pytrace=False)


def test_the_watchdog_sees_a_hang_and_a_crash(tmp_path):
    record = tmp_path / "body.txt"
    for fault, sign in (("import time; time.sleep(60)", "Timeout"), ("faulthandler._sigsegv()", "Segmentation")):
        code = (
            f"import sys, faulthandler; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "import os, test_inputs_fuzz as fuzz\n"
            f"fuzz.PATIENCE = 1; faulthandler.enable(); fuzz.RECORD.append(os.open({str(record)!r}, os.O_RDWR | os.O_CREAT))\n"
            f"fuzz.note('the body')\n{fault}"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0
        assert sign in done.stderr
        assert record.read_text() == "the body"


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])
