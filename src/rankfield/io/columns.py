"""The columns of a table: their names, how many there may be, and records as columns of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from rankfield.column_names import require_literal
from rankfield.errors import DataError

__all__ = [
    "MAX_CELLS",
    "MAX_COLUMNS",
    "require_distinct",
    "require_names",
    "require_width",
    "text_frame",
]

MAX_COLUMNS = 10_000
"""Columns of a table; later steps look at each of them."""
MAX_CELLS = 1 << 24
"""Cells of a batch of records: names that few records have make columns that are nearly empty."""


def require_names(path: Path, names: Iterable[str]) -> None:
    """Raise `DataError` for the name of a column that no Parquet file holds, or that is a pattern.

    The first are names with a null character; for the others see `require_literal`.
    """
    names = list(names)
    require_literal(names, where=str(path))
    for name in names:
        if "\0" in name:
            raise DataError(
                f"the column {name[:60]!r} has a null character in its name",
                where=str(path),
                remedy="Rename the column.",
            )


def require_distinct(names: Iterable[str], where: str) -> None:
    """Raise `DataError` for the name of a column that is duplicated."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(
                f"the column {name!r} occurs more than once",
                where=where,
                remedy="Rename or remove one of them.",
            )
        seen.add(name)


def require_width(path: Path, width: int) -> None:
    """Raise `DataError` if a table has more than `MAX_COLUMNS` columns."""
    if width > MAX_COLUMNS:
        raise DataError(
            f"{width:,} columns; at most {MAX_COLUMNS:,} are read",
            where=str(path),
            remedy="Leave out columns that are not needed.",
        )


def text_frame(
    path: Path, records: Sequence[Mapping[str, str]], names: Iterable[str]
) -> pl.DataFrame:
    """Return records as columns of text, null where a record has nothing.

    Args:
        path: the file, for a message.
        records: name → text.
        names: of the first columns; the records' own follow.

    Raises:
        DataError: too many names.
    """
    columns = dict.fromkeys([*names, *(name for record in records for name in record)])
    require_width(path, len(columns))
    if len(columns) * len(records) > MAX_CELLS and len(columns) > 1000:
        raise DataError(
            f"{len(records):,} records have {len(columns):,} different names in all",
            where=str(path),
            remedy="Give the records names in common.",
        )
    return pl.DataFrame(
        {n: pl.Series([r.get(n) or None for r in records], dtype=pl.String) for n in columns}
    )
