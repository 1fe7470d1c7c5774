"""Judgments and ranked lists from files of any usual form: TREC, JSON, Parquet, CSV, JSON Lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.errors import DataError
from rankfield.field_values import is_absent
from rankfield.files import MAX_JSON
from rankfield.formats.finite_numbers import finite_numbers
from rankfield.formats.lines import check_pairs
from rankfield.formats.text_files import table_suffix
from rankfield.formats.text_tables import SUFFIXES, TextTable, read_table
from rankfield.formats.trec import qrels_table, run_table
from rankfield.paths import read_bytes
from rankfield.unicode_text import SPELT_HALF, decode_utf8, refuse_halves

__all__ = ["read_judged_pairs", "read_ranked_pairs"]


def read_judged_pairs(path: str | Path) -> pl.DataFrame:
    """Read judgments: query_id, doc_id (text), score (float64), in the file's order.

    The end of the name says the form: ``.json`` holds ``{query: {document: score}}``; ``.parquet``,
    ``.csv``, ``.tsv``, ``.jsonl`` and ``.ndjson`` hold a table with the columns query_id, doc_id,
    score; anything else is TREC's qrels.

    Raises:
        DataError: no such file, a missing column or value, a score that is no finite number, a pair
            judged twice; with file and line.
    """
    path = Path(path)
    table = _json_or_table(path, ("score",))
    return (table or qrels_table(path)).frame.select("query_id", "doc_id", "score")


def read_ranked_pairs(path: str | Path) -> pl.DataFrame:
    """Read ranked lists: query_id, doc_id (text), score (float64), in the file's order.

    Forms as `read_judged_pairs`; anything else is TREC's run. Larger scores rank first; where a
    table has ranks and no scores, the score is −rank. Ranks beside scores are checked and not used,
    as in trec_eval; a rank column with one value throughout is a placeholder.

    Raises:
        DataError: as `read_judged_pairs`, or a rank that one query has twice.
    """
    path = Path(path)
    table = _json_or_table(path, ("score", "rank")) or run_table(path)
    _check_ranks(table)
    frame = table.frame
    if "score" not in frame.columns:
        frame = frame.with_columns(score=-pl.col("rank").cast(pl.Float64))
    return frame.select("query_id", "doc_id", "score")


def _json_or_table(path: Path, numbers: tuple[str, ...]) -> TextTable | None:
    """Return the table of a JSON file or a table file, None of another file.

    `numbers`: columns of which at least one must be there.
    """
    if path.suffix.lower() == ".json":
        return _json_table(path)
    if table_suffix(path) not in SUFFIXES:
        return None
    table = read_table(path)
    present = [name for name in numbers if name in table.frame.columns]
    missing = [name for name in ("query_id", "doc_id") if name not in table.frame.columns]
    if missing or not present:
        raise DataError(
            f"column {' or '.join(missing[:1] or numbers)!r} is missing; "
            f"found {', '.join(table.frame.columns)}",
            where=str(path),
            remedy="Name the columns query_id, doc_id, score.",
        )
    for name in ("query_id", "doc_id"):
        _refuse_empty(table, name)
    frame = table.frame.select(
        pl.col("query_id", "doc_id").cast(pl.String),
        *(finite_numbers(table, name) for name in present),
    )
    table = TextTable(path, frame, table.lines)
    check_pairs(table)
    return table


def _refuse_empty(table: TextTable, column: str) -> None:
    ids = table.frame.select(pl.col(column).cast(pl.String))
    empty = ids.select(is_absent(column, pl.String()))[column]
    if empty.any():
        raise DataError(
            "expected an id, found nothing", where=table.where(int(empty.arg_max() or 0), column)
        )


def _check_ranks(table: TextTable) -> None:
    """Refuse a rank that a query has twice."""
    if "rank" not in table.frame.columns or table.frame["rank"].n_unique() == 1:
        return
    twice = ~table.frame.select(pl.struct("query_id", "rank").is_first_distinct()).to_series()
    if twice.any():
        row = int(twice.arg_max() or 0)
        query, rank = table.frame["query_id"][row], table.frame["rank"][row]
        raise DataError(
            f"the query {query!r} has rank {rank:g} twice",
            where=table.where(row, "rank"),
            remedy="Number each query's documents anew.",
        )


def _json_table(path: Path) -> TextTable:
    """Read ``{query: {document: number}}``; a place is named by its query and document."""
    if not path.is_file():
        raise DataError("there is no such file", where=str(path))
    text = decode_utf8(read_bytes(path, MAX_JSON, DataError), where=str(path), kind=DataError)
    try:
        value = json.loads(text, object_pairs_hook=_Pairs)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"not JSON: {error}", where=str(path)) from error
    if SPELT_HALF.search(text):
        refuse_halves(text, json.loads(text), where=str(path), kind=DataError)
    columns: tuple[list[str], list[str], list[float]] = ([], [], [])
    for query, documents in _members(path, "top level", value):
        place = f"query {query!r}"
        queries, names, scores = columns
        for document, score in _members(path, place, documents):
            names.append(document)
            scores.append(_json_number(path, f"{place}, document {document!r}", score))
        queries.extend([query] * (len(names) - len(queries)))
    if not columns[0]:
        raise DataError("expected at least one query with a document", where=str(path))
    schema = {"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64}
    return TextTable(path, pl.DataFrame(columns, schema=schema), None)


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
        if name in seen:
            raise DataError(f"{name!r} occurs twice", where=f"{path}, {place}")
        seen.add(name)
        yield name, member


def _json_number(path: Path, place: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(value):
                return float(value)
        except OverflowError:  # a whole number of hundreds of digits
            pass
    raise DataError(f"expected a finite number, found {value!r:.60}", where=f"{path}, {place}")
