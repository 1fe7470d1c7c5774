"""Rows to embed: of a data set's table, or of a caller's frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import polars as pl

from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn, ImageSource, field_columns
from rankfield.encoders.present_images import require_images
from rankfield.errors import DataError
from rankfield.schema import Field, RankingDataset

__all__ = ["FrameRows", "Rows"]

_TABLES: dict[Side, tuple[str, str]] = {
    "query": ("queries", "query_id"),
    "document": ("documents", "doc_id"),
}


class Rows(Protocol):
    """What the embedding pipeline takes: N rows, each with some of the fields."""

    @property
    def fields(self) -> Sequence[Field]:
        """The fields, with their weights."""

    def __len__(self) -> int: ...

    def columns(self, start: int, stop: int) -> list[FieldColumn]:
        """Return the fields of the rows from `start` up to `stop`."""

    @property
    def image(self) -> ImageSource:
        """From a value of an image field to what `images.open_image` takes."""

    def require_images(self, first: int) -> None:
        """Raise an ImageError if an image file of the rows from `first` on is missing."""


@dataclass(frozen=True)
class FrameRows:
    """The rows of a polars frame that has a column for each of the fields.

    image: from a value of an image column to what `images.open_image` takes.
    place: where row number r is, for messages.
    remedy: what to do about a missing image file.
    """

    frame: pl.DataFrame
    fields: Sequence[Field]
    image: ImageSource
    place: Callable[[int], str]
    remedy: str = "Add the file, or write a copy without it: `rankfield check --fix`."

    @classmethod
    def of(
        cls, dataset: RankingDataset, frame: pl.DataFrame, side: Side, fields: Sequence[Field]
    ) -> FrameRows:
        """Return rows of a data set's queries or documents, whose images lie in its folder.

        Raises:
            DataError: the frame lacks one of the fields.
        """
        for field in fields:
            if field.name not in frame.columns:
                raise DataError(
                    f"the model needs the {side} field {field.name!r}, which the data lacks; "
                    f"it has {', '.join(frame.columns)}",
                    where=dataset.name,
                )

        def place(row: int) -> str:
            table, key = _TABLES[side]
            whole = dataset.queries if side == "query" else dataset.documents
            number = whole[key].index_of(frame[key][row])
            return f"{dataset.root or dataset.name}, {table}, row {number} (counted from 0)"

        return cls(frame, fields, dataset.image_source, place)

    def __len__(self) -> int:
        return self.frame.height

    def columns(self, start: int, stop: int) -> list[FieldColumn]:
        """Return the fields of the rows from `start` up to `stop`."""
        return field_columns(self.frame[start:stop], self.fields)

    def require_images(self, first: int) -> None:
        """Raise an ImageError if an image file of the rows from `first` on is missing."""
        for field in self.fields:
            dtype = self.frame.schema[field.name]
            if field.modality == "image" and dtype in (pl.String, pl.List(pl.String)):
                column = field_columns(self.frame[first:], [field])[0]
                place = partial(self._place_after, first)
                require_images(column, self.image, place, remedy=self.remedy)

    def _place_after(self, first: int, row: int) -> str:
        return self.place(first + row)
