"""Vectors with ids as a file: Parquet, NumPy, or bulk requests for OpenSearch and Elasticsearch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq
from numpy.lib.format import open_memmap

from rankfield.embedding.vector_table import VECTOR, vector_table
from rankfield.errors import InputError
from rankfield.files import json_text, new_file

__all__ = ["ACTIONS", "VectorRows", "vector_file_paths", "write_vector_file"]

ACTIONS = ("index", "update")
"""What a bulk request does: puts whole documents, or changes those that are there."""
_PARQUET, _NUMPY, _JSON_LINES = ".parquet", ".npy", ".jsonl"
_ENDINGS = (_PARQUET, _NUMPY, _JSON_LINES)


@dataclass(frozen=True)
class VectorRows:
    """Records with a vector each, read in parts.

    key: the column of ids.
    frame: ids and the columns to write, n rows.
    vectors: n × D, float32; perhaps memory-mapped.
    size: rows of a part.
    """

    key: str
    frame: pl.DataFrame
    vectors: npt.NDArray[np.float32]
    size: int = 8192

    def __post_init__(self) -> None:
        assert len(self.frame) == len(self.vectors)

    def parts(self) -> Iterator[tuple[pl.DataFrame, npt.NDArray[np.float32]]]:
        """Yield the rows that have a vector: those of length 0 are left out."""
        for start in range(0, len(self.frame), self.size):
            vectors = np.asarray(self.vectors[start : start + self.size])
            present = np.flatnonzero(vectors.any(axis=1))
            yield self.frame[start : start + self.size][present], vectors[present]


def vector_file_paths(out: str | Path) -> list[Path]:
    """Return the files that `write_vector_file` makes: the vectors, and beside .npy the ids.

    Raises:
        InputError: a name that ends in another way.
    """
    path = Path(out)
    if path.suffix.lower() not in _ENDINGS:
        raise InputError(
            f"expected a name ending in {', '.join(_ENDINGS)}",
            where=str(path),
            remedy="Parquet, a NumPy array with ids beside it, or bulk requests.",
        )
    return [path, path.with_suffix(".ids.json")] if path.suffix.lower() == _NUMPY else [path]


def write_vector_file(
    out: Path, rows: VectorRows, metadata: Mapping[str, Any], *, action: str = "index"
) -> int:
    """Write the rows that have a vector, and return how many they are.

    Args:
        out: the file; its ending says how it is written. Parquet holds the columns and `vector`,
            lists of fixed size, .npy the array with `NAME.ids.json` beside it, .jsonl two lines for
            each record as the bulk API of OpenSearch and Elasticsearch takes them.
        rows: what is written.
        metadata: what Parquet says under the key "rankfield".
        action: one of `ACTIONS`, of .jsonl.

    Raises:
        InputError: another ending or action, or columns for .npy, which has no place for them.
        OutputError: it cannot be written.
    """
    if action not in ACTIONS:
        raise InputError(f"expected {' or '.join(ACTIONS)}, found {action!r}", where="--action")
    suffix = vector_file_paths(out)[0].suffix.lower()
    if suffix == _NUMPY:
        return _write_numpy(out, rows)
    with new_file(out) as temporary:
        if suffix == _PARQUET:
            return _write_parquet(temporary, rows, metadata)
        return _write_bulk(temporary, rows, action)


def _write_parquet(path: Path, rows: VectorRows, metadata: Mapping[str, Any]) -> int:
    empty = vector_table(rows.frame.clear(), np.empty((0, rows.vectors.shape[1]), np.float32))
    schema = empty.schema.with_metadata({"rankfield": json.dumps(metadata)})
    count = 0
    with pq.ParquetWriter(path, schema) as writer:
        for frame, vectors in rows.parts():
            writer.write_table(vector_table(frame, vectors).cast(schema))
            count += len(frame)
    return count


def _write_numpy(out: Path, rows: VectorRows) -> int:
    target, ids = vector_file_paths(out)
    present = np.concatenate(
        [np.empty(0, np.bool_), *(vectors.any(axis=1) for vectors in _chunks(rows))]
    )
    count = int(present.sum())
    with new_file(ids) as names, new_file(target) as temporary:
        names.write_text(json_text(rows.frame[rows.key].filter(pl.Series(present)).to_list()))
        shape = (count, rows.vectors.shape[1])
        if not count:
            with temporary.open("wb") as stream:
                np.save(stream, np.empty(shape, np.float32))
            return 0
        array = open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        start = 0
        for _, vectors in rows.parts():
            array[start : start + len(vectors)] = vectors
            start += len(vectors)
        array.flush()
    return count


def _chunks(rows: VectorRows) -> Iterator[npt.NDArray[np.float32]]:
    for start in range(0, len(rows.vectors), rows.size):
        yield np.asarray(rows.vectors[start : start + rows.size])


def _write_bulk(path: Path, rows: VectorRows, action: str) -> int:
    """Write a line of the action with the id, and a line of the document, for each record."""
    opening, closing = (b'{"doc":', b"}") if action == "update" else (b"", b"")
    count = 0
    with path.open("wb") as stream:
        for frame, vectors in rows.parts():
            documents = BytesIO()
            shown = frame.drop(rows.key).with_columns(_iso_times(frame))
            shown.with_columns(pl.Series(VECTOR, vectors)).write_ndjson(documents)
            lines = documents.getvalue().splitlines()
            for name, line in zip(frame[rows.key], lines, strict=True):
                head = json.dumps({action: {"_id": name}}, ensure_ascii=False)
                stream.write(head.encode() + b"\n" + opening + line + closing + b"\n")
            count += len(frame)
    return count


def _iso_times(frame: pl.DataFrame) -> list[pl.Expr]:
    """Return the columns of times as ISO 8601 with a "T", which both engines read as a date."""
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    return [pl.col(name).dt.to_string("iso:strict") for name in times]
