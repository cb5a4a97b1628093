"""What a body means, and what each mistake is answered with.

In the tables of mistakes ⟦ marks where the error must point: line, column and caret follow from it.
"""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest
import yaml

from orchestra_magic.client.inputs import MAX_BYTES, parse
from orchestra_magic.errors import OrchestraInputError, OrchestraUsageError

VALUES = [
    ("", {}),
    (" \n\t\r\n", {}),
    ("\ufeff", {}),
    ("# nothing\n  # at all", {}),
    ("---", {}),
    ("---\n# nothing\n...\n", {}),
    ("{}", {}),
    ("a:", {"a": None}),
    ("a: ~\nb: null\nc: Null\nd: nULL", {"a": None, "b": None, "c": None, "d": "nULL"}),
    (
        "a: true\nb: False\nc: tRUE\nd: yes\ne: no\nf: on\ng: off\nh: y",
        {"a": True, "b": False, "c": "tRUE", "d": "yes", "e": "no", "f": "on", "g": "off", "h": "y"},
    ),
    ("no: [NO, SE]\non: 1", {"no": ["NO", "SE"], "on": 1}),
    (
        "a: 12:30\nb: 12:30:45\nc: 2024-01-02\nd: 2024-01-02T03:04:05Z",
        {"a": "12:30", "b": "12:30:45", "c": "2024-01-02", "d": "2024-01-02T03:04:05Z"},
    ),
    (
        "a: 012\nb: 0o14\nc: 0x1F\nd: 1_000\ne: -7\nf: +7\ng: 0b1",
        {"a": 12, "b": 12, "c": 31, "d": "1_000", "e": -7, "f": 7, "g": "0b1"},
    ),
    (
        "a: 1e3\nb: 1.10\nc: .5\nd: 5.\ne: -1E-2\nf: 1e\ng: .\nh: -0.0",
        {"a": 1000.0, "b": 1.1, "c": 0.5, "d": 5.0, "e": -0.01, "f": "1e", "g": ".", "h": -0.0},
    ),
    ("a: 123456789012345678901234567890", {"a": 123456789012345678901234567890}),
    ("a: " + "9" * 4300, {"a": 10**4300 - 1}),
    ("a: -" + "9" * 4300, {"a": -(10**4300) + 1}),
    (
        "a: '1'\nb: \"true\"\nc: ! 1\nd: !!str 1\ne: !!float 1\nf: !!int '1'\ng: !!null ''\nh: !!bool 'true'",
        {"a": "1", "b": "true", "c": "1", "d": "1", "e": 1.0, "f": 1, "g": None, "h": True},
    ),
    ("a: !!map {b: !!seq [1]}", {"a": {"b": [1]}}),
    ("a: =\nb: <<\n'<<': 1", {"a": "=", "b": "<<", "<<": 1}),
    ("a: &x [1, {b: 2}]\nc: *x\n*x2 : 1".replace("\n*x2 : 1", ""), {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}),
    ("a: &x key\n*x : 1", {"a": "key", "key": 1}),
    ("a: |\n  one\n    two\nb: >\n  one\n  two\n", {"a": "one\n  two\n", "b": "one two\n"}),
    ("a: 'it''s'\nb: \"x\\ty\\u00e9\\U0001F600\"", {"a": "it's", "b": "x\tyé😀"}),
    ("a: x: y".replace("x: y", "x:y"), {"a": "x:y"}),
    ("a: http://x.y:80/z?q=1#f", {"a": "http://x.y:80/z?q=1#f"}),
    ("a: 1 # note\nb: # note\n  c: x#y", {"a": 1, "b": {"c": "x#y"}}),
    ('a: $x\nb: ${x[0].y}\nc: [$x, "${x}"]', {"a": "$x", "b": "${x[0].y}", "c": ["$x", "${x}"]}),
    ("a: hello {{ x }}\nb: '{{ x }}'", {"a": "hello {{ x }}", "b": "{{ x }}"}),
    ("{a: 1, 'b': [x, 2], \"c\":3}", {"a": 1, "b": ["x", 2], "c": 3}),
    ("{'a': True, 'b': 'x'}", {"a": True, "b": "x"}),
    ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
    ("\ufeffa: 1\rb: 2", {"a": 1, "b": 2}),
    ("a: x\u2028y\x85z\nb: '\u2029'", {"a": "x\u2028y\x85z", "b": "\u2029"}),
    ('\t{\n\t"a":\t[1,\n\t\t2]}', {"a": [1, 2]}),
    ('\ufeff\r\n{"a": 1}\r\n', {"a": 1}),
    (
        '{"a": "\\ud83d\\ude00", "b": "\x7f\x85\u2028", "c": "\ufffe"}',
        {"a": "😀", "b": "\x7f\x85\u2028", "c": "\ufffe"},
    ),
    (
        '{"a": [1E5, 1e5, -0.0, 5e-324, 1.7976931348623157e308, 0.1]}',
        {"a": [1e5, 1e5, -0.0, 5e-324, 1.7976931348623157e308, 0.1]},
    ),
    ('{"a": ' + "9" * 4300 + "}", {"a": 10**4300 - 1}),
    ('{"%s": 1}' % ("k" * 2000), {"k" * 2000: 1}),
    ('{"": {"": ""}}', {"": {"": ""}}),
]

YAML = [
    (
        "a: 1\n⟦b\nc: 3",
        "This line has no colon: write `b: value`, or indent the line if it goes on with the text above.",
    ),
    ("a: 1\n⟦b:2\nc: 3", "A space must follow the colon: write `b: 2`."),
    ("a: 1\n⟦b = 2", "A value stands after a colon, not after `=`: write `b: 2`."),
    ("prompt⟦:hello", "A space must follow the colon: write `prompt: hello`."),
    ("⟦prompt:hello\nn: 3", "A space must follow the colon: write `prompt: hello`."),
    ("prompt ⟦= 'hello'", "A value stands after a colon, not after `=`: write `prompt: 'hello'`."),
    ("⟦prompt hello", "The body is just text, and inputs have names: write `name: prompt hello`."),
    ("⟦$x", "The body is just text, and inputs have names: write `name: $x`."),
    (
        "⟦hello\na: 1",
        "This line has no colon: write `hello: value`, or indent the line if it goes on with the text above.",
    ),
    ("⟦- a\n- b", "The body is a list, and inputs have names: write `name:` on a line above it."),
    ("⟦[a, b]", "The body begins as a list, and inputs have names: write `name: ` before it."),
    ("⟦[1, 2]", 'The body is a list, and inputs have names: {"name": [ … ]}.'),
    ("⟦~", "The body is just null, and inputs have names: write `name: value`."),
    ("⟦1", "The body is just a number, and inputs have names: write `name: value`."),
    ("⟦false", "The body is just false, and inputs have names: write `name: value`."),
    ("⟦12", "The body is just a number, and inputs have names: write `name: value`."),
    ("a: b⟦: c", 'A colon within text needs quotes: write `a: "b: c"`.'),
    ("text: He said⟦: hello", 'A colon within text needs quotes: write `text: "He said: hello"`.'),
    ('a: "b" ⟦: c', "The text has ended at the quote before this colon: quote all of it, or begin a new line."),
    ("a: ⟦: b", 'A colon within text needs quotes: write `a: ": b"`.'),
    ("{a: 1 b⟦: 2}", 'A comma is missing before this key, or quotes around a text with a colon, as in "a: b".'),
    (
        "a: 1\n  ⟦b: 2",
        "This line is indented deeper than the one above, which has its value already: line both up, or remove the value above.",
    ),
    (
        "a:\n    b: 1\n  ⟦c: 2",
        "This line is indented by 2, which fits no line above: line it up with the lines it belongs to.",
    ),
    ("a: 1\n⟦- b", "A list item stands among keys: write a key such as `items:` on a line above it."),
    (
        "a:\n  - x\n  ⟦b: 1",
        "This line is no item of the list above: begin it with `- `, or write the list under a key of its own.",
    ),
    (
        "a:\n  - x\n ⟦- y",
        "This line is indented by 1, which fits no line above: line it up with the lines it belongs to.",
    ),
    (
        "a: ⟦- b",
        'A list does not begin on the line of its key: write `- b` on a line of its own, or [b]; quote "- b" if it is text.',
    ),
    (
        "a: ⟦- b\nc: 1",
        'A list does not begin on the line of its key: write `- b` on a line of its own, or [b]; quote "- b" if it is text.',
    ),
    ("⟦\ta: 1", "A tab cannot indent YAML: use spaces."),
    ("a:\n⟦\tb: 1", "A tab cannot indent YAML: use spaces."),
    ("⟦" + "k" * 2000 + ": 1", "A key of YAML has 1,024 characters at most: write the body as JSON."),
    ("a: !!str ⟦!!int 1", '! at the start begins a tag: quote text that begins with it: "!!int 1".'),
    (
        'a: "⟦\\U00a10000"',
        "\\U must be followed by eight hexadecimal digits of a character: write \\\\ for a backslash, or use single quotes.",
    ),
    ("a:\n- ⟦\tb", "A tab is no space in YAML: use a space."),
    ("a: |\n⟦\tb", "A tab cannot indent YAML: use spaces."),
    (
        "a: 'it'⟦s'",
        "The text has ended at the quote before this: to have a quote within it, use \" around the text instead, or write ''.",
    ),
    ('a: "say "⟦hi""', 'The text has ended at the quote before this: to have a quote within it, write \\".'),
    ('a: ⟦"hello\nb: 1', 'This quote is never closed: add " where the text ends.'),
    ('a: ⟦"hello\nb: "x"', 'This quote is closed only on line 3: close it with " where the text ends.'),
    ('a: "C:⟦\\dir"', "\\d is no escape: in double quotes write \\\\ for a backslash, or use single quotes."),
    ('a: "⟦\\ud83d\\ude00"', "\\ud83d\\ude00 is JSON for 😀: write the character itself, or \\U0001F600."),
    (
        'a: "⟦\\x4"',
        "\\x must be followed by two hexadecimal digits of a character: write \\\\ for a backslash, or use single quotes.",
    ),
    ("a: ⟦[1, 2", "This [ is never closed: add ] where it ends."),
    ("a: ⟦{b: 1\nc: 2", "This { is never closed: add } where it ends, or the comma that is missing before `: 2`."),
    ("a: [1, 2⟦}", "The [ before is still open: close it with ] instead of }."),
    ("a: 1\nb: ⟦}", "A value cannot begin with }: quote it if it is text, or write the value before it."),
    ("a: [1, 2]⟦]", "This ] closes nothing: remove it."),
    ("a: [⟦, 2]", "There is a comma too many: remove it."),
    ("a: [1 ⟦[2]]", "A comma is missing before `[2`, or ] to close the [."),
    ("a: {} ⟦b", "The value has ended at the } before this: quote the whole value if it is text."),
    (
        "a: [1, 2] # ok\n  ⟦// c",
        "This line is indented by 2, which fits no line above: line it up with the lines it belongs to.",
    ),
    ("a: ⟦[1, // c\n 2: [", "This [ is never closed: add ] where it ends, or the comma that is missing before `: [`."),
    ("a: ⟦@x", 'Text cannot begin with @: quote it: "@x".'),
    ("a: ⟦`x`", 'Text cannot begin with `: quote it: "`x`".'),
    ("a: ⟦%x # c", 'Text cannot begin with %: quote it: "%x".'),
    ("⟦[@x]", "The body begins as a list, and inputs have names: write `name: ` before it."),
    ("a: [⟦@x, y]", 'Text cannot begin with @: quote it: "@x".'),
    ("⟦%x\na: 1", 'A line that begins with % is no input: remove it, or quote it: "%x".'),
    ("a: ⟦*bold*", '* at the start repeats a marked value: quote text that begins with it: "*bold*".'),
    ("a: ⟦*b", '*b repeats a value that is marked &b, and there is none before: quote text that begins with *: "*b".'),
    ("a: ⟦& b", '& at the start marks a value: quote text that begins with it: "& b".'),
    (
        "a: ⟦&b c",
        '&b marks a value to be repeated, and nothing repeats it: quote text that begins with &: "&b c", or remove the mark.',
    ),
    (
        "a: ⟦!x y",
        '!x is a tag, and tags of one\'s own have no meaning here: remove it, or quote text that begins with !: "!x y".',
    ),
    (
        "a: ⟦!!python/name:os x",
        '!!python/name:os is a tag, and tags of one\'s own have no meaning here: remove it, or quote text that begins with !: "!!python/name:os x".',
    ),
    ("a: ⟦!<x", '! at the start begins a tag: quote text that begins with it: "!<x".'),
    (
        "a: ⟦> text",
        '> begins a text on the lines below it, and nothing may follow it on its line: quote text that begins with it: "> text".',
    ),
    (
        "a: ⟦|x",
        '| begins a text on the lines below it, and nothing may follow it on its line: quote text that begins with it: "|x".',
    ),
    ("a: ⟦? b", 'Text cannot begin with ?: quote it: "? b".'),
    (
        "a: ⟦#fff",
        'A comment begins at this #, which leaves `a` empty: quote "#fff" if it is the value, else write a space after the #.',
    ),
    ("a: 1⟦,\nb: 2", "YAML has no comma at the end of a line: remove it, or write { } around the whole body for JSON."),
    (
        "a: 'x'⟦,\nb: 2",
        "YAML has no comma at the end of a line: remove it, or write { } around the whole body for JSON.",
    ),
    ("a: null⟦,", "YAML has no comma at the end of a line: remove it, or write { } around the whole body for JSON."),
    (
        "a: ⟦{{ x }}",
        '{{ x }} must stand in quotes to be text: write "{{ x }}", or $x for the value of a Python variable.',
    ),
    ("a: ⟦{{x|y}}", '{{x|y}} must stand in quotes to be text: write "{{x|y}}".'),
    (
        "a: ⟦{{ x }} b",
        '{{ x }} must stand in quotes to be text: write "{{ x }}", or $x for the value of a Python variable.',
    ),
    (
        "⟦{{ x }}: 1",
        '{{ x }} must stand in quotes to be text: write "{{ x }}", or $x for the value of a Python variable.',
    ),
    (
        "{a: [⟦{{x}}]}",
        '{{x}} must stand in quotes to be text: write "{{x}}", or $x for the value of a Python variable.',
    ),
    ("a: ⟦{{ {b: 1} }}", "Two { in a row begin no mapping: remove one, or quote the whole value if it is text."),
    ("{a: ⟦${x}}", '${x} must stand in quotes inside [ ] and { }: write "${x}".'),
    ("a: [1, ⟦${x[some key]}]", '${x[some key]} must stand in quotes inside [ ] and { }: write "${x[some key]}".'),
    ("a: [⟦$x[0]]", '$x[0] must stand in quotes inside [ ] and { }: write "$x[0]".'),
    ("a: 1\n⟦---\nb: 2", "A second document begins here, and a body is one: remove this line and what follows it."),
    ("a: 1\nb: 2\n⟦a: 3", "The key `a` is here twice (first on line 2): rename or remove one of them."),
    ('x: {a: 1, ⟦"a": 2}', "The key `a` is here twice (first on line 2): rename or remove one of them."),
    (
        "⟦<<: {a: 1}",
        '`<<` does not merge mappings in YAML 1.2: write the keys out, or quote "<<" for a key of that name.',
    ),
    ("⟦1: a", 'A key must be text, and 1 is read as a number: write "1" in quotes.'),
    ("⟦true: b", 'A key must be text, and true is read as true or false: write "true" in quotes.'),
    ("⟦null: 1", 'A key must be text, and null is read as null: write "null" in quotes.'),
    ("⟦2.5: 1", 'A key must be text, and 2.5 is read as a number: write "2.5" in quotes.'),
    ("⟦: a", "The key before the colon is missing: write it on the line of the colon."),
    ("? ⟦[1]\n: 2", "A key must be text, and this is a list or a mapping: quote it if it is meant as text."),
    ("{⟦: 1}", "The key before the colon is missing: write one."),
    (
        "⟦\u00a0a: 1",
        "The key begins with U+00A0 (NO-BREAK SPACE), which is invisible: remove it, or type a space instead.",
    ),
    (
        "⟦a\u200b: 1",
        "The key ends with U+200B (ZERO WIDTH SPACE), which is invisible: remove it, or type a space instead.",
    ),
    ("a: ⟦.inf", 'JSON has no .inf: write null, or the text ".inf".'),
    ("a: ⟦-.INF", 'JSON has no -.INF: write null, or the text "-.INF".'),
    ("a: ⟦.NaN", 'JSON has no .NaN: write null, or the text ".NaN".'),
    ("a: ⟦1e400", '1e400 is too large for a number of JSON: write it as text, "1e400".'),
    ("a: ⟦" + "9" * 4301 + "", 'An integer has 4,300 digits at most: write it as text, "99999…".'),
    ("a: ⟦!!int x", "`!!int` does not fit `x`: remove it, or correct the value."),
    ("a: &x [⟦*x]", "`*x` stands inside `&x`, so that it has no end: remove it."),
    ("a: ⟦\u0007", 'U+0007 (a control character) cannot stand in YAML: remove it, or write "\\x07" in double quotes.'),
    ("a: ⟦\u007f", 'U+007F (a control character) cannot stand in YAML: remove it, or write "\\x7f" in double quotes.'),
    ("a: 1\n⟦\ufeffb: 2", "This is U+FEFF (ZERO WIDTH NO-BREAK SPACE), which is invisible: remove it."),
    ("⟦...", "There is no value here: remove this line, or write `name: value` above it."),
    ("{⟦a:1}", "A space must follow the colon: write `a: 1`."),
    ("{a: 1, ⟦b:2}", "A space must follow the colon: write `b: 2`."),
    ("{a: b⟦:}", "There is no value after this colon: write one, remove the colon, or quote the text with it."),
    ("{a⟦:[1]}", "A space must follow the colon: write `: ` instead of `:`."),
    ("{'a': ⟦None}", 'None is Python: write null for no value, or "None" for the text.'),
    ("{'a': ⟦(1, 2)}", 'Parentheses make no tuple here: write [1, 2] for a list, or "quote" the text.'),
    ("a: ⟦\ud800", "U+D800 is half of a character (a lone surrogate) and cannot be sent: type the character again."),
]
JSON = [
    (
        '"a"⟦: 1',
        "A body that begins with a double quote is read as JSON, which needs { } around all of it: add them, or take the quotes off the first key to write YAML.",
    ),
    ('{"a": 1⟦,}', "JSON has no comma before `}`: remove it."),
    ('{"a": [1, 2⟦,],\n"b": 1}', "JSON has no comma before `]`: remove it."),
    ('{"a": ⟦True}', "True is written true in JSON."),
    ('{"a": ⟦False}', "False is written false in JSON."),
    ('{"a": ⟦None}', "None is written null in JSON."),
    ('{"a": ⟦undefined}', "undefined is written null in JSON."),
    ("{\"a\": ⟦'x'}", "JSON quotes text with \", not with ': replace the quotes around it."),
    ("{\"a\": 1, ⟦'b': 2}", "JSON quotes text with \", not with ': replace the quotes around it."),
    ('{"a": ⟦“x”}', 'JSON quotes text with ", not with “: replace the quotes around it.'),
    ('{"a": 1 ⟦/* c */}', "JSON has no comments: remove this one, or write the body as YAML, where # begins one."),
    (
        '{"a": 1, ⟦// c\n"b": 2}',
        "JSON has no comments: remove this one, or write the body as YAML, where # begins one.",
    ),
    ('{"a": 1, ⟦# c\n"b": 2}', "JSON has no comments: remove this one, or write the body as YAML, where # begins one."),
    ('{"a": 1⟦\n"b": 2}', 'A comma is missing before `"b"`: add it here.'),
    ('{"a" ⟦1}', "A colon must stand between a key and its value: write `: ` before `1`."),
    ('{"a": "x⟦\ny"}', 'A text of JSON ends on its own line: close it with ", or write \\n for the line break.'),
    ('{"a": ⟦"x', 'This text is never closed: add `"` where it ends.'),
    ('{"a": "x⟦\ty"}', "A tab cannot stand in a text of JSON: write \\t."),
    ('{"a": "x⟦\u0001y"}', "U+0001 cannot stand in a text of JSON: write \\u0001."),
    ('{"a": "⟦\\d"}', "\\d is no escape of JSON: for a backslash write \\\\."),
    ('{"a": "⟦\\u12"}', "\\u must be followed by four hexadecimal digits, as in \\u00e9; for a backslash write \\\\."),
    ('⟦{"a": 1', "This `{` is never closed: add `}` where it ends."),
    ('{"a": ⟦[1', "This `[` is never closed: add `]` where it ends."),
    ('⟦{"a": ', "This `{` is never closed: add `}` where it ends."),
    ('{"a": 1⟦]', "The `{` before is still open: close it with `}` instead of `]`."),
    ('{"a": [1⟦}', "The `[` before is still open: close it with `]` instead of `}`."),
    ('{"a": 1}⟦}', "This `}` closes nothing: remove it, or add what it shall close."),
    ('{"a": 1}\n⟦{"b": 2}', "The JSON has ended before this: remove it, or move it inside the brackets."),
    ('⟦"x"', 'The body is just text, and inputs have names: write {"name": value}.'),
    ('{"a": ⟦$x}', 'A variable stands in double quotes, and keeps its type: write "$x".'),
    ('{"a": ⟦${x[0]}}', 'A variable stands in double quotes, and keeps its type: write "${x[0]}".'),
    ('{"a": {⟦{ x }}}', '{{ x }} must stand in double quotes: write "{{ x }}".'),
    ('{"a": ⟦NaN}', 'JSON has no NaN: write null, or the text "NaN".'),
    ('{"a": ⟦nan}', 'JSON has no nan: write null, or the text "nan".'),
    ('{"a": ⟦-Infinity}', 'JSON has no -Infinity: write null, or the text "-Infinity".'),
    ('{"a": ⟦1e400}', '1e400 is too large for a number of JSON: write it as text, "1e400".'),
    ('{"a": ⟦-1e400}', '-1e400 is too large for a number of JSON: write it as text, "-1e400".'),
    ('{"a": ⟦01}', '01 is no number of JSON: write it as in 12, 0.5 or 1e3, or as "text".'),
    ('{"a": ⟦.5}', '.5 is no number of JSON: write it as in 12, 0.5 or 1e3, or as "text".'),
    ('{"a": ⟦+1}', '+1 is no number of JSON: write it as in 12, 0.5 or 1e3, or as "text".'),
    ('{"a": ⟦0x10}', '0x10 is no number of JSON: write it as in 12, 0.5 or 1e3, or as "text".'),
    ('{"a": ⟦1_000}', '1_000 is no number of JSON: write it as in 12, 0.5 or 1e3, or as "text".'),
    ('{"a": ⟦1.}', '1. is no number of JSON: write it as in 12, 0.5 or 1e3, or as "text".'),
    ('{"a": ⟦hello world}', 'Text stands in double quotes: write "hello world".'),
    ('{"a": 1, ⟦"a": 2}', 'The key "a" is here twice (first on line 2): rename or remove one of them.'),
    ('{"a": {"b": 1,\n⟦"b": 2}}', 'The key "b" is here twice (first on line 2): rename or remove one of them.'),
    (
        '{"a": [{}, {"x": 1, ⟦"\\u0078": 2}]}',
        'The key "\\u0078" is here twice (first on line 2): rename or remove one of them.',
    ),
    (
        '{"a": ⟦"\\ud800"}',
        "This text holds \\ud800, which is half of a character (a lone surrogate) and cannot be sent: write the character itself.",
    ),
    ('{"a": ⟦' + "9" * 4301 + "}", 'An integer has 4,300 digits at most: write it as text, "99999…".'),
    ('{"a": 1, ⟦b: 2}', 'A key of JSON stands in double quotes: write "b".'),
    ('{"a": 1,⟦, "b": 2}', "There is a comma too many: remove it."),
    ('{"a": ⟦}', "The value after the colon is missing: write one, or null."),
    ('{"a": ⟦, "b": 1}', "The value after the colon is missing: write one, or null."),
    ('{"a": 1⟦ "b": 2}', 'A comma is missing before `"b"`: add it here.'),
    ('{"a": "say "⟦hi" now"}', 'The text has ended before this: write \\" for a quote within it, or a comma after it.'),
    ('{"a": [1⟦ 2]}', "A comma is missing before `2`: add it here."),
    ('{"a": ["b"⟦: 1]}', "A list has no keys: write { } around this pair, or use { } for the whole list."),
    ('{"a": "b"⟦: 1}', "There is one colon too many: quote the whole value, or begin a new key after a comma."),
    ("{}⟦x", "The JSON has ended before this: remove it, or move it inside the brackets."),
    ('{"a":⟦\ud800}', "U+D800 is half of a character (a lone surrogate) and cannot be sent: type the character again."),
]

# the sentence is good there as well, but not the same one
DIFFERENT_IN_PYTHON = {"a: 1\n⟦\ufeffb: 2", "{a: b⟦:}", "{a⟦:[1]}"}


@pytest.fixture(params=["c", "python"])
def loader(request, monkeypatch):
    if request.param == "python":
        monkeypatch.delattr(yaml, "CSafeLoader")
    return request.param


@pytest.mark.parametrize(("body", "value"), VALUES)
def test_a_body_means(body, value, loader):
    found = parse(body)
    assert found == value
    assert repr(found) == repr(value)  # 1 is not 1.0, nor True


def test_tabs_that_indent_nothing_are_read():
    assert parse("a:\t1\nb: [\n\t2,\t3]") == {"a": 1, "b": [2, 3]}


def mistake(marked, reason, **how):
    """Parse a body that is marked where it is wrong, as the cell below a magic."""
    before, _, after = marked.partition("⟦")
    with pytest.raises(OrchestraInputError) as caught:
        parse(before + after, first_line=2, **how)
    error = caught.value
    start = max(before.rfind("\n"), before.rfind("\r")) + 1
    assert error.reason == reason
    assert (error.line, error.column) == (2 + before.count("\n"), len(before) - start + 1)
    lines = str(error).split("\n")
    assert lines[0] == f"line {error.line}, column {error.column}: {reason}"
    assert lines[1] == f"  {error.line:>4} | {error.excerpt}"
    assert len(lines) == 3
    caret = lines[2].index("^")
    under = lines[1][caret : caret + 1]
    at = after[:1]
    # the caret stands under the character, or under the picture of one that cannot be shown
    assert under == (at if at not in ("", "\n") and unicodedata.category(at) not in {"Cc", "Cs", "Cf"} else under)
    assert lines[2] == lines[2][:caret] + "^"


@pytest.mark.parametrize(("marked", "reason"), YAML)
def test_a_mistake_in_yaml_says_what_to_do(marked, reason, loader):
    if loader == "python" and marked in DIFFERENT_IN_PYTHON:
        pytest.skip("PyYAML in Python sees this differently")
    mistake(marked, reason)


@pytest.mark.parametrize(("marked", "reason"), JSON)
@pytest.mark.parametrize("how", ["auto", "json"])
def test_a_mistake_in_json_says_what_to_do(marked, reason, how):
    mistake(marked, reason, format=how)


def test_json_is_read_as_json_alone():
    with pytest.raises(OrchestraInputError, match="JSON has no comments"):
        parse('{"a": 1 # c\n}')
    assert parse('{"a": 1 # c\n}', format="yaml") == {"a": 1}


def test_the_format_can_be_forced():
    mistake("⟦a: 1", 'Text stands in double quotes: write "a".', format="json")
    mistake(
        "⟦# c", "JSON has no comments: remove this one, or write the body as YAML, where # begins one.", format="json"
    )
    assert parse('"a b": 1', format="yaml") == {"a b": 1}
    assert parse("", format="json") == {}
    with pytest.raises(OrchestraUsageError, match="auto, yaml or json, not 'toml'"):
        parse("a: 1", format="toml")


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_shows_them(ends, loader):
    body = ends.join(["a: x\u2028y", "b: '\x85'", "", "c: @"])
    with pytest.raises(OrchestraInputError) as caught:
        parse(body, first_line=2)
    assert (caught.value.line, caught.value.column, caught.value.excerpt) == (5, 4, "c: @")


def test_a_byte_order_mark_moves_no_column():
    with pytest.raises(OrchestraInputError) as caught:
        parse("\ufeffa: @")
    assert (caught.value.column, caught.value.excerpt) == (4, "a: @")


def test_the_caret_stands_under_wide_characters_and_tabs():
    with pytest.raises(OrchestraInputError) as caught:
        parse("日本: 語: x")
    assert str(caught.value).split("\n")[1:] == ["     1 | 日本: 語: x", "         \u3000\u3000  \u3000^"]
    with pytest.raises(OrchestraInputError) as caught:
        parse('{"a":\t\tTrue}')
    assert str(caught.value).split("\n")[1:] == ['     1 | {"a":\t\tTrue}', "         " + " " * 5 + "\t\t^"]
    with pytest.raises(OrchestraInputError) as caught:
        parse("e\u0301: 1: 2")
    assert str(caught.value).split("\n")[1:] == ["     1 | e\u0301: 1: 2", "         " + " " * 4 + "^"]


def test_a_long_line_is_cut_around_the_fault():
    for before, after in ((0, 5_000), (5_000, 0), (5_000, 5_000), (60, 5_000)):
        with pytest.raises(OrchestraInputError) as caught:
            parse("a: " + "x" * before + ": " + "y" * after)
        _, shown, caret = str(caught.value).split("\n")
        assert len(shown) <= 9 + 102
        assert shown[caret.index("^")] == ":"
        assert caught.value.column == before + 4
        assert shown.endswith("…") == (after > 0)


def test_what_a_terminal_would_act_on_is_pictured():
    with pytest.raises(OrchestraInputError) as caught:
        parse('{"a": "\x1b[31m\u202e", "b" 1}')
    assert caught.value.excerpt == '{"a": "␛[31m�", "b" 1}'


@pytest.mark.parametrize("form", ["{'a': ", '{"a": ', "{a: ", "a: ["])
def test_a_hundred_levels_are_read_and_one_more_is_not(form, loader):
    def nested(depth):
        return form + "[" * (depth - 1 - form.count("[")) + "]" * (depth - 1) + ("}" if "{" in form else "")

    assert parse(nested(100))
    with pytest.raises(OrchestraInputError) as caught:
        parse(nested(101))
    assert caught.value.reason == "This is nested more than 100 levels deep: send it flatter, or as text."
    assert (caught.value.line, caught.value.column) == (1, len(form) - form.count("[") + 100)


def test_aliases_add_depth_and_size():
    deep = "a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60
    mistake(deep.replace("*a", "⟦*a"), "This is nested more than 100 levels deep: send it flatter, or as text.")
    laughs = "a0: &a0 x\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(OrchestraInputError) as caught:
        parse(laughs)
    assert caught.value.reason == "The values repeated with * grow past a million characters: write out what you need."
    assert len(parse("a: &a " + "x" * 50_000 + "\nb: [" + ", ".join(["*a"] * 15) + "]")["b"]) == 15


def test_what_aliases_repeat_is_a_copy():
    found = parse("a: &a [1]\nb: *a")
    found["a"].append(2)
    assert found["b"] == [1]


@pytest.mark.parametrize(
    "body", ["a: " + "[" * 10**6, "[" * 10**6, '{"a":' * 10**6, "{a: " * 10**6, "- " * 10**6, "? " * 10**6]
)
def test_a_million_levels_are_refused_at_once(body):
    with pytest.raises(OrchestraInputError):
        parse(body)


def test_a_body_has_a_limit():
    assert parse("a: " + "x" * (MAX_BYTES - 3))
    for body in ("a: " + "x" * MAX_BYTES, '{"a": "' + "é" * (MAX_BYTES // 2) + '"}'):
        with pytest.raises(OrchestraInputError) as caught:
            parse(body)
        assert str(caught.value) == (
            "The body has 10.0 MB, and 10 MB is the most: send a path or an address instead of the data itself."
        )


def test_an_interpreter_with_fewer_digits_still_gets_a_sentence():
    code = (
        "import sys; sys.set_int_max_str_digits(1000)\n"
        "from orchestra_magic.client.inputs import parse\n"
        "from orchestra_magic.errors import OrchestraInputError\n"
        "for body in ('a: ' + '9' * 2000, '{\"a\": ' + '9' * 2000 + '}'):\n"
        "    try: parse(body)\n"
        "    except OrchestraInputError as error: print(error.reason)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == 'An integer has 4,300 digits at most: write it as text, "99999…".\n' * 2


def test_no_parser_is_loaded_before_it_is_needed():
    code = (
        "import sys\n"
        "from orchestra_magic.client import inputs, substitution, values\n"
        "assert not {'yaml', 'requests', 'numpy', 'pandas', 'pydantic'} & set(sys.modules)\n"
        "inputs.parse('{\"a\": [1]}')\n"
        "assert 'yaml' not in sys.modules\n"
        "inputs.parse('a: 1')\n"
        "assert 'yaml' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_error_is_of_the_class_that_is_documented():
    with pytest.raises(OrchestraInputError) as caught:
        parse("日本: 語: x")
    assert type(caught.value).__name__ == "OrchestraInputError"
    assert caught.value._render_traceback_()[0].startswith("OrchestraInputError: line 1, column 6: ")
