"""Judgments and ranked lists from files of any usual form: TREC, JSON, Parquet, CSV, JSON Lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.column_names import DOC_IDS, QUERY_IDS, SCORES, find_column, quoted_names
from rankfield.errors import DataError
from rankfield.field_values import is_absent
from rankfield.files import MAX_JSON
from rankfield.formats.checks import check_pairs
from rankfield.formats.own_tables import refuse_rankings, without_judged_score
from rankfield.formats.trec.runs import qrels_table, run_table
from rankfield.io.delimited import DELIMITERS
from rankfield.io.lines import read_lines, split_lines
from rankfield.io.numbers import finite_numbers
from rankfield.io.table import Table
from rankfield.io.tables import SUFFIXES, read_table
from rankfield.io.text import table_suffix
from rankfield.paths import read_bytes
from rankfield.unicode_text import SPELT_HALF, decode_utf8, is_blank, refuse_halves

__all__ = [
    "SPLIT",
    "has_splits",
    "pairs_of",
    "read_judged_pairs",
    "read_pair_json",
    "read_pair_table",
    "read_ranked_pairs",
]

_PAIR = ["query_id", "doc_id", "score"]


def read_judged_pairs(path: str | Path, *, split: str | None = None) -> pl.DataFrame:
    """Read judgments: query_id, doc_id (text), score (float64), in the file's order.

    The end of the name says the form: ``.json`` holds ``{query: {document: score}}``; ``.parquet``,
    ``.csv``, ``.tsv``, ``.jsonl`` and ``.ndjson`` hold a table with the columns query_id, doc_id,
    score, or the names that `rankfield import` takes for these, as BEIR's query-id and corpus-id;
    anything else is TREC's qrels, or a table delimited by blanks or tabs if its first line is a
    header.

    Args:
        path: the file.
        split: read only rows of this split, where the table has a column `split`.

    Raises:
        DataError: no such file, no header, a missing column or value, a score that is no finite
            number, a pair judged twice, the rankings of an evaluation; with file and line.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        return read_pair_json(path).frame
    table = read_pair_table(path)
    if table is None:
        return qrels_table(path).frame.select(_PAIR)
    refuse_rankings(table)
    table = pairs_of(table, [SCORES], split=split)
    check_pairs(table)
    return table.frame.select(_PAIR)


def read_ranked_pairs(path: str | Path, *, split: str | None = None) -> pl.DataFrame:
    """Read ranked lists: query_id, doc_id (text), score (float64), in the file's order.

    Forms and arguments as `read_judged_pairs`; anything else is TREC's run. Larger scores rank
    first; where a table has ranks and no scores, the score is −rank, and where it has a similarity
    alone, that. Ranks beside scores are checked and not used, as in trec_eval; a rank column with
    one value throughout is a placeholder. The rankings that `rankfield evaluate` writes go by
    their ranks.

    Raises:
        DataError: as `read_judged_pairs`, a rank that one query has twice, a query that has
            lists in several splits, or hard negatives.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        return read_pair_json(path).frame
    table = read_pair_table(path)
    if table is None:
        table = run_table(path)
    else:
        table = without_judged_score(table)
        table = pairs_of(table, [("score",), ("rank",), ("similarity",)], split=split)
        _refuse_several_splits(table)
        check_pairs(table)
    _check_ranks(table)
    frame = table.frame
    if "score" not in frame.columns:
        usual = "rank" in frame.columns
        score = -pl.col("rank").cast(pl.Float64) if usual else pl.col("similarity")
        frame = frame.with_columns(score=score)
    return frame.select(_PAIR)


def has_splits(path: str | Path) -> bool:
    """Return whether a file is a table with a column `split`."""
    path = Path(path)
    if path.suffix.lower() == ".json":
        return False
    table = read_pair_table(path)
    return table is not None and SPLIT in table.columns


def _refuse_several_splits(table: Table) -> None:
    if SPLIT not in table.columns:
        return
    lists = table.frame.select("query_id", SPLIT).unique()
    several = lists.filter(pl.col("query_id").is_duplicated()).sort("query_id", SPLIT)
    if several.height:
        query = several["query_id"][0]
        names = several.filter(query_id=query)[SPLIT].cast(pl.String).to_list()
        raise DataError(
            f"the query {query!r} has lists in several splits, {quoted_names(names)}",
            where=str(table.path),
            remedy=f"Measure one of them: --split {names[0]}.",
        )


def _check_ranks(table: Table) -> None:
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
            remedy="Number each query's documents again.",
        )


SPLIT = "split"
"""The column of the tables that rankfield writes which says of which split a row is."""

_QUERIES = (*QUERY_IDS, "q_id", "query")
_TREC = {4: 3, 6: 4}
"""Columns of TREC's qrels and run files, and the place of the score among them."""


def read_pair_table(path: Path) -> Table | None:
    """Return the table of a file with a header, None of a file in TREC's form.

    The end of the name says what a table is; but MS MARCO's .tsv are TREC's qrels without a
    header, and others' .txt have one.

    Raises:
        DataError: no such file, or a table without a header; with what to do.
    """
    if table_suffix(path) not in SUFFIXES:
        return _blank_delimited(path) if path.is_file() else None
    if (delimiter := DELIMITERS.get(table_suffix(path))) is None or not path.is_file():
        return read_table(path)
    first = read_lines(path, head=1).frame["text"][0]
    words = [word.strip().strip('"') for word in first.split(delimiter)]
    if not _has_ids(words):
        if delimiter == "\t" and _is_number(words, _TREC.get(len(words))):
            return None
        if any(_is_number(words, place) for place in range(len(words))):
            raise DataError(
                f"the file has no header: its first row is {first[:60]!r}",
                where=str(path),
                remedy="Write a first row with the names query_id, doc_id, score.",
            )
    return read_table(path)


def pairs_of(table: Table, numbers: Sequence[Sequence[str]], *, split: str | None) -> Table:
    """Return query_id, doc_id (text), the numbers (float64), and the split where there is one.

    Args:
        table: as its file has it.
        numbers: for each column of numbers the names that it may have; in the result it has the
            first of them. One of them at least must be there.
        split: keep only rows of this split, where the table has a column `SPLIT`.

    Raises:
        DataError: a missing column, an empty id, no finite number, an unknown split; with file
            and row.
    """
    where = str(table.path)
    ids = [find_column(table.columns, names, where=where) for names in (_QUERIES, DOC_IDS)]
    found = [find_column(table.columns, names, where=where) for names in numbers]
    query, document = ids
    if query is None or document is None or not any(found):
        missing = [n for n, i in zip(("query_id", "doc_id"), ids, strict=True) if i is None]
        missing = missing[:1] or [names[0] for names in numbers[:2]]
        raise DataError(
            f"column {' or '.join(missing)!r} is missing; found {', '.join(table.columns)}",
            where=where,
            remedy="Name the columns query_id, doc_id, score.",
        )
    if split is not None and SPLIT in table.columns:
        table = _of_split(table, split)
    for name in (query, document):
        _refuse_empty(table, name)
    frame = table.frame.select(
        pl.col(query).cast(pl.String).alias("query_id"),
        pl.col(document).cast(pl.String).alias("doc_id"),
        *(
            finite_numbers(table, name).alias(names[0])
            for name, names in zip(found, numbers, strict=True)
            if name is not None
        ),
        *([SPLIT] if SPLIT in table.columns else []),
    )
    return table.with_frame(frame)


def _of_split(table: Table, split: str) -> Table:
    keep = (table.frame[SPLIT].cast(pl.String) == split).fill_null(False)
    if not keep.any():
        names = table.frame[SPLIT].cast(pl.String).drop_nulls().unique().sort().to_list()
        raise DataError(
            f"no row is of the split {split!r}; there are {quoted_names(names) or 'none'}",
            where=str(table.path),
        )
    return table.filter(keep)


def _has_ids(words: Sequence[str]) -> bool:
    return all(find_column(words, names) for names in (_QUERIES, DOC_IDS))


def _is_number(words: Sequence[str], place: int | None) -> bool:
    if place is None:
        return False
    try:
        float(words[place])
    except ValueError:
        return False
    return True


def _blank_delimited(path: Path) -> Table | None:
    """Return the rows below a header delimited by blanks or tabs, or None if there is no header."""
    first = read_lines(path, head=1).frame["text"][0]
    tabs = "\t" in first
    names = [name.strip() for name in (first.split("\t") if tabs else first.split())]
    if not _has_ids(names) or len(set(names)) < len(names):
        return None
    lines = read_lines(path)
    rows = lines.filter(pl.int_range(pl.len()) > 0)
    if rows.frame.is_empty():
        raise DataError("expected at least one row below the header, found none", where=str(path))
    return split_lines(rows, names, tabs=tabs)


def _refuse_empty(table: Table, column: str) -> None:
    ids = table.frame.select(pl.col(column).cast(pl.String))
    empty = ids.select(is_absent(column, pl.String()))[column]
    table.refuse(column, empty, "expected an id, found nothing")


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
    if isinstance(value, _Pairs) and any(name == "rankfield" for name, _ in value):
        raise DataError(
            "expected judgments or ranked lists, found figures that rankfield computed",
            where=str(path),
            remedy="The lists are in NAME.rankings.parquet beside the results NAME.json.",
        )
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
