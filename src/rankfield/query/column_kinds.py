"""What stored columns hold, as far as queries use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

from rankfield.errors import InputError
from rankfield.messages import did_you_mean, listed

__all__ = ["Kind", "kind_of", "require_column"]

Kind = Literal["number", "text", "boolean", "date", "time"]
"""A "time" is a moment: date and time of day."""

_SHOWN = 20


def kind_of(dtype: pl.DataType) -> Kind | None:
    """Return what a column of this type holds; None where queries cannot use it."""
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    if dtype == pl.UInt128:
        return None
    if dtype.is_numeric():
        return "number"
    if dtype == pl.Datetime:
        return "time"
    if dtype == pl.Date:
        return "date"
    return "boolean" if dtype == pl.Boolean else None


def require_column(
    name: str, schema: pl.Schema, where: str, kinds: Sequence[Kind] | None = None
) -> Kind | None:
    """Return the kind of a stored column.

    Args:
        name: of the column.
        schema: of the stored columns.
        where: what names it, for messages.
        kinds: what it may hold; anything if None.

    Raises:
        InputError: there is no such column, or it holds something else.
    """
    if name not in schema:
        known = listed(list(schema), _SHOWN)
        raise InputError(
            f"the index stores no column {name!r}",
            where=where,
            remedy=did_you_mean(name, schema) or f"Stored columns: {known}.",
        )
    kind = kind_of(schema[name])
    if kinds is not None and (kind is None or kind not in kinds):
        raise InputError(
            f"expected a column of {' or '.join(kinds)}, found {name!r} of type {schema[name]}",
            where=where,
        )
    return kind
