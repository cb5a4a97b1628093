"""BERT's WordPiece in plain Python: texts become the numbers that MiniLM was trained on.

The vocabulary beside this file is that of ``bert-base-uncased`` (Google, Apache License 2.0; see its licence file).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources

VOCABULARY = "bert-base-uncased-vocab.txt"
_UNKNOWN, _BEGIN, _END = "[UNK]", "[CLS]", "[SEP]"
_LONGEST_WORD = 100
_CJK = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xF900, 0xFAFF), (0x20000, 0x2FA1F))
_SPACE, _SPACES, _ACCENT = " ", "\t\n\r", "Mn"
_ASCII = dict.fromkeys([*range(32), 127]) | dict.fromkeys(map(ord, _SPACES), _SPACE)
_ASCII_PUNCTUATION = ((33, 47), (58, 64), (91, 96), (123, 126))


def words(text: str) -> Iterator[str]:
    """Yield the words of ``text`` without case and accents; punctuation and each CJK character is one of its own."""
    word: list[str] = []
    for character in _plain(text):
        alone = character != " " and _is_alone(character)
        if alone or character == " ":
            if word:
                yield "".join(word)
                word.clear()
            if alone:
                yield character
        else:
            word.append(character)
    if word:
        yield "".join(word)


def _plain(text: str) -> str:
    """Return ``text`` without case, accents and control characters."""
    if text.isascii():
        return text.lower().translate(_ASCII)
    kept = "".join(_SPACE if one in _SPACES or kind == "Zs" else one for one, kind in _kinds(text) if _stays(one, kind))
    bare = "".join(one for one, kind in _kinds(unicodedata.normalize("NFD", kept)) if kind != _ACCENT)
    return "".join(one for one, kind in _kinds(bare.lower()) if kind != _ACCENT)


def _kinds(text: str) -> Iterator[tuple[str, str]]:
    return ((character, unicodedata.category(character)) for character in text)


def _stays(character: str, kind: str) -> bool:
    return character in _SPACES or (kind not in ("Cc", "Cf", "Co", "Cn") and character != "\ufffd")


@lru_cache(maxsize=1 << 16)
def _is_alone(character: str) -> bool:
    number = ord(character)
    if any(low <= number <= high for low, high in (*_ASCII_PUNCTUATION, *_CJK)):
        return True
    return unicodedata.category(character).startswith("P")


class WordPiece:
    """Encodes texts by the vocabulary of ``bert-base-uncased``."""

    def __init__(self) -> None:
        lines = resources.files(__package__).joinpath(VOCABULARY).read_text(encoding="utf-8")
        self._numbers = {word: number for number, word in enumerate(lines.splitlines())}
        self._known: dict[str, list[int]] = {}

    def encode(self, text: str, most: int) -> list[int]:
        """Return the numbers of ``text``, those of its begin and end included, ``most`` at most."""
        found: list[int] = []
        for word in words(text):
            found += self._pieces(word)
            if len(found) > most:
                break
        return [self._numbers[_BEGIN], *found[: most - 2], self._numbers[_END]]

    def windows(self, text: str, size: int, most: int) -> list[list[int]]:
        """Return the numbers of ``text`` in up to ``most`` parts, none longer than ``size``, each as :meth:`encode`."""
        step = size - 2
        begin, *found, end = self.encode(text, most * step + 2)
        return [[begin, *found[first : first + step], end] for first in range(0, max(1, len(found)), step)]

    def _pieces(self, word: str) -> list[int]:
        known = self._known.get(word)
        if known is None:
            known = self._known[word] = self._cut(word)
        return known

    def _cut(self, word: str) -> list[int]:
        unknown = [self._numbers[_UNKNOWN]]
        if len(word) > _LONGEST_WORD:
            return unknown
        pieces: list[int] = []
        begin = 0
        while begin < len(word):
            prefix = "##" if begin else ""
            ends = range(len(word), begin, -1)
            end = next((one for one in ends if prefix + word[begin:one] in self._numbers), None)
            if end is None:
                return unknown
            pieces.append(self._numbers[prefix + word[begin:end]])
            begin = end
        return pieces
