"""Columns and types of a filter, checked against the columns that an index stores."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime

import polars as pl

from rankfield.errors import InputError
from rankfield.query.column_kinds import Kind, require_column
from rankfield.query.filters.tokens import filter_error
from rankfield.query.filters.tree import (
    And,
    Column,
    Compare,
    Condition,
    In,
    IsNull,
    Match,
    Not,
    Or,
    Scalar,
    Value,
)

__all__ = ["check_filter"]

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:?\d\d)?")
_EXPECTED: dict[Kind, str] = {
    "number": "a number",
    "text": "a string in 'single quotes'",
    "boolean": "true or false",
    "date": "a date such as '2026-01-31'",
    "time": "a date or time such as '2026-01-31T12:00:00'",
}


def check_filter(condition: Condition, schema: pl.Schema, text: str) -> Condition:
    """Return the tree with dates and times in place of the strings that spell them.

    A time without a zone, of a column with zones, is UTC. Of a column without zones times have
    none.

    Args:
        condition: from `parse_filter`.
        schema: of the stored columns.
        text: that it was read from, for messages.

    Raises:
        InputError: an unknown column, or a value or test of another type than the column's; names
            the character.
    """
    if isinstance(condition, And | Or):
        items = tuple(check_filter(item, schema, text) for item in condition.items)
        return replace(condition, items=items)
    if isinstance(condition, Not):
        return Not(check_filter(condition.item, schema, text))
    kind = _kind(condition.column, schema, text)
    if isinstance(condition, IsNull):
        return condition
    if kind is None:
        dtype = schema[condition.column.name]
        raise filter_error(
            text, condition.column.at, f"columns of type {dtype} are tested by is null alone"
        )
    if isinstance(condition, In):
        values = tuple(_typed(v, kind, condition.column, schema, text) for v in condition.values)
        return replace(condition, values=values)
    if isinstance(condition, Match) and kind != "text":
        raise filter_error(
            text,
            condition.column.at,
            f"{condition.how} is for text, {condition.column.name!r} holds {kind}s",
        )
    if (
        isinstance(condition, Compare)
        and kind == "boolean"
        and condition.operator not in ("=", "!=")
    ):
        raise filter_error(text, condition.column.at, "booleans are compared by = and != alone")
    value = _typed(condition.value, kind, condition.column, schema, text)
    return replace(condition, value=value)


def _kind(column: Column, schema: pl.Schema, text: str) -> Kind | None:
    try:
        return require_column(column.name, schema, "filter")
    except InputError as error:
        raise filter_error(text, column.at, error.problem, error.remedy) from None


def _typed(value: Value, kind: Kind, column: Column, schema: pl.Schema, text: str) -> Value:
    """Return a value as one of the column's kind."""
    found = value.value
    if kind == "number" and isinstance(found, int | float) and not isinstance(found, bool):
        return value
    if (kind == "text" and isinstance(found, str)) or (
        kind == "boolean" and isinstance(found, bool)
    ):
        return value
    if kind in ("date", "time"):
        moment = _moment(found, kind)
        zone = getattr(schema[column.name], "time_zone", None)
        if isinstance(moment, datetime) and moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=UTC)
        if isinstance(moment, datetime) and moment.tzinfo is not None and zone is None:
            raise filter_error(
                text, value.at, f"the times of {column.name!r} have no zone; leave it out"
            )
        if moment is not None:
            return replace(value, value=moment)
    spelt = "true or false" if isinstance(found, bool) else repr(found)
    raise filter_error(
        text, value.at, f"expected {_EXPECTED[kind]} for the column {column.name!r}, found {spelt}"
    )


def _moment(found: Scalar, kind: Kind) -> date | datetime | None:
    """Return the date or time that a string spells; None if it spells none."""
    if isinstance(found, datetime) or (isinstance(found, date) and kind == "date"):
        return found
    if not isinstance(found, str):
        return None
    try:
        if kind == "date":
            return date.fromisoformat(found) if _DATE.fullmatch(found) else None
        if _DATE.fullmatch(found) or _TIME.fullmatch(found):
            return datetime.fromisoformat(found.upper())
    except ValueError:
        pass
    return None
