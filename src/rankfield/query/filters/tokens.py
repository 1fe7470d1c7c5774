"""The words, signs and constants of a filter, each with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rankfield.errors import InputError
from rankfield.query.filters.tree import Scalar
from rankfield.unicode_text import HALF, half_surrogate

__all__ = ["MAX_LENGTH", "Token", "filter_error", "tokens_of"]

MAX_LENGTH = 10_000
"""Characters of a filter."""

_EXCERPT = 24
_LARGEST = 2**63
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
    |(?P<word>[^\W\d]\w*)
    |(?P<sign><=|>=|<>|!=|==|[=<>(),])""",
    re.VERBOSE,
)
_SAME = {"==": "=", "<>": "!="}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a filter.

    kind: "word", "quoted" (a name in quotes), "constant", "sign" or "end".
    text: as it stands; a sign in its usual form, a quoted name without its quotes.
    at: where it begins, from 0.
    value: of a constant.
    """

    kind: Literal["word", "quoted", "constant", "sign", "end"]
    text: str
    at: int
    value: Scalar = ""


def filter_error(text: str, at: int, problem: str, remedy: str = "") -> InputError:
    """Return the error of a place in a filter; characters are counted from 1."""
    rest = text[at : at + _EXCERPT] + ("…" if len(text) > at + _EXCERPT else "")
    place = f", at {rest!r}" if rest else ", its end"
    return InputError(problem, where=f"filter, character {at + 1}{place}", remedy=remedy)


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a filter, and one for its end.

    Raises:
        InputError: too long, or a character, string or number that is none.
    """
    if len(text) > MAX_LENGTH:
        raise InputError(
            f"expected at most {MAX_LENGTH:,} characters, found {len(text):,}", where="filter"
        )
    if half_surrogate(text) is not None:
        raise InputError(HALF, where="filter")
    return [*_tokens(text), Token("end", "", len(text))]


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unknown(text, at)
        found, kind = match[0], match.lastgroup
        if kind == "number":
            yield Token("constant", found, at, _number(text, at, found))
        elif kind == "string":
            yield Token("constant", found, at, found[1:-1].replace("''", "'"))
        elif kind == "quoted":
            quote = found[0]
            yield Token("quoted", found[1:-1].replace(quote * 2, quote), at)
        elif kind == "word":
            yield Token("word", found, at)
        elif kind == "sign":
            yield Token("sign", _SAME.get(found, found), at)
        at = match.end()


def _number(text: str, at: int, found: str) -> int | float:
    whole = found.lstrip("+-").isdigit()
    # Beyond these no column can reach; Python refuses to read thousands of digits.
    if whole and len(found) <= 20 and -_LARGEST <= int(found) < _LARGEST:
        return int(found)
    if whole or not math.isfinite(float(found)):
        raise filter_error(text, at, "the number is too large", "Numbers have up to 64 bits.")
    return float(found)


def _unknown(text: str, at: int) -> InputError:
    sign = text[at]
    if sign in "'\"`":
        what = "string" if sign == "'" else "name"
        return filter_error(
            text, at, f"the {what} does not end", f"Close it; {sign} in it is written {sign * 2}."
        )
    if sign.isdigit() or sign in "+-.":
        return filter_error(text, at, "expected a number", "A string stands in 'single quotes'.")
    return filter_error(
        text, at, f"a filter has no {sign!r}", "A string stands in 'single quotes'."
    )
