"""Judgments and ranked lists from files of any usual form: TREC, JSON, Parquet, CSV, JSON Lines."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rankfield.column_names import SCORES, quoted_names
from rankfield.errors import DataError
from rankfield.formats.checks import check_pairs
from rankfield.formats.rankings.pair_json import read_pair_json
from rankfield.formats.rankings.pair_tables import SPLIT, pairs_of, read_pair_table
from rankfield.formats.trec.runs import qrels_table, run_table
from rankfield.io.table import Table

__all__ = ["has_splits", "read_judged_pairs", "read_ranked_pairs"]

_PAIR = ["query_id", "doc_id", "score"]
_RANKINGS = {"split", "query_id", "rank", "doc_id", "similarity", "score"}
"""The columns of the rankings that earlier versions wrote, whose `score` is the judged one."""


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
            number, a pair judged twice; with file and line.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        return read_pair_json(path).frame
    table = read_pair_table(path)
    if table is None:
        return qrels_table(path).frame.select(_PAIR)
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
        DataError: as `read_judged_pairs`, a rank that one query has twice, or a query that has
            lists in several splits.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        return read_pair_json(path).frame
    table = read_pair_table(path)
    if table is None:
        table = run_table(path)
    else:
        if set(table.columns) == _RANKINGS:
            table = table.with_frame(table.frame.drop("score"))
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
            remedy="Number each query's documents anew.",
        )
