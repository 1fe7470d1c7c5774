"""Joining a run, ranked lists from anywhere, with judgments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from rankfield.errors import DataError, InputError
from rankfield.messages import more
from rankfield.metrics import JudgedRankings
from rankfield.metrics.rankings import FloatArray, IntArray

__all__ = ["TIES", "JudgedRun", "join_run"]

TIES = ("descending", "ascending", "file")
"""How documents of equal score are ordered: by doc_id, descending as trec_eval does, or ascending,
or as they stand in the file."""


@dataclass(frozen=True)
class JudgedRun:
    """A run's lists with the scores that the judgments give them.

    queries: the judged queries, ordered by id; row q of `rankings` is the q-th.
    missing: how many judged queries the run lacks; their lists are empty, or they are left out.
    unknown: how many of the run's queries have no judgment; they are left out.
    tied: how many lists hold equal scores.
    lists: query_id, doc_id, score and `judged` (null: unjudged), list by list, best first.
    """

    queries: pl.Series
    rankings: JudgedRankings
    missing: int
    unknown: int
    tied: int
    lists: pl.DataFrame


def join_run(
    judgments: pl.DataFrame,
    run: pl.DataFrame,
    *,
    ties: str = "descending",
    ignore_unknown: bool = False,
    ignore_missing: bool = False,
    name: str = "run",
) -> JudgedRun:
    """Order each query's documents by score, descending, and look up their judged scores.

    Args:
        judgments: query_id, doc_id, score; each pair once.
        run: query_id, doc_id, score; each pair once, in any order.
        ties: one of `TIES`.
        ignore_unknown: leave queries without judgments out instead of refusing them.
        ignore_missing: leave judged queries that the run lacks out, as trec_eval does without
            its -c, instead of counting them as empty lists.
        name: what to call the run in messages.

    Raises:
        InputError: another word for `ties`.
        DataError: a query without judgments, a pair that occurs twice, a score that is not
            finite, or, with `ignore_missing`, a run without any judged query.
    """
    if ties not in TIES:
        raise InputError(f"expected one of {', '.join(TIES)}, found {ties!r}", where="ties")
    _check(judgments, "judgments")
    _check(run, name)
    missing = judgments.join(run, on="query_id", how="anti")["query_id"].n_unique()
    if ignore_missing:
        judgments = judgments.join(run, on="query_id", how="semi", maintain_order="left")
        if judgments.is_empty():
            raise DataError("holds no query of the judgments", where=name)
    queries = judgments["query_id"].unique().sort()
    rows = pl.DataFrame({"query_id": queries}).with_row_index("query")
    unknown = run.join(rows, on="query_id", how="anti")["query_id"].unique(maintain_order=True)
    if unknown.len() and not ignore_unknown:
        raise _unknown(unknown, name)
    ordered, tied = _ordered(run.join(rows, on="query_id", maintain_order="left"), ties)
    found = ordered.join(
        judgments.select("query_id", "doc_id", judged="score"),
        on=["query_id", "doc_id"],
        how="left",
        maintain_order="left",
    )
    rankings = _rankings(
        found["query"].cast(pl.Int64).to_numpy(),
        found["judged"].cast(pl.Float64).fill_null(float("nan")).to_numpy(),
        judgments.join(rows, on="query_id").sort("query", "score", descending=[False, True]),
        len(queries),
    )
    lists = found.select("query_id", "doc_id", "score", "judged")
    return JudgedRun(queries, rankings, missing, unknown.len(), tied, lists)


def _check(frame: pl.DataFrame, name: str) -> None:
    twice = frame.select(pl.struct("query_id", "doc_id").is_duplicated()).to_series()
    bad = ~frame["score"].cast(pl.Float64).is_finite().fill_null(False)
    for rows, what in ((twice, "a document that the query has twice"), (bad, "no finite score")):
        if rows.any():
            row = frame.row(int(rows.arg_max() or 0), named=True)
            raise DataError(
                f"found {what}",
                where=f"{name}, query_id {row['query_id']!r}, doc_id {row['doc_id']!r}",
            )


def _unknown(queries: pl.Series, name: str) -> DataError:
    return DataError(
        f"the query {queries[0]!r}{more(queries.len() - 1)} has no judgment",
        where=name,
        remedy="Check that both files belong together, or leave such queries out "
        "(--ignore-unknown).",
    )


def _ordered(run: pl.DataFrame, ties: str) -> tuple[pl.DataFrame, int]:
    """Return the rows by query, score and ties, and how many queries have ties."""
    ordered = run.sort("query", "score", descending=[False, True], maintain_order=True)
    equal = (ordered["score"] == ordered["score"].shift(1)) & (
        ordered["query"] == ordered["query"].shift(1)
    )
    tied = ordered["query"].filter(equal.fill_null(False)).n_unique()
    if tied and ties != "file":
        keys, descending = ("query", "score", "doc_id"), [False, True, ties == "descending"]
        ordered = ordered.sort(*keys, descending=descending)
    return ordered, tied


def _rankings(
    rows: IntArray, judged: FloatArray, ideal: pl.DataFrame, count: int
) -> JudgedRankings:
    """Return the lists of `rows`, ascending, and the judgments `ideal`, best first."""
    lengths = np.bincount(rows, minlength=count)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    scores = np.full((count, int(lengths.max(initial=0))), np.nan)
    scores[rows, places] = judged
    sizes = np.bincount(ideal["query"].cast(pl.Int64).to_numpy(), minlength=count)
    return JudgedRankings(
        scores,
        lengths.astype(np.int64),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        ideal["score"].cast(pl.Float64).to_numpy(),
    )
