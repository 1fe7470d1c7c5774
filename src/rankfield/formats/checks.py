"""What every import checks in its tables, with file, row and remedy in the message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from rankfield.column_names import quoted_names
from rankfield.errors import DataError, ImageError
from rankfield.field_values import is_absent
from rankfield.io.table import Table
from rankfield.messages import more
from rankfield.schema import RankingDataset, ScoreScale
from rankfield.schema.tables import Tables
from rankfield.validate import first_error, fix, image_problems

__all__ = [
    "BadImages",
    "best_of_pairs",
    "check_images",
    "check_pairs",
    "require_columns",
    "require_in_scale",
    "require_known",
    "require_sound",
    "require_values",
    "require_within",
]

BadImages = Literal["ignore", "error", "drop"]
"""At an image that is missing or broken: don't look, stop, or clear the field."""


def require_columns(path: Path, columns: Sequence[str], needed: Sequence[str]) -> None:
    """Raise `DataError` unless all the needed columns are there."""
    missing = [name for name in needed if name not in columns]
    if missing:
        raise DataError(
            f"expected a column {missing[0]!r}, found {quoted_names(columns) or 'none'}",
            where=str(path),
            remedy="Rename the column, or check that this is the right file and layout.",
        )


def require_values(table: Table, *columns: str) -> None:
    """Raise `DataError` for the first row without a value in one of the columns (ids, texts)."""
    for column in columns:
        values = table.frame[column]
        values = values if values.dtype in (pl.String, pl.Binary) else values.cast(pl.String)
        bad = values.to_frame(column).select(is_absent(column, values.dtype))[column]
        table.refuse(
            column, bad, "expected a value, found nothing", "Fill it in, or remove the row."
        )


def require_within(
    table: Table, column: str, scores: pl.Series, scale: ScoreScale, remedy: str
) -> None:
    """Raise `DataError` for the first score outside the scale."""
    bad = (scores < scale.minimum) | (scores > scale.maximum)
    if bad.any():
        raise DataError(
            f"{scores[_first(bad)]:g} is outside the scale, {scale.minimum:g} to"
            f" {scale.maximum:g}{_more(bad)}",
            where=table.where(_first(bad), column),
            remedy=remedy,
        )


def require_known(table: Table, column: str, known: pl.Series, what: str) -> None:
    """Raise `DataError` for the first value that is not among the known ones; `what` names them."""
    values = table.frame.select(pl.col(column).unique())
    unknown = values.join(known.to_frame(column), on=column, how="anti")
    if unknown.height:
        bad = table.frame[column].is_in(unknown[column].implode())
        table.refuse(column, bad, f"{{}} is not {what}", "Add it there, or remove the row.")


def check_pairs(table: Table, remedy: str = "Keep one of them.") -> None:
    """Check that no (query_id, doc_id) occurs twice.

    Raises:
        DataError: the second line of the first such pair, and where the other is.
    """
    keys = ["query_id", "doc_id"]
    # hashes rule out nearly all rows in little memory; the rest is compared
    hashes = table.frame.select(pl.struct(keys).hash()).to_series()
    if hashes.n_unique() == len(hashes):
        return
    rows = table.frame.select(keys).with_row_index("row").filter(hashes.is_duplicated())
    second = rows.filter(~pl.struct(keys).is_first_distinct())
    if second.is_empty():
        return
    row, query, document = second.row(0)
    first = rows.filter(query_id=query, doc_id=document)["row"][0]
    raise DataError(
        f"the document {document!r} occurs twice for the query {query!r}, first in"
        f" {table.where(first).removeprefix(f'{table.path}, ')}",
        where=table.where(row, "doc_id"),
        remedy=remedy,
    )


def best_of_pairs(judgments: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Return one row for each (query_id, doc_id): that of the highest score, ties keep the first.

    Rows keep their order; a note says how many were left out.
    """
    keys = ["query_id", "doc_id"]
    hashes = judgments.select(pl.struct(keys).hash()).to_series()
    if hashes.n_unique() == len(hashes):
        return judgments
    numbered = judgments.select(*keys, "score").with_row_index("row")
    best = numbered.sort("score", "row", descending=[True, False]).unique(keys, keep="first")
    kept = judgments[best["row"].sort()]
    if gone := judgments.height - kept.height:
        notes.append(f"judgments: {gone:,} repeated pair(s) left out; the highest score counts")
    return kept


def check_images(
    dataset: RankingDataset, bad_images: BadImages
) -> tuple[RankingDataset, list[str]]:
    """Open every image unless told to ignore them; return the data set and what was cleared.

    Raises:
        ImageError: an image that cannot be used, if `bad_images` is "error".
        DataError: nothing would be left, if it is "drop".
    """
    if bad_images == "ignore":
        return dataset, []
    bad = [p for p in image_problems(dataset) if p.severity == "error"]
    if bad and bad_images == "error":
        first = bad[0]
        identity = "doc_id" if first.table == "documents" else "query_id"
        name = getattr(dataset, first.table)[identity][first.row or 0]
        raise ImageError(
            first.message + more(len(bad) - 1, "bad image"),
            where=f"{dataset.root or dataset.name}, {first.table}, row {first.row} (counted from"
            f" 0), {identity} {name!r}, field {first.field!r}",
            remedy="Fix the images, or clear those fields with `--bad-images drop`.",
        )
    return fix(dataset, bad) if bad else (dataset, [])


def _first(bad: pl.Series) -> int:
    return int(bad.arg_max() or 0)


def _more(bad: pl.Series) -> str:
    return more(int(bad.sum()) - 1, "row")


_REMEDIES = {
    "unknown id": "Fix the id, or remove the row",
    "duplicate pair": "Remove one",
    "duplicate id": "Give every record its own id",
    "missing id": "Give the record an id",
}
_CHOICES = {
    "unknown id": "Fix the id, or leave such judgments out with `--unknown drop`",
    "duplicate pair": "Remove one, or choose with `--duplicates highest`",
}


def require_sound(
    dataset: Tables, where: Callable[[str, int, str], str], *, choices: bool = False
) -> None:
    """Raise `DataError` for the first bad id, pair or score of a data set.

    Args:
        dataset: as it would be written.
        where: names the place of a table's row and column in the file that they come from.
        choices: whether the import has the options --unknown and --duplicates.
    """
    if found := first_error(dataset):
        problem, others = found
        remedies = _REMEDIES | _CHOICES if choices else _REMEDIES
        raise DataError(
            problem.message + more(others, "row"),
            where=where(problem.table, problem.row or 0, problem.field),
            remedy=f"{remedies.get(problem.kind, 'Fix or remove the row')}.",
        )


def require_in_scale(scores: pl.Series, scale: ScoreScale, where: Callable[[int], str]) -> None:
    """Raise `DataError` for the first score outside the scale; `where` names a row's place."""
    outside = (scores < scale.minimum) | (scores > scale.maximum)
    if outside.any():
        first = int(outside.arg_max() or 0)
        raise DataError(
            f"{scores[first]} is outside the stated scale, {scale.minimum:g} to {scale.maximum:g}",
            where=where(first),
            remedy="Fix the score, or --score-min and --score-max; without --score-min, scores"
            " of 0 and below may stand there and gain nothing.",
        )
