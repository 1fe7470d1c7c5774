"""What stays together in a split, and what kind it is of: groups and strata."""

from __future__ import annotations

import numpy as np
import polars as pl

from rankfield.curation.clusters import IDS, components
from rankfield.curation.texts import joined_text, near_key
from rankfield.errors import SplitError
from rankfield.schema import Tables

__all__ = ["FREQUENCY", "column_of", "group_keys", "strata"]

FREQUENCY = "frequency"
"""The stratum of a record by the number of its judgments, unless there is such a column."""
_BINS = 5
_MOST_KINDS = 10


def group_keys(dataset: Tables, table: str, column: str | None) -> pl.Series:
    """Return a key (str) for each record; those of one key stay together.

    Documents with the same value of `column`, queries with the same words (`texts.near_key` of all
    text fields) or the same value, and what hangs together so: of A and B with the same words, and
    B and C of one value, all three. Null and "" are no value.

    Raises:
        SplitError: there is no such column.
    """
    together = [] if column is None else [_values(dataset, table, column)]
    if table == "queries":
        together.insert(0, _words(dataset))
    identity = IDS[table]
    ids = dataset.frame(table, [identity])[identity]
    # the prefixes keep an id out of a group of the same name
    keys = [
        pl.DataFrame({"id": ids, "key": values}).select(
            key=pl.when(pl.col("key") == "")
            .then(pl.lit("id:") + pl.col("id"))
            .otherwise(pl.lit("group:") + pl.col("key"))
        )["key"]
        for values in together
    ]
    if not keys:
        return pl.DataFrame({"id": ids}).select(key=pl.lit("id:") + pl.col("id"))["key"]
    return keys[0] if len(keys) == 1 else _linked(*keys)


def strata(dataset: Tables, table: str, column: str, keys: pl.Series) -> pl.Series:
    """Return the stratum (str) of each record; records of one group have the same.

    The values of the column; of numbers with over 10 different values, five classes of about
    equal size. `FREQUENCY` without such a column is the number of judgments. A group has the
    stratum of most of its records, of several the first in the alphabet.

    Args:
        dataset: any ranking data set.
        table: "queries" or "documents".
        column: the column, or "frequency".
        keys: the groups, from `group_keys`.

    Raises:
        SplitError: there is no such column.
    """
    if column == FREQUENCY and column not in dataset.schema(table):
        values = _judgments(dataset, table)
    else:
        values = column_of(dataset, table, column, "stratify by")
    if values.dtype.is_numeric() and values.n_unique() > _MOST_KINDS:
        edges = [values.quantile(i / _BINS, "lower") for i in range(1, _BINS)]
        steps = pl.DataFrame({"value": values}).select(
            pl.sum_horizontal(pl.col("value") > edge for edge in dict.fromkeys(edges))
        )
        values = steps.to_series().set(values.is_null(), None)
    kinds = values.cast(pl.String).fill_null("")
    if keys.n_unique() == len(keys):
        return kinds.alias("stratum")
    both = pl.DataFrame({"key": keys, "stratum": kinds})
    most = (
        both.group_by("key", "stratum")
        .len()
        .sort(["len", "stratum"], descending=[True, False])
        .unique("key", keep="first", maintain_order=True)
    )
    return both.select("key").join(most, on="key", how="left", maintain_order="left")["stratum"]


def column_of(dataset: Tables, table: str, column: str, purpose: str) -> pl.Series:
    """Return a column of a table.

    Raises:
        SplitError: there is none; the message says what it is wanted for.
    """
    columns = dataset.schema(table)
    if column not in columns:
        raise SplitError(
            f"the {table} have no column {column!r} to {purpose}; found {', '.join(columns)}",
            where=dataset.name,
        )
    return dataset.frame(table, [column])[column]


def _values(dataset: Tables, table: str, column: str) -> pl.Series:
    return column_of(dataset, table, column, "group by").cast(pl.String).fill_null("")


def _words(dataset: Tables) -> pl.Series:
    fields = [f for f in dataset.query_fields if f.modality == "text"]
    columns = dict.fromkeys(["query_id", *(f.name for f in fields)])
    return near_key(joined_text(dataset.frame("queries", list(columns)), fields))


def _judgments(dataset: Tables, table: str) -> pl.Series:
    identity = IDS[table]
    counts = dataset.lazy("judgments").group_by(identity).len().collect(engine="streaming")
    ids = dataset.frame(table, [identity])
    return ids.join(counts, on=identity, how="left", maintain_order="left")["len"].fill_null(0)


def _linked(first: pl.Series, second: pl.Series) -> pl.Series:
    """Return one key for all that hang together by either; the least of the first ones."""
    rows = pl.DataFrame({"first": first, "second": second}).with_row_index("row")
    pairs = [
        rows.select(pl.col("row").first().over(key).alias("of_key"), "row").to_numpy()
        for key in ("first", "second")
    ]
    both = pl.DataFrame({"key": first, "component": components(np.concatenate(pairs), len(first))})
    return both.select(pl.col("key").min().over("component"))["key"]
