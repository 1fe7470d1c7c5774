"""Which columns of judged pairs describe the record on one side, though some rows differ."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl

from rankfield.formats.guesses import guess_modality
from rankfield.io.table import Table

__all__ = [
    "Differing",
    "describing_columns",
    "differing_records",
    "first_known",
    "first_value_note",
]


@dataclass(frozen=True)
class Differing:
    """How far a column differs between the rows of one record; nulls are no values.

    records: how many records have several values; repeated: how many have several rows with one.
    row: the first row with another value than its record's first, None if there is none.
    """

    records: int
    repeated: int
    row: int | None


def differing_records(frame: pl.DataFrame, identity: str, column: str) -> Differing:
    """Return how far a column differs between the rows of one id."""
    rows = frame.select(identity, value=column).with_row_index("\0row").drop_nulls("value")
    groups = rows.group_by(identity).agg(rows=pl.len(), values=pl.col("value").n_unique())
    several = groups.filter(pl.col("values") > 1)
    row = None
    if several.height:
        suspects = rows.join(several.select(identity), on=identity, how="semi")
        first = suspects.sort("\0row").unique(identity, keep="first").drop("\0row")
        other = suspects.join(first, on=[identity, "value"], how="anti")
        row = int(other["\0row"].min())  # type: ignore[arg-type]
    return Differing(several.height, groups.filter(pl.col("rows") > 1).height, row)


def describing_columns(
    rows: Table,
    identity: str,
    columns: Sequence[str],
    what: str,
    notes: list[str],
    *,
    chosen: Collection[str] = (),
) -> list[str]:
    """Return the columns that belong to the record with the id, the others to the judgments.

    A column with one value wherever its id occurs belongs to the record; nulls aside. So does a
    text or an image's path that differs within at most half of the records that occur again, and
    one that is chosen: its first value counts, and a note says how many records differ and where.
    Bytes and nested values are taken to be the same for one id.

    Args:
        rows: the pairs.
        identity: the id's column.
        columns: those to divide.
        what: "queries" or "documents", for the notes.
        notes: grows.
        chosen: columns that were named as fields of the record.
    """
    kept = []
    for name in columns:
        dtype = rows.frame.schema[name]
        if dtype.is_nested() or dtype == pl.Binary:
            kept.append(name)
            continue
        found = differing_records(rows.frame, identity, name)
        is_field = name in chosen or (
            2 * found.records <= found.repeated
            and guess_modality(rows.frame.select(name), name) is not None
        )
        if found.row is not None and not is_field:
            continue
        if found.row is not None:
            where = f"{identity} {rows.frame[identity][found.row]!r}, {rows.where(found.row)}"
            notes.append(first_value_note(found, name, what, where))
        kept.append(name)
    return kept


def first_known(frame: pl.DataFrame, identity: str, columns: Sequence[str]) -> pl.DataFrame:
    """Return the first row of each id, in which a null is the first other value of the id."""
    rows = frame.filter(pl.col(identity).is_first_distinct()).select(identity, *columns)
    plain = [
        name for name in columns if rows[name].null_count() and not (rows.schema[name].is_nested())
    ]
    for name in plain:
        known = frame.select(identity, name).drop_nulls(name)
        known = known.filter(pl.col(identity).is_first_distinct()).rename({name: "\0known"})
        rows = rows.join(known, on=identity, how="left", maintain_order="left")
        rows = rows.with_columns(pl.coalesce(name, "\0known").alias(name)).drop("\0known")
    return rows


def first_value_note(found: Differing, column: str, what: str, where: str) -> str:
    """Return the note that a column differs; `where` names the first other value's place."""
    return (
        f"{what}: {column!r} differs between the rows of {found.records:,} of them; the first"
        f" value counts (another: {where})"
    )
