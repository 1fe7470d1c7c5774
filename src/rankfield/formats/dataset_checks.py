"""What an import checks in its tables together: ids, pairs and scores, with their places."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from rankfield.errors import DataError
from rankfield.messages import more
from rankfield.schema import ScoreScale
from rankfield.schema.tables import Tables
from rankfield.validate import first_error

__all__ = ["require_in_scale", "require_sound"]

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
