"""One JSON document in a file; every error with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rankfield.errors import DataError
from rankfield.formats.text_files import not_utf8

__all__ = ["read_json_document", "text_of"]


def read_json_document(path: Path) -> Any:
    """Return what a JSON file holds; numbers keep their spelling as text.

    UTF-8 with or without a byte order mark.

    Raises:
        DataError: no such file, not UTF-8, not valid JSON, a key that occurs twice in an object.
    """
    text = _decoded(path)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(
                f"the key {twice!r} occurs twice in one object",
                where=str(path),
                remedy="Keep one of them.",
            )
        return found

    decoder = json.JSONDecoder(
        parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=pairs
    )
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or "Unterminated" in error.msg
        raise DataError(
            f"not valid JSON ({error.msg})"
            + (", a quote is not closed or the file is cut off" if cut else ""),
            where=f"{path}, row {error.lineno}, position {error.colno}",
            remedy="Close the quote, or fetch the file again." if cut else "Mend the file there.",
        ) from None
    except RecursionError:
        raise DataError(
            "the JSON is nested too deep", where=str(path), remedy="Write it flatter."
        ) from None


def _decoded(path: Path) -> str:
    if not path.is_file():
        raise DataError(
            "there is no such file", where=str(path), remedy="Look at the spelling of its name."
        )
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise not_utf8(path) from None


def text_of(value: Any, where: str) -> str:
    """Return a JSON text or number as text.

    Raises:
        DataError: it is missing, empty or something else.
    """
    if not isinstance(value, str) or not value:
        raise DataError(
            f"expected a text, found {json.dumps(value)[:60] if value is not None else 'nothing'}",
            where=where,
            remedy="Mend the file there.",
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DataError(
            "half of a surrogate pair is no text", where=where, remedy="Mend the file there."
        ) from None
    return value
