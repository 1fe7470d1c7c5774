"""Which pairs are judged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl

from rankfield.errors import DataError, InputError
from rankfield.io.table import Table
from rankfield.io.tables import read_table
from rankfield.schema import RankingDataset

__all__ = ["choose_pairs", "read_scores"]

_PAIR = ["query_id", "doc_id"]


def choose_pairs(
    dataset: RankingDataset,
    *,
    file: str | Path | None = None,
    results: str | Path | None = None,
    per_query: int | None = None,
    seed: int = 0,
) -> pl.DataFrame:
    """Return the pairs to judge: ``query_id``, ``doc_id``, each once, sorted by query and document.

    Args:
        dataset: its judged pairs are taken, unless a file is named.
        file: a table with ``query_id`` and ``doc_id``: take those.
        results: results of `rankfield evaluate`: take the best documents that nobody judged.
        per_query: take so many of each query: the best ranked of `results`, otherwise a sample
            that depends on the seed and the ids alone.
        seed: of that sample.

    Raises:
        InputError: both files are named, or a file is malformed.
        DataError: an unknown or missing id, with its row; no pair at all.
    """
    if file is not None and results is not None:
        raise InputError("expected pairs from one source, found two", where="--pairs and --results")
    if results is not None:
        pairs = _unjudged(dataset, Path(results), per_query)
    else:
        pairs = _of_file(dataset, Path(file)) if file else dataset.judgments.select(_PAIR)
        pairs = pairs.unique(maintain_order=True)
        if per_query is not None:
            pairs = _sample(pairs, per_query, seed)
    if pairs.is_empty():
        raise DataError(
            "there is no pair to judge",
            where=str(results or file or dataset.name),
            remedy="Name pairs with --pairs, or other results.",
        )
    return pairs.sort(_PAIR)


def _of_file(dataset: RankingDataset, path: Path) -> pl.DataFrame:
    return _known(dataset, read_table(path))


def _known(dataset: RankingDataset, table: Table) -> pl.DataFrame:
    table.require_columns(*_PAIR, remedy="The table needs query_id and doc_id.")
    remedy = f"Judge pairs of this data set, {dataset.name}."
    for name, known, what in (
        ("query_id", dataset.queries, "queries"),
        ("doc_id", dataset.documents, "documents"),
    ):
        ids = table.frame[name].cast(pl.String)
        unknown = ~ids.is_in(known[name].implode()).fill_null(False)
        table.refuse(name, unknown, f"{{}} is not among the {what}", remedy)
    return table.frame.select(pl.col(_PAIR).cast(pl.String))


def read_scores(dataset: RankingDataset, path: Path) -> pl.DataFrame:
    """Return the scores of a table: ``query_id``, ``doc_id``, ``score``, each pair once.

    Raises:
        DataError: an unknown id, a pair that is duplicated, a score that is no number; with row.
    """
    table = read_table(path)
    pairs = _known(dataset, table)
    table.require_columns("score")
    scores = table.frame["score"].cast(pl.Float64, strict=False)
    finite, remedy = scores.is_finite().fill_null(False), "Fix or remove the row."
    table.refuse("score", ~finite, "expected a finite number, found {}", remedy)
    message = "the document {} is duplicated for its query"
    table.refuse("doc_id", ~_first_of_pair(pairs), message, remedy)
    return pairs.with_columns(score=scores)


def _first_of_pair(pairs: pl.DataFrame) -> pl.Series:
    return pairs.select(pl.int_range(pl.len()).over(_PAIR) == 0).to_series()


def _unjudged(dataset: RankingDataset, path: Path, per_query: int | None) -> pl.DataFrame:
    from rankfield.evaluation.results import Results

    rankings = Results.load(path).rankings
    found = (
        rankings.sort("query_id", "rank")
        .join(dataset.judgments, on=_PAIR, how="anti", maintain_order="left")
        .unique(_PAIR, keep="first", maintain_order=True)
        .select(_PAIR)
    )
    for name, known in (("query_id", dataset.queries), ("doc_id", dataset.documents)):
        unknown = found.join(known, on=name, how="anti")
        if unknown.height:
            raise DataError(
                f"{name} {unknown[name][0]!r} is not in the data set {dataset.name}",
                where=str(path),
                remedy="Take results of an evaluation on this data set.",
            )
    return found if per_query is None else _head(found, per_query)


def _head(pairs: pl.DataFrame, count: int) -> pl.DataFrame:
    return pairs.filter(pl.int_range(pl.len()).over("query_id") < count)


def _sample(pairs: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    drawn = [
        hashlib.sha256(f"{seed}\0{query}\0{doc}".encode()).hexdigest()
        for query, doc in pairs.select(_PAIR).iter_rows()
    ]
    return _head(pairs.with_columns(drawn=pl.Series(drawn)).sort("query_id", "drawn"), count).drop(
        "drawn"
    )
