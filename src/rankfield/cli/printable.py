"""Texts of others, made safe to show on a terminal."""

from __future__ import annotations

import re

__all__ = ["printable"]

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Return `text` with control characters, other than line breaks and tabs, written as escapes.

    A server's answer or a document could otherwise move the cursor, rename the window, or turn the
    direction of what follows: ESC becomes ``\x1b``.
    """
    return _UNSAFE.sub(lambda match: ascii(match[0])[1:-1], text)
