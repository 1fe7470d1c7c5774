"""What is text: UTF-8, no half of a surrogate pair, and something in it that can be seen."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from rankfield.errors import InputError

__all__ = [
    "HALF",
    "NOT_BLANK",
    "SPELT_HALF",
    "decode_utf8",
    "half_surrogate",
    "is_blank",
    "refuse_halves",
    "wrong_byte",
]

HALF = "half of a surrogate pair is no text"
"""What a message says where JSON spells one, such as "\\ud83d" without what follows it."""

SPELT_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""Finds where JSON text may spell a surrogate; few files do, and only these need a closer look."""

E = TypeVar("E", bound=InputError)

_INVISIBLE = (
    *((0x00, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160)),
    *((0x1680, 0x1680), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F)),
    *((0x205F, 0x206F), (0x2800, 0x2800), (0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F)),
    *((0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0xE0000, 0xE0FFF)),
)
_CLASS = "".join(f"{re.escape(chr(a))}-{re.escape(chr(b))}" for a, b in _INVISIBLE)
NOT_BLANK = f"[^{_CLASS}]"
"""A pattern, of Python and of polars, that finds the first character that can be seen.

Not seen are white space, controls, zero-width and format characters, variation selectors and
blank letters: what Unicode calls Default_Ignorable_Code_Point, and blanks.
"""

_NOT_BLANK = re.compile(NOT_BLANK)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode_utf8(
    data: bytes, *, where: str, kind: type[InputError] = InputError, form: str = ""
) -> str:
    """Return UTF-8 bytes as text, without a byte order mark; `form` is what they should be.

    Raises:
        InputError: they are UTF-16, or no UTF-8; names the first wrong byte and its row. It is of
            the class `kind`.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # counted in what was decoded, which has no byte order mark
        before, line = error.object[: error.start], error.object[error.start :]
        row, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise wrong_byte(line, f"{where}, row {row}", column, kind=kind, form=form) from None


def wrong_byte(found: bytes, where: str, column: int, *, kind: type[E], form: str = "") -> E:
    """Return the error for bytes that are not UTF-8, of which `found` begins with the wrong one."""
    utf16 = column == 1 and found.startswith(_UTF16)
    problem = f"not UTF-8: byte {found[0]:#04x} at position {column}"
    problem += ": the file is UTF-16, as PowerShell's > writes it" if utf16 else ""
    return kind(
        f"not valid {form} ({problem})" if form else problem,
        where=where,
        remedy="Save the file as UTF-8; a command's own --out writes that."
        if utf16
        else "Save the file as UTF-8.",
    )


def is_blank(text: str) -> bool:
    """Return whether there is nothing to see in a text."""
    return _NOT_BLANK.search(text) is None


def half_surrogate(value: Any) -> str | None:
    """Return where in a JSON value there is half of a surrogate pair, or None.

    The place is spelt as "requests[0].id"; "" is the value itself.
    """
    return next(_halves(value, ""), None)


def refuse_halves(
    text: str, value: Any, *, where: str, kind: type[InputError] = InputError
) -> None:
    """Look for half of a surrogate pair, which JSON may spell and nothing can store.

    Args:
        text: the JSON text, which says whether a closer look is needed.
        value: what it holds.
        where: the file, for the message.
        kind: of the error.

    Raises:
        InputError: there is one; names its place.
    """
    if SPELT_HALF.search(text) and (place := half_surrogate(value)) is not None:
        found = f"{place}: {HALF}" if place else HALF
        raise kind(
            f"not valid JSON ({found})",
            where=where,
            remedy="Fix the text: a whole character of this kind is spelt as two such halves.",
        )


def _halves(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            yield place
    elif isinstance(value, dict):
        for key, inner in value.items():
            if _SURROGATE.search(key):
                yield f"{place}, the key {key!r}" if place else f"the key {key!r}"
            yield from _halves(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _halves(inner, f"{place}[{i}]")
