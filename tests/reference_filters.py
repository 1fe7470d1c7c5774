"""Filters evaluated row by row in plain Python, as their documentation says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl

from rankfield.query.filters.tree import And, Compare, Condition, In, IsNull, Match, Not, Or

__all__ = ["holds"]


def holds(condition: Condition, row: Mapping[str, Any], schema: pl.Schema) -> bool | None:
    """Return whether a filter holds for a row, None where it is neither true nor false."""
    if isinstance(condition, Not):
        inner = holds(condition.item, row, schema)
        return None if inner is None else not inner
    if isinstance(condition, And | Or):
        decisive = isinstance(condition, Or)
        found = [holds(item, row, schema) for item in condition.items]
        if decisive in found:
            return decisive
        return None if None in found else not decisive
    return _tested(condition, row[condition.column.name], schema[condition.column.name])


def _tested(
    condition: Compare | In | Match | IsNull, value: Any, dtype: pl.DataType
) -> bool | None:
    if isinstance(value, float) and math.isnan(value):
        value = None
    if isinstance(condition, IsNull):
        return value is None
    if value is None:
        return None
    if isinstance(condition, In):
        return any(_compare("=", value, one.value, dtype) for one in condition.values)
    if isinstance(condition, Match):
        wanted = condition.value.value
        assert isinstance(wanted, str)
        return bool(wanted in value if condition.how == "contains" else value.startswith(wanted))
    return _compare(condition.operator, value, condition.value.value, dtype)


def _compare(operator: str, value: Any, constant: Any, dtype: pl.DataType) -> bool:
    if dtype == pl.Float32:
        with np.errstate(over="ignore"):
            constant = float(np.float32(constant))
    elif dtype == pl.Float64:
        constant = float(constant)
    elif dtype == pl.Date and isinstance(constant, str):
        constant = date.fromisoformat(constant)
    elif dtype == pl.Datetime:
        constant = datetime.fromisoformat(constant)
        zones = [one if one.tzinfo else one.replace(tzinfo=UTC) for one in (value, constant)]
        value, constant = zones
    if operator == "=":
        return bool(value == constant)
    if operator == "!=":
        return bool(value != constant)
    less, equal = value < constant, value == constant
    return bool(
        {"<": less, "<=": less or equal, ">": not less and not equal, ">=": not less}[operator]
    )
