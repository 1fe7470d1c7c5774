"""Scores of pairs as JSON: {query: {document: score}}."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.errors import DataError
from rankfield.files import MAX_JSON
from rankfield.io.table import Table
from rankfield.paths import read_bytes
from rankfield.unicode_text import SPELT_HALF, decode_utf8, is_blank, refuse_halves

__all__ = ["read_pair_json"]


def read_pair_json(path: Path) -> Table:
    """Read ``{query: {document: number}}``: query_id, doc_id (text), score (float64).

    Raises:
        DataError: no such file, not JSON of this form, a blank name, half of a surrogate pair, a
            name that occurs twice, no finite number; names query and document.
    """
    if not path.is_file():
        raise DataError("there is no such file", where=str(path))
    text = decode_utf8(read_bytes(path, MAX_JSON, DataError), where=str(path), kind=DataError)
    try:
        value = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:  # a number may have thousands of digits
        raise DataError(f"not JSON: {error}", where=str(path)) from error
    if SPELT_HALF.search(text):
        refuse_halves(text, json.loads(text), where=str(path), kind=DataError)
    columns: tuple[list[str], list[str], list[float]] = ([], [], [])
    for query, documents in _members(path, "top level", value):
        place = f"query {query!r}"
        queries, names, scores = columns
        for document, score in _members(path, place, documents):
            names.append(document)
            scores.append(_number(path, f"{place}, document {document!r}", score))
        queries.extend([query] * (len(names) - len(queries)))
    if not columns[0]:
        raise DataError("expected at least one query with a document", where=str(path))
    schema = {"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64}
    return Table.counted(path, pl.DataFrame(columns, schema=schema))


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its members, so that a repeated name is seen."""


def _members(path: Path, place: str, value: object) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, _Pairs):
        raise DataError(
            f"expected an object, found {type(value).__name__}",
            where=f"{path}, {place}",
            remedy='Write {"query": {"document": 1.5}}.',
        )
    seen = set()
    for name, member in value:
        if is_blank(name):
            raise DataError(f"expected an id, found {name!r}", where=f"{path}, {place}")
        if name in seen:
            raise DataError(f"{name!r} occurs twice", where=f"{path}, {place}")
        seen.add(name)
        yield name, member


def _number(path: Path, place: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(value):
                return float(value)
        except OverflowError:  # a whole number of hundreds of digits
            pass
    raise DataError(f"expected a finite number, found {value!r:.60}", where=f"{path}, {place}")
