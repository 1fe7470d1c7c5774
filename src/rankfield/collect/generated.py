"""Queries that a language model writes for a category."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from rankfield.collect.categories import LONGEST_FILE, Category
from rankfield.errors import InputError
from rankfield.paths import read_bytes
from rankfield.web import Answer, Request, RequestError
from rankfield.web.chat import ChatEndpoint

__all__ = ["generation_request", "parse_queries", "prompt_text", "queries_in"]

_PROMPT = """\
You know how people search in a shop. Write {count} different search queries that shoppers type when
they look for products of this category:

{category}

Mix short and long ones, plain and specific ones (colour, material, size, occasion, price, brand
style), as people type them. Answer with a JSON array of strings and nothing else.
"""
_LONGEST = 200
_LONGEST_ANSWER = 50_000
_ARRAY = re.compile(r"\[(?=\s*[^\[\s])")


def prompt_text(file: str) -> str:
    """Return the prompt in a file, or the built-in one where `file` is "".

    Raises:
        InputError: it cannot be read, or has no {category}.
    """
    if not file:
        return _PROMPT
    try:
        text = read_bytes(Path(file), LONGEST_FILE).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the prompt cannot be read ({error})", where=file) from None
    if "{category}" not in text:
        raise InputError(
            "the prompt has no {category}: every category would be asked the same",
            where=file,
            remedy="Write {category} where its names belong, and {count} for how many queries.",
        )
    return text


def generation_request(
    endpoint: ChatEndpoint, prompt: str, category: Category, count: int
) -> Request:
    """Return the request for `count` queries of a category."""
    text = prompt.replace("{category}", " > ".join(category)).replace("{count}", str(count))
    return endpoint.request([{"role": "user", "content": text}])


def parse_queries(answer: Answer) -> list[str]:
    """Return the queries that the model wrote.

    Raises:
        RequestError: there is none; the next answer may have some.
    """
    text = ChatEndpoint.parse(answer).text
    queries = queries_in(text)
    if not queries:
        raise RequestError(
            f"expected a JSON array of queries from the model, found {text[:80]!r}", passing=True
        )
    return queries


def queries_in(text: str) -> list[str]:
    """Return the usable queries in what a model wrote, in order.

    The first JSON array of texts, or of tables with a "query", counts, wherever it stands: models
    put words, code fences or a table {"queries": […]} around it. Blank, many-lined and overlong
    (over 200 characters) ones are dropped.
    """
    text = text[:_LONGEST_ANSWER]
    decoder = json.JSONDecoder()
    for start in _ARRAY.finditer(text):
        try:
            value, _ = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        if found := [q for q in map(_query, value) if q]:
            return found
    return []


def _query(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("query")
    if not isinstance(value, str) or "\n" in value.strip():
        return None
    text = " ".join(value.encode("utf-8", "ignore").decode().split())
    return text if text and len(text) <= _LONGEST else None
