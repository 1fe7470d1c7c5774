"""Parts of a query as words of a command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from rankfield.errors import InputError

__all__ = ["boost_of_word", "excluded_of_word", "parts_of_words"]

_WEIGHT = re.compile(r":([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)
_BOOST = re.compile(
    r"(?P<field>.+?)(?::(?P<scale>[a-z]\w*)(?:\((?P<pivot>[\d.eE+-]+)\))?)?"
    rf"(?:{_WEIGHT.pattern})?",
    re.DOTALL,
)
_FORM = "WORDS[:WEIGHT], image:PATH[:WEIGHT], like:ID[:WEIGHT] or field:NAME=WORDS[:WEIGHT]"


def parts_of_words(
    words: Iterable[str], read_image: Callable[[str], bytes]
) -> list[dict[str, Any]]:
    """Return parts as JSON holds them, of words such as "red dress:1", image:shoe.jpg:0.6.

    The number after the last colon is the weight, 1 if there is none. Words that begin otherwise
    than they mean are written text:WORDS; those that end in a colon and a number, WORDS:1.

    Args:
        words: WORDS, text:WORDS, image:PATH, like:ID or field:NAME=WORDS, each with a weight or
            without.
        read_image: from a path to the bytes of an image.

    Raises:
        InputError: a word without content.
    """
    found = []
    for word in words:
        content, weight = _weighed(word)
        part = _part(content, word, read_image)
        found.append(part if weight is None else part | {"weight": weight})
    return found


def excluded_of_word(word: str, read_image: Callable[[str], bytes]) -> dict[str, Any]:
    """Return what to exclude as JSON holds it, of a word whose last number is the threshold.

    Raises:
        InputError: no threshold.
    """
    content, above = _weighed(word)
    if above is None:
        raise InputError(
            f"expected a similarity after the last colon, found {word!r}",
            where="exclude",
            remedy="Documents above it are left out: 'polka dots:0.4'.",
        )
    return _part(content, word, read_image) | {"above": above}


def boost_of_word(word: str) -> dict[str, Any]:
    """Return a boost as JSON holds it, of FIELD[:SCALE[(PIVOT)]][:WEIGHT].

    Raises:
        InputError: another form.
    """
    match = _BOOST.fullmatch(word)
    if match is None:
        raise InputError(
            f"expected FIELD[:SCALE[(PIVOT)]][:WEIGHT], found {word!r}",
            where="boost",
            remedy="For instance sales:log1p:0.1 or added:reciprocal_age(30):0.2.",
        )
    found: dict[str, Any] = {"field": match["field"]}
    if match["scale"]:
        found["scale"] = match["scale"]
    for key, text in (("pivot", match["pivot"]), ("weight", match[4])):
        if text:
            try:
                found[key] = float(text)
            except ValueError:
                raise InputError(f"{key}: no number, found {text!r}", where="boost") from None
    return found


def _weighed(word: str) -> tuple[str, float | None]:
    content, colon, number = word.rpartition(":")
    if colon and _WEIGHT.fullmatch(colon + number):
        return content, float(number)
    return word, None


def _part(content: str, word: str, read_image: Callable[[str], bytes]) -> dict[str, Any]:
    kind, _, rest = content.partition(":")
    name, equals, text = rest.partition("=")
    if kind == "field" and equals and name and text:
        return {"fields": {name: text}}
    if kind in ("image", "like", "text") and rest:
        return {kind: read_image(rest) if kind == "image" else rest}
    if (kind in ("image", "like", "text", "field") and ":" in content) or not content.strip():
        raise InputError(f"expected {_FORM}, found {word!r}", where="query")
    return {"text": content}
