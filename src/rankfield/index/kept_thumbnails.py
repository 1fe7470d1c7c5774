"""The small images of a segment's documents, in files beside its vectors."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rankfield.durable import sync
from rankfield.index.mapped_files import fresh, mapped

__all__ = ["KeptThumbnails", "merged_thumbnails", "write_thumbnails"]


@dataclass(frozen=True)
class KeptThumbnails:
    """The small images of a segment, memory-mapped.

    content: uint8, one image after the other.
    places: int64 (rows, 2), from where to where in it; −1 where it is not known whether there is
        one.
    """

    content: npt.NDArray[np.uint8]
    places: npt.NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path, number: int, rows: int) -> KeptThumbnails:
        """Open the files of a segment.

        Raises:
            InputError: they are missing, damaged or of another shape.
        """
        content, places = _paths(folder, number)
        return cls(mapped(content, None, "uint8"), mapped(places, (rows, 2), "int64"))

    def of(self, row: int) -> bytes | None:
        """Return the image of a row; b"" if it has none, None where that is not known."""
        start, end = self.places[row].tolist()
        return None if start < 0 else self.content[start:end].tobytes()


def write_thumbnails(folder: Path, number: int, images: Iterable[bytes | None], rows: int) -> None:
    """Write the small images of a segment, one by one, so that they survive a loss of power.

    Args:
        folder: of the index.
        number: of the segment.
        images: of each row: b"" for none, None where that is not known.
        rows: how many there are.
    """
    places = np.full((rows, 2), -1, dtype=np.int64)
    paths = _paths(folder, number)
    with fresh(paths[0]).open("wb") as file:
        file.write(_head(0))
        first = file.tell()
        for row, image in enumerate(images):
            if image is not None:
                places[row, 0] = file.tell() - first
                file.write(image)
                places[row, 1] = file.tell() - first
        size = file.tell() - first
        file.seek(0)
        file.write(_head(size))
    np.save(fresh(paths[1]), places)
    for path in paths:
        sync(path)


def _paths(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"thumbnails-{number}.npy", folder / f"thumbnail-places-{number}.npy"


def _head(size: int) -> bytes:
    """Return the head of a NumPy file of so many bytes, always as long."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "|u1", "fortran_order": False, "shape": (size,)}
    )
    return out.getvalue()


def merged_thumbnails(
    parts: Sequence[tuple[KeptThumbnails | None, Sequence[int]]],
) -> Iterator[bytes | None]:
    """Yield the images of some rows of several segments; None for those of one that keeps none."""
    for kept, rows in parts:
        for row in rows:
            yield kept.of(row) if kept is not None else None
