"""Scanning of text with tags, in time linear in its length whatever is in it.

Expressions such as ``<(\\w+)>(.*?)</\\1>`` look from every opening tag to the end of the file for a
closing one that is missing: 140 KB of "<topic " took a quarter of a minute.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

__all__ = ["attributes", "cdata_parts", "elements", "without_comments", "without_tags"]

_OPENING = re.compile(r"<(\w+)(?=[\s>])")
_CLOSING = re.compile(r"</(\w+)\s*>")
_PLAIN_OPENING = re.compile(r"<(\w+)(?=>)")
_PLAIN_CLOSING = re.compile(r"</(\w+)>")
_VALUE = re.compile(r"""=\s*["']([^"']*)["']""")
_COMMENT = ("<!--", "-->")
_CDATA = ("<![CDATA[", "]]>")


def elements(text: str, *, plain: bool = False) -> Iterator[tuple[str, str]]:
    """Yield name and content of each element from left to right, none within another.

    An element goes from ``<name …>`` to the first ``</name>`` after it; opening tags without one,
    and ``<name … />``, are passed over.

    Args:
        text: any text.
        plain: only tags without attributes and blanks count.
    """
    closing: dict[str, tuple[list[int], list[int]]] = {}
    for match in (_PLAIN_CLOSING if plain else _CLOSING).finditer(text):
        starts, ends = closing.setdefault(match[1], ([], []))
        starts.append(match.start())
        ends.append(match.end())
    done, end_of_tag = 0, -1
    for match in (_PLAIN_OPENING if plain else _OPENING).finditer(text):
        if match.start() < done:
            continue
        if end_of_tag < match.end():
            end_of_tag = text.find(">", match.end())
            if end_of_tag < 0:
                return
        starts, ends = closing.get(match[1], ([], []))
        place = bisect_left(starts, end_of_tag + 1)
        if text[end_of_tag - 1] == "/" or place == len(starts):
            continue
        yield match[1], text[end_of_tag + 1 : starts[place]]
        done = ends[place]


def attributes(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of each ``name="value"``."""
    at, done = 0, 0
    while match := _VALUE.search(text, at):
        head = text[done : match.start()].rstrip()
        start = len(head)
        while start and (head[start - 1].isalnum() or head[start - 1] == "_"):
            start -= 1
        if start == len(head):  # no name: the value may hold an attribute
            at = done = match.start() + 1
            continue
        yield head[start:], match[1]
        at = done = match.end()


def without_comments(text: str) -> str:
    """Return the text with blanks in place of ``<!-- … -->``: places stay what they are."""
    parts = _enclosed(text, *_COMMENT)
    sizes = len("".join(_COMMENT))
    return "".join(" " * (len(p) + sizes) if i % 2 else p for i, p in enumerate(parts))


def cdata_parts(text: str) -> list[str]:
    """Return the text in parts, every other one (the second, the fourth, …) what stood in CDATA."""
    return _enclosed(text, *_CDATA)


def without_tags(text: str) -> str:
    """Return the text with a blank in place of each ``<…>``."""
    return " ".join(_enclosed(text, "<", ">")[::2])


def _enclosed(text: str, opening: str, closing: str) -> list[str]:
    """Divide a text at what opening and closing enclose; every other part was inside."""
    parts: list[str] = []
    at = 0
    while (start := text.find(opening, at)) >= 0:
        end = text.find(closing, start + len(opening))
        if end < 0:
            break
        parts += [text[at:start], text[start + len(opening) : end]]
        at = end + len(closing)
    return [*parts, text[at:]]
