"""Embedding records into a file by the one pipeline: what was interrupted goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from rankfield.embedding.records import KEYS, Records
from rankfield.embedding.vector_files import (
    ACTIONS,
    VectorRows,
    vector_file_paths,
    write_vector_file,
)
from rankfield.encoders import RankingModel
from rankfield.errors import InputError
from rankfield.index.build import chunks_of, metadata_of
from rankfield.index.partial import filled_vectors
from rankfield.outputs import OR_OVERWRITE, require_new, require_writable, storage_errors

__all__ = ["Embedded", "check_output", "embed_records"]


@dataclass(frozen=True)
class Embedded:
    """What was written.

    rows: records with a vector.
    without_vector: records with none of the model's fields, which are left out.
    dimension: of the vectors.
    """

    rows: int
    without_vector: int
    dimension: int


def embed_records(
    model: RankingModel,
    fingerprint: str,
    records: Records,
    out: str | Path,
    *,
    columns: Sequence[str] = (),
    action: str = "index",
    overwrite: bool = False,
) -> Embedded:
    """Embed records and write their ids and float32 unit vectors.

    The vectors are kept in `.OUT.partial` until the file is complete: the same call goes on where
    an interrupted one stopped, unless model or records have changed.

    Args:
        model: whose queries or documents they are, with its dimension and precision.
        fingerprint: of its files (`encoders.fingerprint.model_fingerprint`).
        records: what is embedded.
        out: a name ending in .parquet, .npy or .jsonl (`vector_files.write_vector_file`).
        columns: written too, of .parquet and .jsonl.
        action: of .jsonl, "index" or "update".
        overwrite: replace what is there, once the new file is complete.

    Raises:
        InputError: another ending or action, no such column, or columns for .npy.
        DataError, ImageError: a field that the records lack; an image missing or unreadable.
        OutputError: the output exists, another run writes it, or it cannot be written.
    """
    path, side = Path(out), records.side
    check_output(path, columns, action, overwrite=overwrite)
    records = records.for_model(model)
    kept = [KEYS[side], *records.checked_columns(columns)]
    dataset, frame = records.dataset, records.frame
    metadata = metadata_of(model, fingerprint, dataset, frame, side, dtype="float32")
    said = {
        "model": metadata.model,
        "model_fingerprint": metadata.model_fingerprint,
        "data": metadata.data,
        "data_fingerprint": metadata.data_fingerprint,
        "side": side,
        "dimension": metadata.dimension,
        "precision": metadata.precision,
        "normalised": True,
        "rankfield": metadata.rankfield,
    }
    chunks = chunks_of(model, dataset, frame, side)
    with (
        storage_errors(path),
        filled_vectors(path, metadata, frame.height, chunks, command="embed") as filled,
    ):
        vectors = np.load(filled, mmap_mode="r" if frame.height else None, allow_pickle=False)
        rows = VectorRows(KEYS[side], frame.select(pl.col(kept)), vectors)
        count = write_vector_file(path, rows, said, action=action)
    return Embedded(count, frame.height - count, metadata.dimension)


def check_output(out: Path, columns: Sequence[str], action: str, *, overwrite: bool) -> None:
    """Refuse an output before anything is read.

    Raises:
        InputError: another ending or action, columns for .npy, or an action for other files.
        OutputError: it exists and `overwrite` is false, or nothing can be made there.
    """
    paths = vector_file_paths(out)
    suffix = out.suffix.lower()
    if suffix == ".npy" and columns:
        raise InputError(
            "an array has no place for other columns",
            where="--column",
            remedy="Write .parquet or .jsonl.",
        )
    if action not in ACTIONS:
        raise InputError(f"expected {' or '.join(ACTIONS)}, found {action!r}", where="--action")
    if suffix != ".jsonl" and action != "index":
        raise InputError(f"is for .jsonl, found {out.name}", where="--action")
    if not overwrite:
        require_new(*paths, remedy=OR_OVERWRITE)
    for path in paths:
        require_writable(path)
