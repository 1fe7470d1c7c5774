"""One JSON document in a file; every error with its place."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from rankfield.errors import DataError
from rankfield.files import MAX_JSON
from rankfield.parsing import require_shallow
from rankfield.paths import read_bytes
from rankfield.unicode_text import decode_utf8, refuse_halves

__all__ = ["read_json_document", "text_of"]


def read_json_document(path: Path) -> Any:
    """Return what a JSON file holds; numbers keep their spelling as text.

    UTF-8 with or without a byte order mark.

    Raises:
        DataError: no such file, not UTF-8, not valid JSON, a key that occurs twice in an object,
            half of a surrogate pair.
    """
    if not path.is_file():
        raise DataError(
            "there is no such file", where=str(path), remedy="Look at the spelling of its name."
        )
    text = decode_utf8(read_bytes(path, MAX_JSON, DataError), where=str(path), kind=DataError)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            counts = Counter(name for name, _ in items)
            twice = next(name for name, count in counts.items() if count > 1)
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
        value = decoder.decode(text)
        require_shallow(value)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or "Unterminated" in error.msg
        raise DataError(
            f"not valid JSON ({error.msg})"
            + (", a quote is not closed or the file is cut off" if cut else ""),
            where=f"{path}, row {error.lineno}, position {error.colno}",
            remedy="Close the quote, or fetch the file again." if cut else "Fix the file there.",
        ) from None
    except (RecursionError, ValueError):
        raise DataError(
            "the JSON is nested too deep", where=str(path), remedy="Write it flatter."
        ) from None
    refuse_halves(text, value, where=str(path), kind=DataError)
    return value


def text_of(value: Any, where: str) -> str:
    """Return a JSON text or number as text.

    Raises:
        DataError: it is missing, empty or something else.
    """
    if not isinstance(value, str) or not value:
        raise DataError(
            f"expected a text, found {json.dumps(value)[:60] if value is not None else 'nothing'}",
            where=where,
            remedy="Fix the file there.",
        )
    return value
