"""Pictures of a data set as files of an export, and as bytes."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from rankfield.errors import DataError, ImageError
from rankfield.files import link_or_copy, stays_inside
from rankfield.schema import RankingDataset

__all__ = ["picture_bytes", "with_picture_files"]

_SIGNS = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"RIFF": ".webp",
    b"BM": ".bmp",
}


def with_picture_files(dataset: RankingDataset, folder: Path) -> pl.DataFrame:
    """Return the documents with paths in their image fields, and put the pictures there.

    Bytes become files in `images/FIELD/`, named by row; paths stay, hard-linked or copied.

    Raises:
        DataError: a list of pictures, or a path that leads out of the data set's folder.
        ImageError: a picture is missing.
    """
    documents = dataset.documents
    for f in dataset.document_fields:
        if f.modality != "image":
            continue
        column = documents[f.name]
        _require_single(dataset, f.name)
        if column.dtype == pl.Binary:
            documents = documents.with_columns(_written(column, folder))
            continue
        for path in column.drop_nulls().unique(maintain_order=True):
            if path:
                _link(dataset, path, folder)
    return documents


def picture_bytes(dataset: RankingDataset, values: pl.Series) -> pl.Series:
    """Return pictures as bytes: paths are read, bytes stay, null and "" are null.

    Raises:
        ImageError: a picture is missing.
    """
    if values.dtype == pl.Binary:
        return values
    data = [_read(dataset, path) if path else None for path in values]
    return pl.Series(values.name, data, dtype=pl.Binary)


def _require_single(dataset: RankingDataset, name: str) -> None:
    if dataset.documents.schema[name].is_nested():
        raise DataError(
            f"the field {name!r} holds lists of pictures, and the layout one each",
            where=dataset.name,
            remedy="Choose another layout, or keep one picture a document.",
        )


def _written(column: pl.Series, folder: Path) -> pl.Series:
    place = Path("images") / column.name
    (folder / place).mkdir(parents=True)
    paths: list[str | None] = []
    for row, data in enumerate(column):
        if not data:
            paths.append(None)
            continue
        ending = next((e for sign, e in _SIGNS.items() if data.startswith(sign)), ".img")
        path = place / f"{row}{ending}"
        (folder / path).write_bytes(data)
        paths.append(path.as_posix())
    return pl.Series(column.name, paths, dtype=pl.String)


def _link(dataset: RankingDataset, path: str, folder: Path) -> None:
    source = _source(dataset, path)
    if not (folder / path).exists():
        link_or_copy(source, folder / path)


def _read(dataset: RankingDataset, path: str) -> bytes:
    return _source(dataset, path).read_bytes()


def _source(dataset: RankingDataset, path: str) -> Path:
    if not stays_inside(path):
        raise DataError(
            f"the picture path {path!r} leads out of the data set's folder", where=dataset.name
        )
    source = (dataset.root or Path()) / path
    if not source.is_file():
        raise ImageError(
            "no such picture",
            where=str(source),
            remedy="Run `rankfield check --fix`, or clear the field of that row.",
        )
    return source
