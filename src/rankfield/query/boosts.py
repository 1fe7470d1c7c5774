"""What columns add to scores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.query.column_kinds import Kind, require_column
from rankfield.query.query import Boost

__all__ = ["boosts_of", "check_boosts"]

Floats = npt.NDArray[np.float64]

_LARGEST = 1e12
_DAY = 86_400e6
_PIVOTS = {"reciprocal": 1.0, "reciprocal_age": 30.0}


def check_boosts(boosts: Sequence[Boost], schema: pl.Schema) -> None:
    """Refuse boosts by columns that are not stored, or of another type.

    Raises:
        InputError: naming the boost.
    """
    for i, boost in enumerate(boosts):
        kinds: tuple[Kind, ...] = ("number", "boolean")
        if boost.scale == "reciprocal_age":
            kinds = ("date", "time")
        require_column(boost.field, schema, f"query, boost.{i}.field", kinds)


def boosts_of(boosts: Sequence[Boost], documents: pl.DataFrame, now: datetime) -> Floats:
    """Return what each boost adds to each document, weight · scale(value), float64 (n, B).

    Null, NaN and infinite values add 0; values count up to ±10¹².

    Args:
        boosts: which, checked.
        documents: n stored documents.
        now: for ages, with a zone; what lies ahead of it has the age 0.
    """
    added = np.zeros((documents.height, len(boosts)))
    for i, boost in enumerate(boosts):
        values = _values(documents[boost.field], boost, now)
        known = np.isfinite(values)
        scaled = _scaled(values[known].clip(-_LARGEST, _LARGEST), boost)
        added[known, i] = boost.weight * scaled
    return added


def _values(column: pl.Series, boost: Boost, now: datetime) -> Floats:
    if boost.scale != "reciprocal_age":
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if column.dtype == pl.Date:
        today = now.astimezone(UTC).date()
        days = (pl.Series([today]) - column).dt.total_days().cast(pl.Float64)
    else:
        at = pl.Series([now.astimezone(UTC).replace(tzinfo=None)], dtype=pl.Datetime("us"))
        moments = column.dt.cast_time_unit("us")  # in UTC, whatever zone they are shown in
        ticks = at.to_physical().cast(pl.Float64) - moments.to_physical().cast(pl.Float64)
        days = ticks / _DAY
    return days.fill_null(float("nan")).to_numpy()


def _scaled(values: Floats, boost: Boost) -> Floats:
    if boost.scale == "linear":
        return values
    above = np.maximum(values, 0.0)
    if boost.scale == "log1p":
        return np.log1p(above)
    if boost.scale == "sqrt":
        return np.sqrt(above)
    return 1.0 / (1.0 + above / (boost.pivot or _PIVOTS[boost.scale]))
