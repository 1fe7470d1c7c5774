"""Joining what a search found with the judgments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.errors import DataError
from rankfield.metrics import JudgedRankings
from rankfield.metrics.rankings import FloatArray, IntArray
from rankfield.schema import SplitView
from rankfield.search import Hits

__all__ = ["join_judgments"]

_TABLE = 2**20
"""Numbers in the look-up table: 8 MiB, unless the corpus alone is larger."""


def join_judgments(view: SplitView, hits: Hits) -> JudgedRankings:
    """Return the scores that the judgments of `view` give to each ranked document.

    Row q of `hits` belongs to row q of ``view.queries``, an index to a row of ``view.documents``.
    A judged document that is not in the corpus still counts in the ideal ranking.

    Raises:
        DataError: an id or a pair that occurs twice, a judgment of an unknown query, or a score
            that is not finite.
    """
    rows, columns, scores = _coded_judgments(view)
    offsets, ideal = _ideal(rows, scores, view.queries.height)
    in_corpus = columns >= 0
    width = max(view.documents.height, 1)
    keys = (rows * width + columns)[in_corpus]
    order = np.argsort(keys, kind="stable")
    keys, scores = keys[order], scores[in_corpus][order]
    _refuse_twice(view, keys, width)
    found = _looked_up(keys, scores, hits.indices, width)
    return JudgedRankings(found, (hits.indices >= 0).sum(axis=1), offsets, ideal)


def _looked_up(
    keys: IntArray, scores: FloatArray, indices: npt.NDArray[np.int64], width: int
) -> FloatArray:
    """Return the score at each (row, index), NaN where there is none; `keys` = row · width + index.

    A table of all documents is filled for some queries at a time and emptied again, which is
    several times faster than searching the keys for each hit.
    """
    found = np.full(indices.shape, np.nan)
    step = max(1, _TABLE // width)
    table = np.full(step * width, np.nan)
    starts = np.arange(0, len(indices), step)
    bounds = np.searchsorted(keys, np.append(starts, len(indices)) * width)
    for start, low, high in zip(starts, bounds[:-1], bounds[1:], strict=True):
        filled = keys[low:high] - start * width
        table[filled] = scores[low:high]
        block = indices[start : start + step]
        found[start : start + step] = table[block + np.arange(len(block))[:, None] * width]
        table[filled] = np.nan
    found[indices < 0] = np.nan
    return found


def _coded_judgments(view: SplitView) -> tuple[IntArray, IntArray, FloatArray]:
    """Return query row, document row (−1: not in the corpus) and score of every judgment."""
    codes = view.judgments.select("query_id", "doc_id", "score")
    for name, table, frame in (
        ("query_id", "queries", view.queries),
        ("doc_id", "documents", view.documents),
    ):
        if frame[name].n_unique() != frame.height:
            raise DataError(
                f"the same {name} occurs twice",
                where=f"split {view.name}, {table}",
                remedy="Run `rankfield check --fix`.",
            )
        numbered = frame.select(name).with_row_index(f"{name}_row")
        codes = codes.join(numbered, on=name, how="left", maintain_order="left")
    unknown = codes.filter(pl.col("query_id_row").is_null())
    if unknown.height:
        raise DataError(
            f"unknown query_id {unknown['query_id'][0]!r}",
            where=f"split {view.name}, judgments",
            remedy="Run `rankfield check --fix`.",
        )
    scores = codes["score"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if not np.isfinite(scores).all():
        row = int(np.isfinite(scores).argmin())
        raise DataError(
            f"expected a finite score, found {codes['score'][row]}",
            where=f"split {view.name}, judgments, query_id {codes['query_id'][row]!r}",
            remedy="Run `rankfield check --fix`.",
        )
    rows = codes["query_id_row"].cast(pl.Int64).to_numpy()
    columns = codes["doc_id_row"].cast(pl.Int64).fill_null(-1).to_numpy()
    return rows, columns, scores


def _ideal(rows: IntArray, scores: FloatArray, queries: int) -> tuple[IntArray, FloatArray]:
    order = np.lexsort((-scores, rows))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=queries))])
    return offsets.astype(np.int64), scores[order]


def _refuse_twice(view: SplitView, keys: IntArray, width: int) -> None:
    twice = np.flatnonzero(keys[1:] == keys[:-1])
    if twice.size:
        row, column = divmod(int(keys[twice[0]]), width)
        pair = f"({view.queries['query_id'][row]!r}, {view.documents['doc_id'][column]!r})"
        raise DataError(
            f"the pair {pair} is judged twice",
            where=f"split {view.name}, judgments",
            remedy="Run `rankfield check --fix`.",
        )
