"""A data set's document vectors as one Parquet file, with recipes for vector engines beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from rankfield.embedding.vector_table import VECTOR, is_plain, vector_table
from rankfield.encoders import RankingModel
from rankfield.errors import DataError, InputError, ModelError
from rankfield.files import read_json_object, write_json
from rankfield.progress import progress
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.vector_recipes import vector_recipes
from rankfield.schema import RankingDataset

__all__ = ["LAYOUT"]

_FILE, _FACTS, _RECIPES = "vectors.parquet", "vectors.json", "ENGINES.md"
_ID = "doc_id"
_UNIT = 1e-4
"""How far from 1 the length of a float32 vector may be."""


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:
    dataset = options.dataset
    if dataset is None:
        raise InputError(
            "are those of a data set's documents, and none is given",
            where="--as vectors",
            remedy="Name it (--data).",
        )
    columns = _filter_columns(model, dataset)
    if VECTOR in columns:
        raise DataError(
            f"its documents have a column {VECTOR!r}, where the vectors go",
            where=dataset.name,
            remedy="Rename the column.",
        )
    rows, without = _write_vectors(model, dataset, columns, folder / _FILE)
    facts = {
        "dimension": model.dimension,
        "rows": rows,
        "without_vector": without,
        "distance": "cosine",
        "dtype": "float32",
        "normalised": True,
        "id": _ID,
        "vector": VECTOR,
        "filters": columns,
        "data": {"name": dataset.name, "fingerprint": dataset.fingerprint()},
    }
    write_json(folder / _FACTS, facts)
    text = vector_recipes(model.dimension, {name: _kind(dataset, name) for name in columns})
    (folder / _RECIPES).write_text(text, "utf-8")


def _filter_columns(model: RankingModel, dataset: RankingDataset) -> list[str]:
    """Return the columns to filter by: texts, numbers, truth values and times, and lists of them.

    Images stay out, bytes and paths alike.
    """
    images = {f.name for f in (*model.fields("document"), *dataset.document_fields)}
    images -= {f.name for f in dataset.document_fields if f.modality == "text"}
    schema = dataset.documents.schema
    return [n for n, t in schema.items() if n != _ID and n not in images and is_plain(t)]


def _kind(dataset: RankingDataset, name: str) -> str:
    """Return "text", "integer", "float", "boolean", "time" or "list"."""
    dtype = dataset.documents.schema[name]
    if isinstance(dtype, pl.List):
        return "list"
    if isinstance(dtype, pl.Boolean):
        return "boolean"
    if isinstance(dtype, pl.Date | pl.Datetime):
        return "time"
    if dtype.is_numeric():
        return "integer" if dtype.is_integer() else "float"
    return "text"


def _write_vectors(
    model: RankingModel, dataset: RankingDataset, columns: list[str], path: Path
) -> tuple[int, int]:
    """Write ids, vectors and filter columns; return how many rows, and how many had no vector."""
    documents = dataset.documents
    writer: pq.ParquetWriter | None = None
    kept = 0
    with progress("embedding documents", len(documents), unit="documents") as advance:
        for first, vectors in model.embed_chunks(dataset, documents, "document"):
            present = np.flatnonzero(vectors.any(axis=1))
            rows = documents[first : first + len(vectors)].select(_ID, *columns)[present]
            table = vector_table(rows, vectors[present])
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
            kept += len(rows)
            advance(len(vectors))
    if writer is None:
        raise DataError("there are no documents", where=dataset.name)
    writer.close()
    return kept, len(documents) - kept


def _check(folder: Path) -> None:
    """Hold the written file to what the recipes say of it.

    Raises:
        ModelError: a vector of another length than 1, another dimension, or an id twice.
    """
    facts = read_json_object(folder / _FACTS)
    file = pq.ParquetFile(folder / _FILE)
    seen, wrong = set[Any](), None
    for batch in file.iter_batches(columns=[_ID, VECTOR]):
        vectors = batch[VECTOR].flatten().to_numpy(zero_copy_only=False)
        vectors = vectors.reshape(len(batch), -1)
        ids = batch[_ID].to_pylist()
        if vectors.shape[1] != facts["dimension"]:
            wrong = f"a vector of {vectors.shape[1]} dimensions, not {facts['dimension']}"
        elif not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < _UNIT).all():
            wrong = "a vector whose length is not 1"
        elif None in ids or len(seen.union(ids)) != len(seen) + len(ids):
            wrong = "an id that is missing or duplicated"
        if wrong is not None:
            raise ModelError(f"{_FILE} has {wrong}", where="--as vectors")
        seen.update(ids)
    if len(seen) != facts["rows"]:
        raise ModelError(f"{_FILE} has {len(seen)} rows, not {facts['rows']}", where="--as vectors")


LAYOUT = ModelLayout(
    name="vectors",
    title="vector engines (Qdrant, pgvector, Milvus and others)",
    write=_write,
    open=None,
    check=_check,
    refuses=lambda model: None,  # noqa: ARG005
    sequences="any",
    usage="""`vectors.parquet` has a row for each document: `doc_id`, `vector` (float32, length 1),
the columns to filter by. `ENGINES.md` shows how to load it into Qdrant, pgvector and Milvus with
the right dimension and distance. Documents without any of the model's fields are left out.

Queries are embedded by the model:

```python
import rankfield

model = rankfield.RankingModel.load("model")
query = model.encode_queries("red mug")[0]
```
""",
)
