"""Tables that rankfield writes and that look like judgments or a run: what they are, how deep."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from rankfield.errors import DataError
from rankfield.io.table import Table
from rankfield.parsing import parse_json

__all__ = [
    "NEGATIVES",
    "RANKINGS",
    "is_rankings",
    "ranked_depth",
    "rankings_metadata",
    "refuse_rankings",
    "without_judged_score",
]

NEGATIVES = "rankfield.negatives"
"""The key in the metadata of a Parquet file of hard negatives."""
RANKINGS = "rankfield.rankings"
"""The key in the metadata of the rankings beside the results of an evaluation."""

_FORMER = {"split", "query_id", "rank", "doc_id", "similarity", "score"}
"""The columns of the rankings that earlier versions wrote, whose `score` is the judged one."""
_PRESENT = (_FORMER - {"score"}) | {"judged_score"}
_FORMER_DEPTH = 10
_DAMAGED = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


def rankings_metadata(depth: object) -> dict[str, str] | None:
    """Return what a file of rankings says of itself; None where the depth is not known."""
    return {RANKINGS: json.dumps({"depth": depth})} if isinstance(depth, int) else None


def is_rankings(path: str | Path) -> bool:
    """Return whether a file is the rankings beside the results of an evaluation.

    What cannot be read is none; reading it says what is wrong.
    """
    path = Path(path)
    if path.suffix.lower() != ".parquet":
        return False
    try:
        return _is_rankings(pl.read_parquet_schema(path))
    except _DAMAGED:
        return False


def ranked_depth(path: str | Path) -> int | None:
    """Return how many documents of a query a file of rankings of an evaluation holds at most.

    None: another file, or one whose every list is shorter than that, and so whole; or one that
    cannot be read, which reading it says.
    """
    path = Path(path)
    if not is_rankings(path):
        return None
    said = _metadata(path).get(RANKINGS)
    depth = _FORMER_DEPTH if said is None else _stated(said)
    rank = pl.col("rank").cast(pl.Float64, strict=False)
    try:
        deepest = pl.scan_parquet(path).select(rank.max()).collect().item()
    except _DAMAGED:
        return None
    return depth if deepest is not None and deepest >= depth else None


def refuse_rankings(table: Table) -> None:
    """Refuse the rankings of an evaluation as judgments: they hold a few judged scores alone.

    Raises:
        DataError: they are.
    """
    if _is_rankings(table.columns):
        raise DataError(
            "expected judgments, found the rankings of an evaluation",
            where=str(table.path),
            remedy="Give the data set's judgments.parquet first, and these as the run.",
        )


def without_judged_score(table: Table) -> Table:
    """Return a table that is read as a run, without a column `score` that is the judged one.

    Raises:
        DataError: hard negatives, which leave out every judged document.
    """
    if table.path.suffix.lower() == ".parquet" and NEGATIVES in _metadata(table.path):
        raise DataError(
            "expected ranked lists, found hard negatives: no judged document is among them",
            where=str(table.path),
            remedy="Measure the rankings that `rankfield evaluate --out` writes.",
        )
    if set(table.columns) == _FORMER:
        return table.with_frame(table.frame.drop("score"))
    return table


def _is_rankings(columns: Iterable[str]) -> bool:
    return set(columns) in (_FORMER, _PRESENT)


def _metadata(path: Path) -> Mapping[str, str]:
    try:
        return pl.read_parquet_metadata(path)
    except _DAMAGED:
        return {}


def _stated(text: str) -> int:
    """Return the depth that a file states; the usual one where the text is damaged."""
    try:
        depth = parse_json(text)["depth"]
    except (ValueError, KeyError, TypeError):
        return _FORMER_DEPTH
    return depth if isinstance(depth, int) and depth > 0 else _FORMER_DEPTH
