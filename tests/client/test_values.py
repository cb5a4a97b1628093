"""Which Python values are sent as which JSON, and what is refused by its key path."""

from __future__ import annotations

import collections
import decimal
import enum
import json
import math
import pathlib
import sys
import types
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestra_magic.client.values import MAX_DEPTH, check_inputs, child, to_json
from orchestra_magic.errors import OrchestraInputError


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Mode(str, enum.Enum):
    FAST = "fast"


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "something else"


@dataclass
class Cell:
    mass: Any
    tags: list[Any] = field(default_factory=list)


class Model(pydantic.BaseModel):
    n: int
    at: datetime
    x: float = 0.5


class Point(NamedTuple):
    x: int
    y: int


UTC = timezone.utc
TABLE = pd.DataFrame({"name": ["x", "y"], "m": [1.5, math.nan], "t": pd.to_datetime(["2024-01-01", None]), "n": [1, 2]})
RECORDS = [
    {"name": "x", "m": 1.5, "t": "2024-01-01T00:00:00", "n": 1},
    {"name": "y", "m": None, "t": None, "n": 2},
]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, None),
        (True, True),
        (-7, -7),
        (10**4299, 10**4299),
        (-0.0, -0.0),
        ("é😀", "é😀"),
        (Text("own"), "own"),
        (Colour.RED, "red"),
        (Level.LOW, 1),
        (Mode.FAST, "fast"),
        ({Mode.FAST: 1, Colour.RED: 2}, {"fast": 1, "red": 2}),
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (collections.ChainMap({"a": 1}, {"b": 2}), {"b": 2, "a": 1}),
        (Cell(Colour.RED, [Cell(1)]), {"mass": "red", "tags": [{"mass": 1, "tags": []}]}),
        (Model(n=1, at=datetime(2024, 1, 2, 3, 4, tzinfo=UTC)), {"n": 1, "at": "2024-01-02T03:04:00Z", "x": 0.5}),
        (datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2024-01-02T03:04:05.000006+00:00"),
        (date(2024, 1, 2), "2024-01-02"),
        (time(3, 4), "03:04:00"),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("0.1"), 0.1),
        (Decimal("1.00"), 1.0),
        (Decimal("-5E+2"), -500),
        (Decimal("12345678901234567890.0"), 12345678901234567890),
        (Decimal("1E+400"), 10**400),
        (np.int8(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float64(0.1), 0.1),
        (np.float32(0.1), 0.10000000149011612),
        (np.float16(1.5), 1.5),
        (np.longdouble(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("q"), "q"),
        (np.datetime64("2024-01-01T00:00:00", "ns"), "2024-01-01T00:00:00.000000000"),
        (np.datetime64("NaT", "s"), None),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.5, 2]), [1.5, 2.0]),
        (np.array([], dtype=float), []),
        (np.array(5), 5),
        (np.array([True, False]), [True, False]),
        (np.array(["a", "bc"]), ["a", "bc"]),
        (np.array([1, "a", None, Colour.RED], dtype=object), [1, "a", None, "red"]),
        (np.array(["2024-01-01"], dtype="M8[ns]"), ["2024-01-01T00:00:00.000000000"]),
        (np.ma.array([1, 2], mask=[False, True]), [1, None]),
        (np.ma.masked, None),
        (pd.Timestamp("2024-01-01", tz="UTC"), "2024-01-01T00:00:00+00:00"),
        (pd.NaT, None),
        (pd.NA, None),
        (TABLE, RECORDS),
        (TABLE.iloc[1:], RECORDS[1:]),
        (TABLE.set_index("name"), RECORDS),
        (TABLE.iloc[0], RECORDS[0]),
        (TABLE["m"], [1.5, None]),
        (TABLE.set_index("name")["n"], {"x": 1, "y": 2}),
        (pd.Series([1, None], dtype="Int64"), [1, None]),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        (pd.Index([1, 2]), [1, 2]),
        (pd.DataFrame(), []),
        (pd.DataFrame(columns=["a"]), []),
        (pd.DataFrame({"a": [[1], {"b": (2,)}]}), [{"a": [1]}, {"a": {"b": [2]}}]),
    ],
    ids=repr,
)
def test_a_value_is_sent_as(value, found):
    sent = to_json({"k": value})["k"]
    assert sent == found
    assert repr(sent) == repr(found)
    assert type(sent) in (dict, list, str, int, float, bool, type(None))
    json.dumps(sent, allow_nan=False)


CYCLE: list[Any] = [1]
CYCLE.append({"again": CYCLE})
TURN = Cell(1)
TURN.tags.append(TURN)
SELF = np.empty(1, dtype=object)
SELF[0] = SELF
NO_NUMBER = '`inputs.k` is {0}, which JSON has no number for: send None, or the text "{0}".'
NO_FORM = "`inputs.k` is {}, which JSON has no form for: {}."
OTHERWISE = "turn it into text, numbers, lists or dicts first"
INEXACT = "that no JSON number holds exactly: send str(x) to keep every digit, or float(x) to round it."


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, NO_NUMBER.format("nan")),
        (-math.inf, NO_NUMBER.format("-inf")),
        (np.float32("nan"), NO_NUMBER.format("nan")),
        ([1, {"x y": math.inf}], NO_NUMBER.format("inf").replace("k`", "k[1][x y]`")),
        (np.array([[1, math.nan]]), NO_NUMBER.format("nan").replace("k`", "k[0][1]`")),
        (pd.DataFrame({"mass": [1, math.inf]}), NO_NUMBER.format("inf").replace("k`", "k[1].mass`")),
        (Model(n=1, at=datetime(2024, 1, 1, tzinfo=UTC), x=math.nan), NO_NUMBER.format("nan").replace("k`", "k.x`")),
        (10**4300, "`inputs.k` is an integer of more than 4,300 digits: send it as text, as hex(x)."),
        (-(10**4300), "`inputs.k` is an integer of more than 4,300 digits: send it as text, as hex(x)."),
        (Decimal("0.1234567890123456789"), f"`inputs.k` is a Decimal {INEXACT}"),
        (Decimal("1E+999999999"), f"`inputs.k` is a Decimal {INEXACT}"),
        (Decimal("1E-999"), f"`inputs.k` is a Decimal {INEXACT}"),
        (Decimal("Infinity"), "`inputs.k` is Infinity, which JSON has no number for: send None."),
        (Decimal("sNaN"), "`inputs.k` is sNaN, which JSON has no number for: send None."),
        ({1, 2}, NO_FORM.format("a set", "a set has no order: send sorted(x)")),
        (frozenset(), NO_FORM.format("a frozenset", "a set has no order: send sorted(x)")),
        (b"x", NO_FORM.format("a bytes", 'send base64.b64encode(x).decode("ascii")')),
        (bytearray(), NO_FORM.format("a bytearray", 'send base64.b64encode(x).decode("ascii")')),
        (timedelta(1), NO_FORM.format("a datetime.timedelta", "send x.total_seconds(), or str(x)")),
        (pd.Timedelta("1s"), NO_FORM.format("a pandas.Timedelta", "send x.total_seconds(), or str(x)")),
        (np.timedelta64(1, "s"), NO_FORM.format("a numpy.timedelta64", 'send x / numpy.timedelta64(1, "s")')),
        (len, NO_FORM.format("a builtin_function_or_method", "send what it returns, not itself")),
        ([].append, NO_FORM.format("a builtin_function_or_method", "send what it returns, not itself")),
        (int, NO_FORM.format("a type", "send what it returns, not itself")),
        (Cell, NO_FORM.format("a type", "send what it returns, not itself")),
        (range(3), NO_FORM.format("a range", "send list(x)")),
        (iter([]), NO_FORM.format("a list_iterator", "send list(x)")),
        ({}.keys(), NO_FORM.format("a dict_keys", "send list(x)")),
        (collections.deque(), NO_FORM.format("a collections.deque", "send list(x)")),
        (object(), NO_FORM.format("an object", OTHERWISE)),
        (1j, NO_FORM.format("a complex", OTHERWISE)),
        (sys, NO_FORM.format("a module", OTHERWISE)),
        (np.complex64(1), NO_FORM.format("a numpy.complex64", OTHERWISE)),
        (pd.Categorical(["a"]), NO_FORM.format("a pandas.Categorical", "send list(x)")),
        ({1: 2}, "`inputs.k` has the key 1 (an int); the keys of JSON are text: write it as '1' or rename it."),
        (
            {None: 2},
            "`inputs.k` has the key None (a NoneType); the keys of JSON are text: write it as 'None' or rename it.",
        ),
        (
            {10**5000: 1},
            "`inputs.k` has the key … (an int); the keys of JSON are text: write it as '…' or rename it.",
        ),
        (
            pd.DataFrame({0: [1]}),
            "`inputs.k` has the key 0 (an int); the keys of JSON are text: write it as '0' or rename it.",
        ),
        ({"a": 1, Text("a "): 1, Colour.RED: 1, "red": 2}, "`inputs.k` has the key 'red' twice: rename one of them."),
        (TABLE.set_axis(["a", "a", "b", "c"], axis=1), "`inputs.k` has the label 'a' twice: rename one of them."),
        (
            TABLE.set_axis(["one", "two"], axis=0),
            (
                "`inputs.k` is a table whose index has labels but no name, and records have no index: send "
                'df.rename_axis("label") to keep the labels as a column, or df.reset_index(drop=True) to drop them.'
            ),
        ),
        (
            TABLE.set_index("n", drop=False),
            "`inputs.k` has 'n' as a column and as the name of its index: rename one of them.",
        ),
        (CYCLE, "`inputs.k[1].again` holds itself, so that it has no end: send a copy without it."),
        (TURN, "`inputs.k.tags[0]` holds itself, so that it has no end: send a copy without it."),
        (
            SELF,
            (
                "`inputs.k[0][0][0][0][0][0][0][0][0][0][0…` is nested more than 100 levels deep: send it flatter, or as "
                "text."
            ),
        ),
        (
            "x\ud800",
            (
                "`inputs.k` holds half of a character (U+D800, a lone surrogate), which cannot be sent: read the text again "
                'with its right encoding, or use errors="replace".'
            ),
        ),
        (
            {"\ud800": 1},
            (
                "`inputs.k[…]` holds half of a character (U+D800, a lone surrogate), which cannot be sent: read the text "
                'again with its right encoding, or use errors="replace".'
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isascii() else "value",
)
def test_a_value_is_refused_by_its_key_path(value, reason):
    with pytest.raises(OrchestraInputError) as caught:
        to_json({"k": value}, path="inputs")
    assert caught.value.reason == reason
    assert caught.value.line is None


@pytest.mark.skipif(np.finfo(np.longdouble).nmant == 52, reason="a long double is a double here")
def test_a_long_double_loses_no_digit_in_silence():
    with pytest.raises(OrchestraInputError, match="`x` is a longdouble that no JSON number holds exactly"):
        to_json(np.longdouble(1) / 3, path="x")


def test_a_pydantic_model_that_cannot_be_written_is_refused():
    class Holder(pydantic.BaseModel, arbitrary_types_allowed=True):
        thing: Any

    with pytest.raises(OrchestraInputError, match=r"^`x` is a .*Holder, which pydantic could not write as JSON \("):
        to_json(Holder(thing=object()), path="x")


def test_a_model_of_pydantic_1_is_read():
    from pydantic import v1

    if sys.version_info >= (3, 14):
        pytest.skip("pydantic.v1 ends with Python 3.13")

    class Old(v1.BaseModel):
        at: datetime
        n: int = 1

    assert to_json(Old(at=datetime(2024, 1, 2, tzinfo=UTC))) == {"at": "2024-01-02T00:00:00+00:00", "n": 1}


def test_a_hundred_levels_are_sent_and_one_more_is_not():
    def nested(depth):
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return value

    assert to_json(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    with pytest.raises(OrchestraInputError, match="nested more than 100 levels deep"):
        to_json(nested(MAX_DEPTH + 1))
    assert check_inputs({"a": nested(MAX_DEPTH - 1)})
    with pytest.raises(OrchestraInputError, match="nested more than 100 levels deep"):
        check_inputs({"a": nested(MAX_DEPTH)})


def test_the_same_list_in_two_places_is_no_cycle():
    twice = [1]
    found = to_json([twice, {"a": twice}])
    assert found == [[1], {"a": [1]}]
    found[0].append(2)
    assert twice == [1]


def test_precision_of_the_surroundings_does_not_matter():
    with decimal.localcontext() as context:
        context.prec = 3
        assert to_json(Decimal(1234567890123456789)) == 1234567890123456789
        assert to_json(Decimal("0.12345")) == 0.12345


def test_without_a_path_the_value_is_called_so():
    with pytest.raises(OrchestraInputError) as caught:
        to_json({1, 2})
    assert caught.value.reason == "The value is a set, which JSON has no form for: a set has no order: send sorted(x)."


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        (None, {}),
        ({}, {}),
        ({"prompt": "hello", "sizes": (1, 2)}, {"prompt": "hello", "sizes": [1, 2]}),
        (Cell(1), {"mass": 1, "tags": []}),
        (TABLE.iloc[0], RECORDS[0]),
    ],
    ids=repr,
)
def test_inputs_are_a_mapping(inputs, found):
    assert check_inputs(inputs) == found


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ("a: 1", 'The inputs are text; they must be a mapping of names to values, such as {"prompt": "hello"}.'),
        ([1], 'The inputs are a list; they must be a mapping of names to values, such as {"prompt": "hello"}.'),
        (5, 'The inputs are an int; they must be a mapping of names to values, such as {"prompt": "hello"}.'),
        ({1: 2}, "`inputs` has the key 1 (an int); the keys of JSON are text: write it as '1' or rename it."),
        (
            {"table": [1, {"mass": math.nan}]},
            '`inputs.table[1].mass` is nan, which JSON has no number for: send None, or the text "nan".',
        ),
    ],
)
def test_inputs_that_are_none(inputs, reason):
    with pytest.raises(OrchestraInputError) as caught:
        check_inputs(inputs)
    assert caught.value.reason == reason


def test_key_paths_read_as_in_substitution():
    assert child("", "a") == "a"
    assert child("", "a b") == "a b"
    assert child("a", "b") == "a.b"
    assert child("a", "b c") == "a[b c]"
    assert child("a", 3) == "a[3]"


KEYS = st.text(max_size=3) | st.integers() | st.none() | st.floats() | st.tuples(st.integers())
ODD = (
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters()), st.binary(max_size=3)),
    *(st.decimals(), st.complex_numbers(), st.datetimes(), st.timedeltas(), st.uuids(), st.fractions()),
    *(st.integers(10**4299, 10**4301), st.sampled_from((..., TABLE, CYCLE, Colour.RED, pd.NA, np.float32("inf"), len))),
)
ANYTHING = st.recursive(
    st.one_of(*ODD),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=2),
        st.builds(Cell, inner),
        st.lists(inner, max_size=2).map(lambda items: pd.Series(items, dtype=object)),
    ),
    max_leaves=6,
)


def check_any(value):
    try:
        found = check_inputs({"k": value})
    except OrchestraInputError as error:
        reason = str(error)
    else:
        written = json.dumps(found, allow_nan=False, ensure_ascii=False)
        assert repr(json.loads(written)) == repr(found)
        return
    assert "`inputs.k" in reason
    reason.encode()


@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANYTHING)
def test_any_value_is_sent_or_refused_by_its_path(value):
    check_any(value)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANYTHING)
def test_any_value_is_sent_or_refused_by_its_path_at_length(value):
    check_any(value)
