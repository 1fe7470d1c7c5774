"""Images of a data set as files of an export, and as bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

from rankfield.errors import DataError, ImageError
from rankfield.files import link_or_copy
from rankfield.images import MAX_BYTES
from rankfield.paths import read_bytes, safe_name
from rankfield.schema import RankingDataset
from rankfield.schema.storing import image_file

__all__ = ["image_bytes", "with_image_files"]

_SIGNS = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"RIFF": ".webp",
    b"BM": ".bmp",
}
_ENDINGS = (*_SIGNS.values(), ".jpeg", ".tif", ".tiff", ".avif")


def with_image_files(dataset: RankingDataset, folder: Path) -> pl.DataFrame:
    """Return the documents with paths in their image fields, and put the images there.

    Bytes become files in `images/FIELD/`, the name made safe, named by row; paths stay, and their
    files are hard-linked or copied.

    Raises:
        DataError: a list of images, or a path that leads out of the data set's folder.
        ImageError: an image is missing.
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
                _link(dataset, f.name, path, folder)
    return documents


def image_bytes(dataset: RankingDataset, values: pl.Series) -> pl.Series:
    """Return images as bytes: paths are read, bytes stay, null and "" are null.

    Raises:
        ImageError: an image is missing.
    """
    if values.dtype == pl.Binary:
        return values
    data = [_read(dataset, values.name, path) if path else None for path in values]
    return pl.Series(values.name, data, dtype=pl.Binary)


def _require_single(dataset: RankingDataset, name: str) -> None:
    if dataset.documents.schema[name].is_nested():
        raise DataError(
            f"the field {name!r} holds lists of images, and the layout one each",
            where=dataset.name,
            remedy="Choose another layout, or keep one image a document.",
        )


def _written(column: pl.Series, folder: Path) -> pl.Series:
    place = Path("images") / safe_name(column.name)
    (folder / place).mkdir(parents=True, exist_ok=True)
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


def _link(dataset: RankingDataset, name: str, path: str, folder: Path) -> None:
    source = image_file(dataset, path, f"documents, {name}")
    target = folder / path
    if target.exists():
        return
    if target.suffix.lower() in _ENDINGS:
        link_or_copy(source, target)
    else:  # a table of the layout may be of that name, and would be written through the link
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _read(dataset: RankingDataset, name: str, path: str) -> bytes:
    place = f"documents, {name}"
    return read_bytes(image_file(dataset, path, place), MAX_BYTES, ImageError)
