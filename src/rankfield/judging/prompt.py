"""What a language model sees of a pair: texts, and images as data: addresses."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from rankfield.errors import ImageError, InputError
from rankfield.images import loaded_image
from rankfield.judging.fence import fenced, imitates_prompt
from rankfield.judging.rubric import Rubric
from rankfield.schema import Field, RankingDataset

__all__ = ["PairPrompts", "image_address"]


class PairPrompts:
    """Makes the messages of pairs.

    image_side: images are scaled down to so many pixels on their longer side; 0: no images.

    Raises:
        InputError: the rubric names a field that the data set lacks.
    """

    def __init__(self, dataset: RankingDataset, rubric: Rubric, *, image_side: int) -> None:
        self.dataset = dataset
        self.image_side = image_side
        self.system = rubric.instructions()
        self._fields = {
            table: _chosen(dataset.fields(table), names, table)
            for table, names in (
                ("queries", rubric.query_fields),
                ("documents", rubric.document_fields),
            )
        }
        self._rows = {
            "queries": _row_numbers(dataset.queries, "query_id"),
            "documents": _row_numbers(dataset.documents, "doc_id"),
        }

    def messages(self, query_id: str, doc_id: str) -> list[dict[str, Any]]:
        """Return the messages that ask for the grade of a pair.

        Raises:
            ImageError: an image that cannot be read.
        """
        parts = [
            *self._part("queries", query_id, "query"),
            *self._part("documents", doc_id, "document"),
        ]
        if all(part["type"] == "text" for part in parts):
            content: Any = "\n".join(part["text"] for part in parts)
        else:
            content = parts
        return [{"role": "system", "content": self.system}, {"role": "user", "content": content}]

    def identity(self, query_id: str, doc_id: str) -> list[str]:
        """Return what the messages of a pair depend on, images by their path or hash."""
        found = [self.system]
        for table, key in (("queries", query_id), ("documents", doc_id)):
            found += [table, key, *self._texts(table, key)]
            if self.image_side:
                found += [_image_identity(value) for value in self._images(table, key)]
        return found

    def text_length(self, query_id: str, doc_id: str) -> int:
        """Return how many characters the texts of a pair have, with what is put around them."""
        texts = (*self._texts("queries", query_id), *self._texts("documents", doc_id))
        return len(self.system) + sum(len(text) + 1 for text in texts) + 50

    def imitates_prompt(self, query_id: str, doc_id: str) -> bool:
        """Return whether a text of a pair has the prompt's tags, or an answer, in it."""
        texts = (*self._texts("queries", query_id), *self._texts("documents", doc_id))
        return any(map(imitates_prompt, texts))

    def image_count(self, query_id: str, doc_id: str) -> int:
        """Return how many images a pair has."""
        if not self.image_side:
            return 0
        return sum(
            1
            for table, key in (("queries", query_id), ("documents", doc_id))
            for _ in self._images(table, key)
        )

    def check_images(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Read every image of these pairs once.

        Raises:
            ImageError: one cannot be read; says whose it is.
        """
        if not self.image_side:
            return
        seen: set[str] = set()
        for pair in dict.fromkeys(pairs):
            for table, key in zip(("queries", "documents"), pair, strict=True):
                for value in self._images(table, key):
                    if (name := _image_identity(value)) not in seen:
                        seen.add(name)
                        self._image(table, key, value)

    def _image(self, table: str, key: str, value: str | bytes) -> str:
        try:
            return image_address(self.dataset, value, self.image_side)
        except ImageError as error:
            raise ImageError(
                error.problem,
                where=f"{self.dataset.name}, {table}, {key!r}: {error.where}",
                remedy=error.remedy,
            ) from None

    def _part(self, table: str, key: str, tag: str) -> list[dict[str, Any]]:
        text = "\n".join([f"<{tag}>", *map(fenced, self._texts(table, key)), f"</{tag}>"])
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
        if self.image_side:
            for value in self._images(table, key):
                address = self._image(table, key, value)
                parts.append({"type": "image_url", "image_url": {"url": address}})
        return parts

    def _texts(self, table: str, key: str) -> Iterator[str]:
        row = self._row(table, key)
        for field in self._fields[table]:
            if field.modality == "text" and row[field.name]:
                yield f"{field.name}: {row[field.name]}"

    def _images(self, table: str, key: str) -> Iterator[str | bytes]:
        row = self._row(table, key)
        for field in self._fields[table]:
            if field.modality == "image":
                value = row[field.name]
                for one in value if isinstance(value, list) else [value]:
                    if one:
                        yield one

    def _row(self, table: str, key: str) -> dict[str, Any]:
        frame: pl.DataFrame = getattr(self.dataset, table)
        return frame.row(self._rows[table][key], named=True)


def image_address(dataset: RankingDataset, value: str | bytes, side: int) -> str:
    """Return an image as a data: address, JPEG, its longer side at most `side` pixels.

    Raises:
        ImageError: it cannot be read.
        DataError: its path leads out of the data set's folder.
    """
    file = io.BytesIO()
    with loaded_image(dataset.image_source(value)) as image:
        image.thumbnail((side, side))
        image.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _image_identity(value: str | bytes) -> str:
    return value if isinstance(value, str) else hashlib.sha256(value).hexdigest()


def _row_numbers(frame: pl.DataFrame, key: str) -> dict[str, int]:
    return {value: row for row, value in enumerate(frame[key])}


def _chosen(fields: tuple[Field, ...], names: list[str], table: str) -> tuple[Field, ...]:
    known = {field.name: field for field in fields}
    for name in names:
        if name not in known:
            raise InputError(
                f"the rubric names the field {name!r}, which the {table} lack; found "
                + ", ".join(known),
                where="rubric",
            )
    return tuple(known[name] for name in names) if names else fields
