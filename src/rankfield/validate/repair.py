"""A copy of a data set without its errors."""

from __future__ import annotations

import polars as pl

from rankfield.errors import DataError
from rankfield.schema.tables import T
from rankfield.validate.audit import findings, place_of
from rankfield.validate.problems import Problem

__all__ = ["fix"]


def fix(dataset: T, problems: list[Problem]) -> tuple[T, list[str]]:
    """Return a copy without the errors, and what was dropped, one per line.

    Of duplicates the first stays. Images that `problems` (from `audit`) calls bad are cleared,
    in a list left out; records with no field left are dropped, and judgments of unknown records.

    Raises:
        DataError: nothing would be left of a table.
    """
    lines: list[str] = []
    dataset = _clear_images(dataset, problems, lines)
    for table in ("queries", "documents", "judgments"):
        # each table is checked again: what was dropped from the ones before counts as unknown
        errors = [f for f in findings(dataset) if (f.table, f.severity) == (table, "error")]
        lines += [f"{table}, {f.field}: dropped {len(f.rows):,} row(s), {f.kind}" for f in errors]
        gone = pl.concat([pl.Series(dtype=pl.UInt32), *(f.rows for f in errors)]).unique()
        height = dataset.height(table)
        if len(gone) == height:
            raise DataError(
                f"nothing is left after dropping {len(gone):,} broken row(s)",
                where=place_of(dataset, table),
            )
        if len(gone):
            rows = pl.int_range(height, dtype=pl.UInt32)
            kept = pl.select(~rows.is_in(gone.implode())).to_series()
            dataset = dataset.with_rows(table, kept)
    return dataset.with_notes([f"check --fix: {len(lines)} repair(s)"]), lines


def _clear_images(dataset: T, problems: list[Problem], lines: list[str]) -> T:
    bad: dict[tuple[str, str], dict[int, set[int]]] = {}
    for problem in problems:
        if problem.kind == "bad image" and problem.row is not None:
            column = bad.setdefault((problem.table, problem.field), {})
            column.setdefault(problem.row, set()).add(problem.item or 0)
    for (table, name), items in bad.items():
        dataset = dataset.without_images(table, name, items)
        count = sum(map(len, items.values()))
        lines.append(f"{table}, {name}: cleared {count:,} bad image(s)")
    return dataset
