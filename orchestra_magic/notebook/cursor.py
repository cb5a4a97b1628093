"""What is being typed at the cursor of a cell: text in, a place out. Nothing is looked up here."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAGIC = re.compile(r"\s*(?:(?:[\w.,\s\[\]*]+=\s*)?(%%?)(orchestra_\w+)(?=\s)|(orchestra_\w+)(?=\s)(?!\s*=))")
_PIECE = re.compile(r"""[^\s"']+|"[^"]*"?|'[^']*'?|\s+""")
_VARIABLE = re.compile(
    r"""(?<!\$)(?:\$\$)*(\$(\{?)(?:([^\W\d]\w*)(?:((?:\.\w+|\[[^\[\]\n]+\])*)(\.(?=\w*\Z)|\[)([^\[\]{}$"'\n]*))?)?)\Z"""
)
# Where a value begins: only there may a dollar go without braces.
_VALUE = re.compile(
    r"""(?::(?:\s+|\s*(?=["']))|[\[{]\s*|^\s*-\s+|[\[{].*,\s*|,\s*(?=["'])|^\s*(?=["']))["']?\Z""", re.DOTALL
)
_JSON = re.compile(r'\s*\{\s*(?:"|\Z)')
_JSON_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)("|\\?\Z)|[{}\[\],:]', re.DOTALL)
_JSON_KEY = re.compile(r'"([^"\\\n]*)"\s*:')
_YAML_TYPED = re.compile(r"""\"?[^\s:#"'\[\]{},&*!|>%@`$-][^:#"'$]*|\"?""")
_YAML_KEY = re.compile(
    r"""^(?:"([^"\\\n]*)"|'([^'\n]*)'|([^\s#"':-](?:[^:\n]|:(?=\S))*?))[ \t]*:(?=\s|\Z)""", re.MULTILINE
)


@dataclass(frozen=True)
class Word:
    """A word on the line of a magic.

    Attributes
    ----------
    magic : str
        The magic's name without percent signs.
    of_cell : bool
        Whether two of them stand before it.
    before, after : tuple of str
        The other words of the line, without their quotes.
    typed : str
        The word as it was typed so far: maybe empty, maybe with a quote that is still open.
    """

    magic: str
    of_cell: bool
    before: tuple[str, ...]
    after: tuple[str, ...]
    typed: str


@dataclass(frozen=True)
class Inside:
    """A place in the body of a cell, with the words of its first line and the body around the cursor."""

    magic: str
    words: tuple[str, ...]
    before: str
    after: str


@dataclass(frozen=True)
class Key:
    """The name of an input: what was typed of it, what ends it, and which others stand in the body."""

    typed: str
    quoted: bool
    ending: str
    others: frozenset[str]


@dataclass(frozen=True)
class Variable:
    """A variable behind a dollar.

    Attributes
    ----------
    typed : str
        All of it, or the last step of its path alone.
    name, steps : str
        What the last step looks into; empty where the name itself is being typed.
    end : str
        What comes after the whole: a brace, a bracket or nothing.
    braced : bool
        Whether a name takes braces: it has one, or stands in longer text.
    """

    typed: str
    name: str = ""
    steps: str = ""
    end: str = ""
    braced: bool = False


def place(cell: str, row: int, column: int) -> Word | Inside | None:
    """Return where the cursor stands, None where that is no affair of ours. ``row`` counts from 0."""
    lines = cell.split("\n")
    told = (number for number, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#"))
    first = next(told, row)
    line, rest = lines[row][:column], lines[row][column:]
    head = _MAGIC.match(lines[first] + " ")
    if head and head[1] == "%%" and row > first:
        before = "\n".join([*lines[first + 1 : row], line])
        return Inside(head[2], tuple(words(lines[first][head.end() :])), before, "\n".join([rest, *lines[row + 1 :]]))
    here = _MAGIC.match(line)
    if not here or (here[1] == "%%" and row != first):
        return None
    pieces = _pieces(line[here.end() :])
    # A blank at the end belongs to the last word where its quote is open.
    typed = pieces.pop() if pieces and (not line[-1].isspace() or _open(pieces[-1])) else ""
    later = words(rest)[0 if rest[:1].isspace() else 1 :]
    return Word(here[2] or here[3], here[1] == "%%", tuple(map(bare, pieces)), tuple(later), typed)


def words(line: str) -> list[str]:
    """Split a line, which may be half typed, as the magics do."""
    return [bare(piece) for piece in _pieces(line)]


def bare(word: str) -> str:
    """Return a word without its quotes."""
    parts = _PIECE.findall(word)
    return "".join(part.strip(part[0]) if part[0] in "\"'" else part for part in parts)


def _pieces(line: str) -> list[str]:
    found = [""]
    for part in _PIECE.findall(line):
        if part.isspace():
            found.append("")
        else:
            found[-1] += part
    return [piece for piece in found if piece]


def _open(word: str) -> bool:
    last = _PIECE.findall(word)[-1]
    return last[0] in "\"'" and (len(last) == 1 or last[-1] != last[0])


def variable(before: str, after: str) -> Variable | None:
    """Return the variable that is being typed at the end of ``before``, None where none is."""
    line = before.rpartition("\n")[2]
    found = _VARIABLE.search(line)
    if not found:
        return None
    whole, brace, name, steps, step, last = found.groups()
    braced = bool(brace) or not _VALUE.search(line[: found.start(1)][-500:])
    if step == "[":
        return Variable(last, name, steps, "" if after.startswith("]") else "]") if brace or not braced else None
    if step:
        return Variable(last, name, steps) if brace or not braced else None
    return Variable(whole, end="}" if braced and not after.startswith("}") else "", braced=braced)


def key(before: str, after: str, form: str = "auto") -> Key | None:
    """Return the name of an input that is being typed at the end of ``before``, at the top level alone."""
    if form == "json" or (form == "auto" and _JSON.match(before)):
        return _json_key(before, after)
    above, _, line = before.rpartition("\n")
    if before.lstrip()[:1] in {"{", "["} or not _YAML_TYPED.fullmatch(line):
        return None
    rest, _, below = after.partition("\n")
    others = {"".join(names) for names in _YAML_KEY.findall(f"{above}\n{below}")}
    return Key(line, line.startswith('"'), _ending(rest, quoted=line.startswith('"')), frozenset(others))


def _json_key(before: str, after: str) -> Key | None:
    open_ones, last, end, typed = [""], "", 0, ""
    keys: set[str] = set()
    for token in _JSON_TOKEN.finditer(before):
        text = token[0]
        if text[0] == '"' and token[2] != '"':
            typed, end = text, len(before)
            break
        if text in {"{", "["}:
            open_ones.append(text)
        elif text in {"}", "]"}:
            open_ones = open_ones[:-1] or [""]
        elif text == ":" and len(open_ones) == 2:
            keys.add(last[1:-1])
        last, end = text, token.end()
    if open_ones != ["", "{"] or last not in {"{", ","} or before[end:].strip():
        return None
    ending = _ending(after if typed else "", quoted=True)
    return Key(typed, quoted=True, ending=ending, others=frozenset(keys | set(_JSON_KEY.findall(after))))


def _ending(rest: str, *, quoted: bool) -> str:
    """Return what ends a key before ``rest``: some editors close a quote as soon as it is opened."""
    if quoted and rest.startswith('"'):
        return ""
    return ('"' if quoted else "") + ("" if rest.lstrip(" ").startswith(":") else ": ")
