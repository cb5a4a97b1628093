"""``$name`` in parsed inputs: which texts are variables, what they become, what is refused."""

from __future__ import annotations

import collections
import json
import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestra_magic.client.substitution import names, substitute
from orchestra_magic.errors import OrchestraInputError


@dataclass
class Point:
    x: int
    y: list[int]

    @property
    def broken(self):
        raise RuntimeError("no")

    def method(self):
        raise AssertionError("nothing is called")


TABLE = pd.DataFrame({"name": ["a", "b"], "count": [1, 2]})
NAMES = {
    "n": 3,
    "pi": 3.5,
    "yes": True,
    "nothing": None,
    "word": "hi",
    "dollars": "$n ${n} $$",
    "rows": [{"name": "a"}, {"name": "b"}],
    "cfg": {"deep": {"k": [7]}, "some key": 5, "keys": 6, "1": "one", 2: "two", "a.b": 8},
    "point": Point(1, [2, 3]),
    "table": TABLE,
    "row": TABLE.iloc[0],
    "array": np.array([[1, 2], [3, 4]]),
    "größe": 9,
    "lazy": collections.defaultdict(list),
    "space": SimpleNamespace(rows=[1]),
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$n", 3),
        ("${n}", 3),
        ("${ n }", 3),
        ("$pi", 3.5),
        ("$yes", True),
        ("$nothing", None),
        ("$word", "hi"),
        ("$rows", [{"name": "a"}, {"name": "b"}]),
        ("$größe", 9),
        ("${rows[0].name}", "a"),
        ("$rows[1].name", "b"),
        ("${rows[-1].name}", "b"),
        ("${cfg.deep.k[0]}", 7),
        ("$cfg.deep.k[0]", 7),
        ("${cfg[some key]}", 5),
        ("$cfg[some key]", 5),
        ("${cfg.keys}", 6),  # the key goes before the method
        ("${cfg[1]}", "one"),
        ("${cfg[2]}", "two"),
        ("${cfg[a.b]}", 8),
        ("$point", {"x": 1, "y": [2, 3]}),
        ("${point.y[1]}", 3),
        ("$table", [{"name": "a", "count": 1}, {"name": "b", "count": 2}]),
        ("$table.name", ["a", "b"]),
        ("$table.count", [1, 2]),  # the column goes before the method
        ("$row.name", "a"),  # and before the name of the series
        ("$row.count", 1),
        ("$row", {"name": "a", "count": 1}),
        ("$array[1]", [3, 4]),
        ("$array[1][0]", 3),
        ("$space.rows[0]", 1),
        ("n = ${n}", "n = 3"),
        ("${n}${pi}", "33.5"),
        ("${word}!", "hi!"),
        ("${yes} ${nothing}", "true null"),
        ("rows: ${rows} ${point}", 'rows: [{"name": "a"}, {"name": "b"}] {"x": 1, "y": [2, 3]}'),
        ("${größe}é", "9é"),
        ("Hello $n", "Hello $n"),
        ("$n ", "$n "),
        (" $n", " $n"),
        ("$n!", "$n!"),
        ("$n$n", "$n$n"),
        ("$5", "$5"),
        ("costs $5, or $ 6", "costs $5, or $ 6"),
        ("$", "$"),
        ("a$", "a$"),
        ("$$", "$"),
        ("$$n", "$n"),
        ("$${n}", "${n}"),
        ("$$${n}", "$3"),
        ("$$5 ${n}", "$5 3"),
        ("$dollars", "$n ${n} $$"),
        ("${dollars}.", "$n ${n} $$."),
        ("{{ n }}", "{{ n }}"),
        ("", ""),
    ],
)
def test_a_text_becomes(text, found):
    given = {"k": [{"x": text}], "same": [1, 2.5, None, True]}
    done = substitute(given, NAMES)
    assert done == {"k": [{"x": found}], "same": [1, 2.5, None, True]}
    assert repr(done["k"][0]["x"]) == repr(found)
    assert given["k"] == [{"x": text}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("$prompt", "`$prompt` (in `k[0]`): there is no variable `prompt`. For a plain dollar write `$$`."),
        (
            "$tabel",
            "`$tabel` (in `k[0]`): there is no variable `tabel` (did you mean `table`?). For a plain dollar write `$$`.",
        ),
        ("$HOME", "`$HOME` (in `k[0]`): there is no variable `HOME`. For a plain dollar write `$$`."),
        ("$cfg.dep", "`$cfg.dep` (in `k[0]`): `cfg` has no key or attribute `dep` (did you mean `deep`?)."),
        ("$point.z", "`$point.z` (in `k[0]`): `point` has no attribute `z`."),
        ("$point.methot", "`$point.methot` (in `k[0]`): `point` has no attribute `methot` (did you mean `method`?)."),
        ("$rows[5]", "`$rows[5]` (in `k[0]`): `rows` has no item 5: it has 2, counted from 0."),
        ("$rows[name]", "`$rows[name]` (in `k[0]`): `rows` (a list) has no item `name`."),
        ("$n[0]", "`$n[0]` (in `k[0]`): `n` (a int) has no item `0`."),
        (
            "${cfg['some key']}",
            "`${cfg['some key']}` (in `k[0]`): keys stand without quotes here: write `cfg[some key]`.",
        ),
        ("${cfg[some kay]}", "`${cfg[some kay]}` (in `k[0]`): `cfg` has no key `some kay` (did you mean `some key`?)."),
        ("$lazy.x", "`$lazy.x` (in `k[0]`): `lazy` has no key or attribute `x`."),
        ("$lazy[x]", "`$lazy[x]` (in `k[0]`): `lazy` has no key `x`."),
        (
            "$point.__class__",
            "`$point.__class__` (in `k[0]`): `point` has no key `__class__`, and private attributes are not read.",
        ),
        ("$point.broken", "`$point.broken` (in `k[0]`): reading `point.broken` raised RuntimeError: no."),
        (
            "$point.method",
            "`$point.method` is a method, which JSON has no form for: send what it returns, not itself (in `k[0]`).",
        ),
        ("$bad", '`$bad[0]` is nan, which JSON has no number for: send None, or the text "nan" (in `k[0]`).'),
        (
            "${n + 1}",
            (
                "`${n + 1}` (in `k[0]`) is not a name with a path such as `${rows[0].name}`: nothing is computed here, so "
                "compute it in Python before, or write `$${n + 1}` for the text itself."
            ),
        ),
        (
            "x ${f()} y",
            (
                "`${f()}` (in `k[0]`) is not a name with a path such as `${rows[0].name}`: nothing is computed here, so "
                "compute it in Python before, or write `$${f()}` for the text itself."
            ),
        ),
        ("${n", "`${` (in `k[0]`) is never closed: add `}`, or write `$${` for the text itself."),
    ],
)
def test_a_text_is_refused(text, reason):
    with pytest.raises(OrchestraInputError) as caught:
        substitute({"k": [text]}, {**NAMES, "bad": [math.nan]})
    assert caught.value.reason == reason


def test_everything_that_is_missing_is_named_at_once():
    given = {"prompt": "$promt", "items": [1, {"name": "${usr.name} and ${n}"}, {"a b": "$rows[9]"}], "x": "${1}"}
    with pytest.raises(OrchestraInputError) as caught:
        substitute(given, {**NAMES, "prompt": "p", "user": 1})
    assert caught.value.reason == (
        "4 values cannot be put into the inputs:\n"
        "  - `$promt` (in `prompt`): there is no variable `promt` (did you mean `prompt`?)\n"
        "  - `${usr.name}` (in `items[1].name`): there is no variable `usr` (did you mean `user`?)\n"
        "  - `$rows[9]` (in `items[2][a b]`): `rows` has no item 9: it has 2, counted from 0\n"
        "  - `${1}` (in `x`) is not a name with a path such as `${rows[0].name}`: nothing is computed here, so compute "
        "it in Python before, or write `$${1}` for the text itself\n"
        "For a plain dollar write `$$`."
    )


def test_a_lookup_makes_nothing():
    with pytest.raises(OrchestraInputError):
        substitute({"a": "$lazy.x ", "b": "$lazy[y]"}, NAMES)
    assert not NAMES["lazy"]


def test_keys_are_left_alone():
    assert substitute({"$n": "$n", "k": {"${n}": 1}}, NAMES) == {"$n": 3, "k": {"${n}": 1}}


def test_what_is_put_in_is_a_copy():
    done = substitute({"a": "$rows", "b": "$rows"}, NAMES)
    done["a"].append(1)
    assert done["b"] == NAMES["rows"] == [{"name": "a"}, {"name": "b"}]


def test_the_names_of_inputs():
    given = {"a": "$x.y", "b": ["${rows[0].n} $z ${größe}", {"$k": "$$q ${1} ${w"}], "c": 1, "d": "$5"}
    assert names(given) == {"x", "rows", "größe"}
    assert names({}) == frozenset()


@pytest.mark.parametrize("piece", ["${", "${[", "${[a]", "$", "$$", "${a", "$a.", "${a.b[c]}"])
def test_long_texts_are_read_in_linear_time(piece):
    text = piece * 100_000
    names({"a": text})
    # the closing text is wrong in any case
    with pytest.raises(OrchestraInputError) as caught:
        substitute({"a": text, "z": "${"}, {"a": {"b": {"c": 1}}})
    assert len(str(caught.value)) < 5_000


def test_a_long_list_of_faults_is_cut():
    with pytest.raises(OrchestraInputError) as caught:
        substitute({"a": [f"$no{n}" for n in range(60)]}, {})
    assert caught.value.reason.startswith(
        "60 values cannot be put into the inputs:\n  - `$no0` (in `a[0]`): there is no"
    )
    assert caught.value.reason.endswith("\n  - and 10 more\nFor a plain dollar write `$$`.")


PIECES = ["$", "$$", "${", "}", "{", "[", "]", "[0]", "[9]", ".", "deep", "n", "cfg", "point", "x", "y", "[some key]"]
PIECES += [
    "${n}",
    "${cfg.deep}",
    "$cfg.deep.k[0]",
    " ",
    "\n",
    "\ud800",
    "é",
    "__class__",
    ".__class__",
    "'",
    "-1",
    "()",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


def check_any(text):
    given = {"k": [text]}
    asked = names(given)
    try:
        found = substitute(given, NAMES)
    except OrchestraInputError as error:
        reason = str(error)
    else:
        assert asked <= set(NAMES)
        json.dumps(found, allow_nan=False)
        if "$" not in text:
            assert found == given
        return
    assert "(in `k[0]`)" in reason


@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEXTS)
def test_any_text_is_put_in_or_refused(text):
    check_any(text)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEXTS)
def test_any_text_is_put_in_or_refused_at_length(text):
    check_any(text)
