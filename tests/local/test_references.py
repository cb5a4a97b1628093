import ast
import json

import pytest

from orchestra_magic.local import references
from orchestra_magic.local.references import UnknownReferenceError
from orchestra_magic.local.sandbox import code_references

SCOPE = {
    "topic": "owls",
    "count": 3,
    "nothing": None,
    "flag": True,
    "rows": [{"a": 1}, {"a": 2}],
    "code_1": {"data": {"results": {"n": 3, "odd key": "x"}}, "successful": True},
    "broken": {"data": {"results": None, "error": "Traceback\nValueError: bad"}, "successful": False},
    "words": {"größe": "right", "gr": {"e": "wrong"}, "नाम": 1, "unit-price": 2, "🦉": 3},
    "tricky": "{{topic}} ${x} \\ ' \"",
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{topic}}", "owls"),
        ("  {{ count }}\n", 3),
        ("{{nothing}}", None),
        ("{{flag}}", True),
        ("{{code_1.data.results}}", {"n": 3, "odd key": "x"}),
        ("{{rows[1].a}}", 2),
        ("{{rows[-1].a}}", 2),
        ("{{rows.0.a}}", 1),
        ("{{code_1.data.results['odd key']}}", "x"),
        ("{{words.größe}}", "right"),
        ("{{ words.नाम }} {{words.unit-price}} {{words.🦉}}", "1 2 3"),
        ("{{\u00a0topic\u00a0}}", "owls"),
        ("about {{topic}}", "about owls"),
        ("{{count}} of {{topic}}: {{rows}}", '3 of owls: [{"a": 1}, {"a": 2}]'),
        ("[{{nothing}}]", "[]"),
        ("{{tricky}}!", SCOPE["tricky"] + "!"),
        ("{{ 1 + 1 }} {single} {{}}", "{{ 1 + 1 }} {single} {{}}"),
        ({"a": ["{{count}}", 5, None]}, {"a": [3, 5, None]}),
        ("{{'{{'}}topic}} {{ '{{' }}", "{{topic}} {{"),
        ("{{'{{'}}", "{{"),
        (r"\textbf{{{topic}}}", r"\textbf{owls}"),
    ],
)
def test_fill(template, expected):
    assert references.fill(template, SCOPE) == expected
    assert type(references.fill(template, SCOPE)) is type(expected)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{missing}}", "{{missing}}: there is no 'missing' here; there is: topic, count"),
        ("x {{code_1.data.nope}}", "{{code_1.data.nope}}: code_1.data has no 'nope'; it has: results"),
        ("{{rows[2]}}", "{{rows[2]}}: rows has 2 items, so there is no [2]"),
        ("{{topic.upper}}", "{{topic.upper}}: topic is text, which has no 'upper'"),
        ("{{rows.append}}", "{{rows.append}}: rows is a list, which has no 'append'"),
        (
            "{{broken.data.results}}",
            "{{broken.data.results}}: it has no value, because the code failed: ValueError: bad",
        ),
    ],
)
def test_a_name_that_is_not_there(template, message):
    with pytest.raises(UnknownReferenceError) as caught:
        references.fill(template, SCOPE)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("path", ["words größe", "topic|upper", "rows[0:1]", "rows[0", "", ".topic", "1a"])
def test_no_part_of_a_path_is_passed_over(path):
    assert not references.is_path(path)
    with pytest.raises(UnknownReferenceError, match="this is no path"):
        references.look_up(path, SCOPE)


def test_find_goes_deep():
    value = {"a": ["{{x.y}}", {"b": "and {{ z[0] }} and {{x}}"}], "c": 1}
    assert list(references.find(value)) == ["x.y", "z[0]", "x"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ topic | upper }}", "{{ topic | upper }}"),
        ("{{topic upper}} and {{topic}}", "{{topic upper}}"),
        ("{{topic}", "{{topic}"),
        ("say {{topic", "{{topic"),
        ("{{ $json.topic }}", "{{ $json.topic }}"),
        ("{{\n1 +\n1}}", "{{ 1 + 1}}"),
        ("style={{color: 'red'}}", "{{color: 'red'}}"),
        ("{{{{topic}}}}", "{{"),
        ("{{" + "a" * 99 + "!}}", "{{" + "a" * 58 + "…"),
        ({"a": [{"b": "{{}}"}]}, "{{}}"),
    ],
)
def test_braces_that_hold_no_path_are_named(template, said):
    [message] = references.misfits(template)
    assert message == (
        f"{said} is no reference, which is a path such as {{{{topic}}}} or {{{{rows[0].name}}}}; "
        "{{ as text is written {{'{{'}}"
    )


@pytest.mark.parametrize(
    "template", ["{{topic}} {{ rows[0].a }}", "{ {a} }", "}}", "{{{topic}}}{", "{{'{{'}} x }}", 5, None]
)
def test_what_is_a_reference_or_begins_none_is_no_misfit(template):
    assert list(references.misfits(template)) == []


def run(program, **values):
    """Do what the sandbox does, without the sandbox."""
    tree = ast.parse(program)
    assert set(code_references.find(tree)) == set(values)
    tree = code_references.fill(tree, values)
    last = ast.Expression(tree.body.pop().value)
    namespace = {code_references.VALUES: values}
    exec(compile(tree, "<code>", "exec"), namespace)
    return eval(compile(last, "<code>", "eval"), namespace)


def test_bare_reference_is_the_object():
    rows = [{"a": 1}]
    assert run("{{rows}}", rows=rows) is rows
    assert run("x = {{a}}\ny = {{ b . c [0] }}\n(x, y)", **{"a": 1, "b.c[0]": None}) == (1, None)
    assert run("{{a['odd key']}} + {{b[-1]}}", **{"a['odd key']": 1, "b[-1]": 2}) == 3


@pytest.mark.parametrize("path", ["a.größe", "größe", "a.नाम", "a.b-c", "a.b-c.d-e[0].f", "a.item-1", "a-b"])
def test_a_key_in_any_language_is_one_in_code_too(path):
    assert run(f'[{{{{{path}}}}}, "{{{{ {path} }}}}"]', **{path: 5}) == [5, "5"]
    assert run(f"f'{{ {{{{{path}}}}} }}'", **{path: 5}) == "5"
    assert references.is_path(path)


@pytest.mark.parametrize(
    "program", ["{{a.b - c}}", "{{a-0x1}}", "{{(a-b).c}}", "{{(a-b)-c}}", "{{a-b*c}}", "{{a[0]-c}}", "{{a - 1}}"]
)
def test_what_is_calculated_is_no_key_with_a_hyphen(program):
    assert code_references.find(ast.parse(program)) == []


def test_reference_inside_text_is_its_text():
    assert run("'about {{topic}}'", topic="owls") == "about owls"
    assert run("'''{{n}}\n{{rows}} {{none}}'''", n=3, rows=[1], none=None) == "3\n[1] "


def test_a_value_is_never_source():
    nasty = "'''\"\"\"\\'); import os; os._exit(9) #{{other}} {x}\n"
    assert run("'say {{x}}'", x=nasty) == f"say {nasty}"
    assert run("[{{x}}, '{{x}}']", x=nasty) == [nasty, nasty]


def test_fstrings_keep_their_meaning():
    assert run("x = 1\nf'{{x}} {x} {{{x}}}'") == "{x} 1 {1}"
    assert run("f'{ {{name}} }: {\"{{name}}\"}'", name="a") == "a: a"


@pytest.mark.parametrize("program", ["{1}", "{a, b}", "{{1, 2}}", "{{f()}}", "{{a + b}}", "{'a': {'b': 1}}", "'{{ }}'"])
def test_what_is_no_reference_stays(program):
    tree = ast.parse(program)
    assert code_references.find(tree) == []
    assert ast.dump(code_references.fill(ast.parse(program), {})) == ast.dump(tree)


@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("1\n{{a + 1}}", [(2, "{{a + 1}}")]),
        ("{{a[0:2]}} + {{b.c}}", [(1, "{{a[0:2]}}")]),
        ("f(x, {{a | upper}})", [(1, "{{a | upper}}")]),
        (
            "{{}}, {{1, 2}}, {{'a': 1}}, {{x for x in y}}",
            [(1, "{{}}"), (1, "{{1, 2}}"), (1, "{{'a': 1}}"), (1, "{{x for x in y}}")],
        ),
        ("f'{ {{a + 1}} } {{a + 1}}'", [(1, "{{a + 1}}")]),
        ("'{{ a | upper }} {{a + 1}}'", []),
        ("{{{a}}}, {'a': {{a}}}, {{{a}}: 1}, { {{a}}, {{b}} }, {{1}, {2}}", []),
    ],
)
def test_a_set_of_what_no_set_can_hold_is_meant_as_a_reference(program, found):
    assert list(code_references.misfits(ast.parse(program))) == found


def test_line_numbers_stay():
    tree = code_references.fill(ast.parse("\n\nx = {{a}}\n1/0"), {"a": 1})
    assert [node.lineno for node in tree.body] == [3, 4]


def test_both_readers_agree_on_text():
    template = "a {{x}} b {{ y.z[0] }} {{q['k']}} {{ 1 }} {{x-y.größe}}"
    found = code_references.find(ast.parse(json.dumps(template)))
    assert found == list(references.find(template)) == ["x", "y.z[0]", "q['k']", "x-y.größe"]
