"""A filter for polars."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from rankfield.query.filters.check import check_filter
from rankfield.query.filters.parse import parse_filter
from rankfield.query.filters.tree import (
    And,
    Compare,
    Condition,
    In,
    IsNull,
    Match,
    Not,
    Operator,
    Or,
    Scalar,
)

__all__ = ["filter_expression", "filter_mask"]

_OPERATIONS: dict[Operator, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WIDE = (pl.UInt64, pl.Int128)
_EXACT = 2.0**126


def filter_mask(text: str, documents: pl.DataFrame) -> pl.Series:
    """Return which documents a filter lets through: those for which it is true, never null.

    Raises:
        InputError: no filter, or one that does not fit the columns; names the character.
    """
    condition = check_filter(parse_filter(text), documents.schema, text)
    found = documents.select(filter_expression(condition, documents.schema).alias("kept"))
    return found["kept"].fill_null(value=False)


def filter_expression(condition: Condition, schema: pl.Schema) -> pl.Expr:
    """Return a filter as a boolean expression, null where it is neither true nor false (as in SQL).

    NaN counts as null. Whole numbers are compared exactly, others after rounding to the type of
    the column; texts by the code points of their characters.

    Args:
        condition: from `check_filter`.
        schema: of the stored columns.
    """
    if isinstance(condition, And | Or):
        parts = [filter_expression(item, schema) for item in condition.items]
        return _joined(parts, operator.and_ if isinstance(condition, And) else operator.or_)
    if isinstance(condition, Not):
        return ~filter_expression(condition.item, schema)
    return _tested(condition, condition.column.name, schema[condition.column.name])


def _tested(condition: Compare | In | Match | IsNull, name: str, dtype: pl.DataType) -> pl.Expr:
    """Return the test of one column."""
    if isinstance(condition, IsNull):
        column = _column(name)
        return (column.fill_nan(None) if dtype.is_float() else column).is_null()
    if isinstance(condition, Match):
        text = pl.lit(condition.value.value, dtype=pl.String())
        column = _column(name).cast(pl.String)
        if condition.how == "starts with":
            return column.str.starts_with(text)
        return column.str.contains(text, literal=True)
    if isinstance(condition, Compare):
        column, (constant,), kind = _comparable(name, dtype, [condition.value.value])
        return _compared(condition.operator, column, pl.lit(constant, dtype=kind))
    return _among(condition, dtype)


def _column(name: str) -> pl.Expr:
    """Return a column by its name verbatim: `pl.col` takes "*" and "^…$" for patterns."""
    return cs.by_name(name).as_expr()


def _compared(sign: Operator, column: pl.Expr, constant: pl.Expr) -> pl.Expr:
    found: pl.Expr = _OPERATIONS[sign](column, constant)
    return found


def _among(condition: In, dtype: pl.DataType) -> pl.Expr:
    values = [value.value for value in condition.values]
    if dtype.is_integer():
        values = [value for value in values if float(value).is_integer()]  # type: ignore[arg-type]
    column, constants, kind = _comparable(condition.column.name, dtype, values)
    return column.is_in(pl.Series(constants, dtype=kind).implode())


def _comparable(
    name: str, dtype: pl.DataType, values: Sequence[Scalar]
) -> tuple[pl.Expr, list[Any], pl.DataType]:
    """Return a column and constants in one type, in which comparisons are exact."""
    column = _column(name)
    if dtype in (pl.Boolean, pl.Date):
        return column, list(values), dtype
    if isinstance(dtype, pl.Datetime):
        return _moments(column, dtype, values)
    if not dtype.is_numeric():
        return column.cast(pl.String), list(values), pl.String()
    return _numbers(column, dtype, [value for value in values if isinstance(value, int | float)])


def _numbers(
    column: pl.Expr, dtype: pl.DataType, numbers: Sequence[float]
) -> tuple[pl.Expr, list[Any], pl.DataType]:
    if dtype.is_integer():
        return _whole(column, dtype, numbers)
    if dtype.is_float():
        return column.fill_nan(None).cast(pl.Float64), _rounded(numbers, dtype), pl.Float64()
    return column.cast(pl.Float64), list(map(float, numbers)), pl.Float64()


def _whole(
    column: pl.Expr, dtype: pl.DataType, numbers: Sequence[float]
) -> tuple[pl.Expr, list[Any], pl.DataType]:
    if not all(float(number).is_integer() and abs(number) < _EXACT for number in numbers):
        # A number with a fraction lies below 2⁵³: rounding the column does not cross it.
        return column.cast(pl.Float64), [float(number) for number in numbers], pl.Float64()
    whole = [int(number) for number in numbers]
    narrow = dtype not in _WIDE and all(-(2**63) <= number < 2**63 for number in whole)
    kind = pl.Int64() if narrow else pl.Int128()
    return column.cast(kind), whole, kind


def _rounded(numbers: Sequence[float], dtype: pl.DataType) -> list[float]:
    if dtype == pl.Float64:
        return [float(number) for number in numbers]
    kind = np.float16 if dtype == pl.Float16 else np.float32
    with np.errstate(over="ignore"):
        return [float(kind(number)) for number in numbers]


def _moments(
    column: pl.Expr, dtype: pl.Datetime, values: Sequence[Scalar]
) -> tuple[pl.Expr, list[Any], pl.DataType]:
    """Return times as whole numbers of nanoseconds, of such a column, else of microseconds."""
    fine = dtype.time_unit == "ns"
    ticks = column if fine else column.dt.cast_time_unit("us")
    constants = []
    for value in values:
        assert isinstance(value, date)
        moment = value if isinstance(value, datetime) else datetime(*value.timetuple()[:3])
        since = moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH
        constants.append(since // timedelta(microseconds=1) * (1000 if fine else 1))
    return ticks.to_physical().cast(pl.Int128), constants, pl.Int128()


def _joined(parts: list[pl.Expr], join: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> pl.Expr:
    """Return the parts joined as a balanced tree: a chain of thousands would be too deep."""
    while len(parts) > 2:
        pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
        parts = [reduce(join, pair) for pair in pairs]
    return reduce(join, parts)
