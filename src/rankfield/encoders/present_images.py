"""Whether the image files that records name are there, asked before long work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from rankfield.encoders.base import Side
from rankfield.errors import ImageError
from rankfield.field_values import flat_values
from rankfield.messages import more
from rankfield.schema import Field, RankingDataset

__all__ = ["require_images"]

_TABLES: dict[Side, tuple[str, str]] = {
    "query": ("queries", "query_id"),
    "document": ("documents", "doc_id"),
}


def require_images(
    dataset: RankingDataset, frame: pl.DataFrame, side: Side, fields: Iterable[Field]
) -> None:
    """Make sure that every image file of these records exists; none is opened.

    Args:
        dataset: whose folder the paths start from.
        frame: rows of its queries or documents.
        side: which of them.
        fields: those that a model uses; texts are passed over.

    Raises:
        ImageError: a file is missing; names it, the row of the data set's table (not of `frame`),
            and how many more are missing.
    """
    for field in fields:
        if field.modality != "image":
            continue
        rows, values = flat_values(frame[field.name])
        if values.dtype != pl.String:
            continue
        paths = values.unique(maintain_order=True)
        sources = (dataset.image_source(value) for value in paths)
        there = [isinstance(source, Path) and source.is_file() for source in sources]
        missing = paths.filter(~pl.Series(there, dtype=pl.Boolean))
        if len(missing):
            row = int(rows[np.flatnonzero((values == missing[0]).to_numpy())[0]])
            raise ImageError(
                f"no such picture: {dataset.image_source(missing[0])!s}" + more(len(missing) - 1),
                where=f"{_place(dataset, frame, side, row)}, field {field.name!r}",
                remedy="Add the file, or write a copy without it: `rankfield check --fix`.",
            )


def _place(dataset: RankingDataset, frame: pl.DataFrame, side: Side, row: int) -> str:
    """Return where in the data set's table a row of `frame` is."""
    table, key = _TABLES[side]
    identity = frame[key][row]
    whole = dataset.queries if side == "query" else dataset.documents
    number = whole[key].index_of(identity)
    return f"{dataset.root or dataset.name}, {table}, row {number} (counted from 0)"
