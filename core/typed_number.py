"""Numbers as people type them: with comma or point, in the digits of any script, never grouped.

The same text is the same number in every locale, so that a setting that is copied from one
computer to another does not become a thousand times bigger (faults U8).
"""

from __future__ import annotations

import re
import unicodedata

# The decimal mark of Arabic and Persian, and the minus of Swedish and others.
_SAME = {"\u066b": ".", "\u2212": "-"}
# Marks of direction, which numbers pasted from a page in Arabic or Hebrew carry.
_UNSEEN = "\u200e\u200f\u061c"
# float() also takes 1_000, nan and words for infinity, which no field means.
_LETTERS = frozenset("0123456789.,-+eE")
# 1.000 and 1,000 are a thousand to some and one to others.
_LIKE_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")


def plain_text(text: str) -> str:
    """Return ``text`` in ASCII digits, with a point for its one decimal comma.

    What else it holds stays as it is: letters, and the marks between groups of digits.
    """
    text = "".join(_plain(letter) for letter in text if letter not in _UNSEEN).strip()
    return text.replace(",", ".") if text.count(",") == 1 and "." not in text else text


def is_typing(text: str) -> bool:
    """Tell whether ``text`` has nothing in it that no number has."""
    return set(plain_text(text)) <= _LETTERS


def read_number(text: str) -> float:
    """Return the number that ``text`` says.

    Raises
    ------
    ValueError
        If it is none, or has marks between groups of digits.
    """
    plain = plain_text(text)
    if not set(plain) <= _LETTERS:
        raise ValueError(text)
    return float(plain)


def read_whole_number(text: str) -> int:
    """Return the whole number that ``text`` says, as ``20``, ``20.0`` or ``2e1``.

    Raises
    ------
    ValueError
        If it is none, or could be one of two: ``1.000`` is one, or a thousand.
    """
    value = read_number(text)
    if looks_grouped(text) or not value.is_integer():
        raise ValueError(text)
    return int(value)


def looks_grouped(text: str) -> bool:
    """Tell whether ``text`` is a thousand or more where its mark stands between groups."""
    ascii_text = "".join(_plain(letter) for letter in text if letter not in _UNSEEN).strip()
    return _LIKE_GROUPS.fullmatch(ascii_text) is not None


def _plain(letter: str) -> str:
    digit = unicodedata.decimal(letter, None)
    return _SAME.get(letter, letter) if digit is None else str(digit)
