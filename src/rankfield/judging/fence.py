"""What is judged stays between its tags, whatever it says."""

from __future__ import annotations

import re

__all__ = ["fenced", "imitates_prompt"]

_GAP = r"[\s\u00ad\u200b-\u200f\u2060-\u2064\ufeff]{0,3}"
"""Nothing, space, or signs without width: a model may read over them."""
_TAGS = "|".join(_GAP.join(name) for name in ("query", "document"))
_TAG = re.compile(
    rf"[<\uff1c\ufe64\u2039\u27e8\u3008](?={_GAP}[/\uff0f\u2044\u2215]?{_GAP}(?:{_TAGS}))",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"\bgrade[\"']\s{0,20}:", re.IGNORECASE)


def fenced(text: str) -> str:
    """Return a text of the data set in which no tag of the prompt begins: its < is ``&lt;``.

    A text without such tags is left as it is, other signs < too.
    """
    return _TAG.sub("&lt;", text)


def imitates_prompt(text: str) -> bool:
    """Return whether a text has tags as those of the prompt, or an answer with a grade."""
    return bool(_TAG.search(text) or _ANSWER.search(text))
