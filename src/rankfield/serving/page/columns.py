"""Which stored columns the page offers to filter by, and the filters made of what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from rankfield.errors import InputError
from rankfield.query.column_kinds import kind_of, require_column
from rankfield.query.filters import parse_filter
from rankfield.serving.page.address import PageQuery

__all__ = ["MOST_DISTINCT", "NumberColumn", "ValueColumn", "chosen_filter", "offered_columns"]

MOST_DISTINCT = 200
"""Different values of a column that is offered, at most."""
_MOST_COLUMNS, _SHOWN = 6, 8


@dataclass(frozen=True)
class ValueColumn:
    """A column of few values, the most frequent first."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers, with the least and the largest."""

    name: str
    least: float
    most: float


def offered_columns(
    documents: pl.DataFrame, text_fields: Sequence[str]
) -> tuple[list[ValueColumn], list[NumberColumn]]:
    """Return the columns of few values, and those of numbers; not ids and texts of the model.

    Args:
        documents: the stored columns.
        text_fields: which of them are texts to read; of few values they are offered too.
    """
    values: list[ValueColumn] = []
    numbers: list[NumberColumn] = []
    for name in documents.columns:
        column = documents[name]
        kind = kind_of(column.dtype)
        if name == "doc_id" or column.null_count() == len(column):
            continue
        if kind in ("text", "boolean") and len(values) < _MOST_COLUMNS:
            counted = column.drop_nulls().cast(pl.String).value_counts(sort=True)
            if counted.height <= min(MOST_DISTINCT, max(2, len(column) // 3)):
                values.append(ValueColumn(name, tuple(counted[name][:_SHOWN].to_list())))
        elif kind == "number" and len(numbers) < _MOST_COLUMNS and name not in text_fields:
            found = column.cast(pl.Float64).drop_nulls().drop_nans()
            if found.n_unique() > 1:
                ends = found.sort()
                numbers.append(NumberColumn(name, float(ends[0]), float(ends[-1])))
    return values, numbers


def chosen_filter(page: PageQuery, schema: pl.Schema) -> str | None:
    """Return one expression of all that was chosen; None if nothing was.

    Raises:
        InputError: a column that is not there, a bound that is no number, or a wrong expression.
    """
    found: list[str] = []
    if page.filter:
        parse_filter(page.filter)  # alone, so that messages count its own characters
        found.append(f"({page.filter})")
    for name, several in page.values.items():
        kind = require_column(name, schema, f"query, is.{name}", ("text", "boolean"))
        found.append(_one_of(name, several, kind == "boolean"))
    for sign, head, bounds in ((">=", "min", page.least), ("<=", "max", page.most)):
        for name, text in bounds.items():
            require_column(name, schema, f"query, {head}.{name}", ("number",))
            found.append(f"{_quoted(name)} {sign} {_bound(text, f'query, {head}.{name}')}")
    return " and ".join(found) or None


def _one_of(name: str, several: Sequence[str], is_boolean: bool) -> str:
    if is_boolean:
        wanted = {"true": "true", "false": "false"}
        if unknown := [one for one in several if one not in wanted]:
            raise InputError(
                f"expected true or false, found {unknown[0][:100]!r}", where=f"query, is.{name}"
            )
        return "(" + " or ".join(f"{_quoted(name)} = {one}" for one in several) + ")"
    texts = ", ".join("'" + one.replace("'", "''") + "'" for one in several)
    return f"{_quoted(name)} in ({texts})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _bound(text: str, where: str) -> str:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not abs(number) < 1e18:
        raise InputError(f"expected a number, found {text[:100]!r}", where=where)
    return str(int(number)) if number.is_integer() else repr(number)
