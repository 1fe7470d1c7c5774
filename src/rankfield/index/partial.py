"""Vectors on their way into an index or a file: work that was interrupted goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from rankfield.errors import InputError
from rankfield.files import read_json_object, write_json
from rankfield.index.base import Chunks
from rankfield.index.mapped_files import mapped
from rankfield.index.metadata import IndexMetadata
from rankfield.work_folder import WorkFolder, work_folder

__all__ = ["filled_vectors"]

_PROGRESS, _VECTORS = "progress.json", "vectors.npy"


@contextmanager
def filled_vectors(
    folder: Path, metadata: IndexMetadata, rows: int, chunks: Chunks, *, command: str = "index"
) -> Iterator[Path]:
    """Yield a file with all vectors, which is removed when the block ends well.

    It is filled in a folder beside the output, chunk by chunk; what a build of the same origin left
    there is taken over.

    Args:
        folder: of the index, or the file that the vectors are written to.
        metadata: what the vectors are of.
        rows: how many there are.
        chunks: what makes them.
        command: which command's work folder it is.

    Raises:
        OutputError: another run writes this output, or something else is in the way.
    """
    place = folder.with_name(f".{folder.name}.partial")
    origin = json.loads(json.dumps({**metadata.origin(), "rows": rows}))
    shape = (rows, metadata.dimension)
    with work_folder(place, command, names=(_PROGRESS, _VECTORS)) as work:
        done = _done(work.path, origin, shape, metadata.dtype)
        if done is None:
            work.clear()
            _start(work, origin, shape, metadata.dtype)
            done = 0
        if done < rows:
            vectors = open_memmap(work.path / _VECTORS, mode="r+")
            for start, chunk in chunks(done):
                end = start + len(chunk)
                vectors[start:end] = chunk
                vectors.flush()  # the rows before the file that says they are there
                write_json(work.path / _PROGRESS, origin | {"done": end})
        yield work.path / _VECTORS
        work.remove()


def _start(work: WorkFolder, origin: dict[str, Any], shape: tuple[int, int], dtype: str) -> None:
    if shape[0]:
        open_memmap(work.path / _VECTORS, mode="w+", dtype=dtype, shape=shape).flush()
    else:
        np.save(work.path / _VECTORS, np.zeros(shape, dtype))
    write_json(work.path / _PROGRESS, origin | {"done": 0})


def _done(folder: Path, origin: dict[str, Any], shape: tuple[int, int], dtype: str) -> int | None:
    """Return how many rows are done; None if there is nothing of this origin, or it is damaged."""
    try:
        progress = read_json_object(folder / _PROGRESS)
        mapped(folder / _VECTORS, shape, dtype)
    except InputError:
        return None
    done = progress.pop("done", None)
    return done if progress == origin and isinstance(done, int) and 0 <= done <= shape[0] else None
