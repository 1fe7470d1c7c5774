"""Results by kinds of queries: by a column, how frequent or long they are, how much is judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from rankfield.errors import InputError, MetricError
from rankfield.evaluation.compare import Comparison
from rankfield.evaluation.intervals import mean_interval
from rankfield.evaluation.measured_data import was_measured_on
from rankfield.evaluation.results import Results
from rankfield.metrics import canonical_name
from rankfield.schema import RankingDataset

__all__ = ["slice_comparison", "slice_queries", "slice_results"]

NONE = "(none)"
OTHER = "other"
_BINS = 4
_MANY_ZEROS = 0.05
_MOST = 10
_FEWEST = 5
_KEYS = ["split", "query_id"]
_ORDERED = ["split", "name"]
_FIGURES = {"queries": pl.Int64, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}


def slice_results(
    results: Results, dataset: RankingDataset, by: str, *, metric: str = "nDCG@10"
) -> pl.DataFrame:
    """Return the mean of a metric on each slice of the queries, with its 95 % interval.

    One row for each split and slice, in the order of `slice_queries`: ``slice``, ``split``,
    ``queries`` (where the metric is defined), ``value``, ``low``, ``high``.

    Args:
        results: of an evaluation of `dataset`.
        dataset: the data set, for what the queries and documents say.
        by: as `slice_queries`.
        metric: a metric that the results have.

    Raises:
        InputError: an unknown `by`.
        MetricError: results of other data, or a metric that they lack.
    """
    if not was_measured_on(results, dataset):
        raise MetricError(
            f"the results are of data {results.dataset.fingerprint}, this is "
            f"{dataset.fingerprint()}",
            where=f"slices of {results.label or results.model}",
            remedy="Give the data set that was evaluated (--data).",
        )
    values = results.queries.with_columns(name=pl.lit(results.label or results.model))
    return _means(values, dataset, by, metric).drop("name")


def slice_comparison(
    comparison: Comparison, dataset: RankingDataset, by: str, *, metric: str = "nDCG@10"
) -> pl.DataFrame:
    """Return the same as `slice_results` for each name of a comparison, in a column ``name``.

    Whether `dataset` is what was evaluated is left to the caller.

    Raises:
        InputError: an unknown `by`.
        MetricError: a metric that the comparison lacks.
    """
    return _means(comparison.queries, dataset, by, metric)


def slice_queries(queries: pl.DataFrame, dataset: RankingDataset, by: str) -> pl.DataFrame:
    """Return the slice of each query: ``split``, ``query_id``, ``slice``, and its ``place``.

    `by` is one of

    - ``query.COLUMN``: what a column of the queries says;
    - ``document.COLUMN``: of a column of the documents, the value of most of the query's relevant
      documents (score ≥ ``score_scale.relevant``, judged in that split; of equally many the first
      in order), of numbers their median;
    - ``frequency``: the column ``frequency`` of the queries where there is one, else how many
      training judgments the query has, 0 if training never saw it;
    - ``length``: how many words (runs of letters and digits) its text fields have;
    - ``judgments``: how many documents of the split are judged for it.

    More than four different numbers are put into four bins of about equally many queries, named by
    the smallest and the largest number in each ("3–7"); of whole numbers zeros, where they are the
    least and a twentieth of the queries or more has one, into a fifth. Of other values the ten that
    most queries have, if at least five have them, are slices, the rest are "other". Absent values
    are "(none)". All splits share one set of slices. ``place`` counts from 0: numbers ascend, other
    values come by descending number of queries, then "other", then "(none)".

    Args:
        queries: at least ``split`` and ``query_id``.
        dataset: where the two are from.
        by: see above.

    Raises:
        InputError: an unknown `by`, or a column that does not exist or holds no plain values.
    """
    keys = queries.select(_KEYS).unique(maintain_order=True)
    values = keys.join(_values(keys, dataset, by), on=_KEYS, how="left", maintain_order="left")[
        "value"
    ]
    if values.dtype.is_float():
        values = values.fill_nan(None)
    many = values.dtype.is_numeric() and values.drop_nulls().n_unique() > _BINS
    places, names = _bins(values) if many else _common(values)
    places = places.cast(pl.Int64).fill_null(len(names))
    slices = pl.Series([*names, NONE], dtype=pl.String).gather(places)
    return keys.with_columns(slice=slices, place=places)


def _means(queries: pl.DataFrame, dataset: RankingDataset, by: str, metric: str) -> pl.DataFrame:
    metric = metric if metric in queries.columns else canonical_name(metric)
    if metric not in queries.columns:
        known = [c for c in queries.columns if c not in (*_KEYS, "name")]
        raise MetricError(
            f"unknown metric {metric!r}; the results have {', '.join(known)}", where="slices"
        )
    assigned = queries.select("name", *_KEYS, metric).join(
        slice_queries(queries, dataset, by), on=_KEYS, maintain_order="left"
    )
    in_order = [pl.col(c).cast(pl.Enum(assigned[c].unique(maintain_order=True))) for c in _ORDERED]
    groups = (
        assigned.with_columns(in_order)
        .group_by("split", "place", "slice", "name", maintain_order=True)
        .agg(pl.col(metric).cast(pl.Float64).fill_null(np.nan).alias("values"))
        .sort("split", "place", "name")
    )
    means = [mean_interval(values.to_numpy()) for values in groups["values"]]
    figures = {c: [getattr(mean, c) for mean in means] for c in ("queries", "value", "low", "high")}
    return groups.select("slice", pl.col(_ORDERED).cast(pl.String)).hstack(
        pl.DataFrame(figures, schema=_FIGURES)
    )


def _values(keys: pl.DataFrame, dataset: RankingDataset, by: str) -> pl.DataFrame:
    """Return ``split``, ``query_id`` and ``value``; a query without a value may be missing."""
    table, _, column = by.partition(".")
    if table == "query" and column:
        return _of_queries(keys, dataset, _plain_column(dataset.queries, by, column))
    if table == "document" and column:
        return _of_documents(keys, dataset, _plain_column(dataset.documents, by, column))
    if by == "frequency":
        return _of_queries(keys, dataset, _frequency(dataset))
    if by == "length":
        return _of_queries(keys, dataset, _length(dataset))
    if by == "judgments":
        return _judgments(keys, dataset).group_by(_KEYS).agg(value=pl.len().cast(pl.Int64))
    raise InputError(
        f"expected query.COLUMN, document.COLUMN, frequency, length or judgments, found {by!r}",
        where="slices",
    )


def _plain_column(frame: pl.DataFrame, by: str, column: str) -> pl.Expr:
    if column not in frame.columns:
        raise InputError(
            f"there is no column {column!r}; there are {', '.join(frame.columns)}",
            where=f"slices by {by}",
        )
    kind = frame.schema[column]
    if kind.is_nested() or kind == pl.Binary:
        raise InputError(
            f"expected one plain value for each row, found {kind}", where=f"slices by {by}"
        )
    return pl.col(column) if kind.is_numeric() else pl.col(column).cast(pl.String)


def _of_queries(keys: pl.DataFrame, dataset: RankingDataset, value: pl.Expr) -> pl.DataFrame:
    return keys.join(dataset.queries.select("query_id", value=value), on="query_id", how="left")


def _of_documents(keys: pl.DataFrame, dataset: RankingDataset, value: pl.Expr) -> pl.DataFrame:
    relevant = _judgments(keys, dataset).filter(pl.col("score") >= dataset.score_scale.relevant)
    found = relevant.join(dataset.documents.select("doc_id", value=value), on="doc_id").drop_nulls(
        "value"
    )
    if found.schema["value"].is_numeric():
        return found.group_by(_KEYS).agg(pl.col("value").median())
    counted = found.group_by(*_KEYS, "value").len()
    return (
        counted.sort("len", "value", descending=[True, False])
        .group_by(_KEYS, maintain_order=True)
        .agg(pl.col("value").first())
    )


def _judgments(keys: pl.DataFrame, dataset: RankingDataset) -> pl.DataFrame:
    """Return the judgments of these queries with the split that they count in."""
    judgments, everywhere = dataset.judgments, keys.filter(pl.col("split") == "all")
    columns = [*_KEYS, "doc_id", "score"]
    found = judgments.drop("split", strict=False).join(everywhere, on="query_id").select(columns)
    if dataset.is_split:
        own = judgments.join(keys, on=_KEYS, how="semi").select(columns)
        found = pl.concat([found, own])
    return found


def _frequency(dataset: RankingDataset) -> pl.Expr:
    if "frequency" in dataset.queries.columns and dataset.queries["frequency"].dtype.is_numeric():
        return pl.col("frequency")
    counts = dataset.training_judgments().group_by("query_id").len()
    return pl.col("query_id").replace_strict(
        counts["query_id"], counts["len"], default=0, return_dtype=pl.Int64
    )


def _length(dataset: RankingDataset) -> pl.Expr:
    texts = [f.name for f in dataset.query_fields if f.modality == "text"]
    if not texts:
        raise InputError("the queries have no text field", where="slices by length")
    words = [pl.col(name).fill_null("").str.count_matches(r"\w+") for name in texts]
    return pl.sum_horizontal(words).cast(pl.Int64)


def _bins(values: pl.Series) -> tuple[pl.Series, list[str]]:
    """Return the bin of each number, null where absent, and the bins' names."""
    numbers = values.cast(pl.Float64)
    known = numbers.drop_nulls().to_numpy()
    # Nothing at all is another thing than little: queries that training never saw.
    counts = values.dtype.is_integer() and known.min() == 0
    nothing = counts and (known == 0).mean() >= _MANY_ZEROS
    kept = known[known > 0] if nothing else known
    edges = np.unique(np.quantile(kept, np.arange(1, _BINS) / _BINS, method="inverted_cdf"))
    edges = np.concatenate([[0.0], edges]) if nothing else edges
    found = np.searchsorted(edges, numbers.fill_null(0).to_numpy(), side="left")
    frame = pl.DataFrame({"number": numbers, "place": found}).with_columns(
        place=pl.when(pl.col("number").is_not_null()).then("place")
    )
    bins = (
        frame.drop_nulls()
        .group_by("place")
        .agg(low=pl.col("number").min(), high=pl.col("number").max())
    )
    bins = bins.sort("place")
    names = [
        _number(low) if low == high else f"{_number(low)}–{_number(high)}"
        for low, high in bins.select("low", "high").iter_rows()
    ]
    return frame["place"].replace_strict(bins["place"], np.arange(len(bins))), names


def _common(values: pl.Series) -> tuple[pl.Series, list[str]]:
    """Return the place of each value, null where absent, and names; the last is of rare ones."""
    counted = values.alias("value").drop_nulls().value_counts(name="queries")
    if values.dtype.is_numeric():
        kept = counted.sort("value")["value"]
        names = [_number(value) for value in kept]
    else:
        common = counted.sort("queries", "value", descending=[True, False]).head(_MOST)
        kept = common.filter(pl.col("queries") >= _FEWEST)["value"]
        names = kept.to_list()
    places = pl.DataFrame({"value": kept, "place": np.arange(len(kept))})
    found = pl.DataFrame({"value": values}).join(
        places, on="value", how="left", maintain_order="left"
    )
    other = pl.when(pl.col("value").is_not_null()).then(pl.col("place").fill_null(len(kept)))
    return found.select(other.alias("place")).to_series(), [*names, OTHER]


def _number(value: Any) -> str:
    """Write whole numbers without a point, others with four digits."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"
