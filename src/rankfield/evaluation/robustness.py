"""What a model loses where fields are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.encoders.fusion import fuse
from rankfield.encoders.pipeline import embedded, joined
from rankfield.encoders.rows import FrameRows
from rankfield.errors import InputError
from rankfield.evaluation.evaluate import evaluate
from rankfield.evaluation.options import EvaluationOptions
from rankfield.evaluation.ranker import ModelRanker
from rankfield.evaluation.results import Results
from rankfield.field_values import flat_values
from rankfield.schema import Field, RankingDataset

__all__ = ["FieldEmbeddings", "droppable_fields", "measure_robustness"]

_SIDES: tuple[Side, ...] = ("query", "document")


class FieldEmbeddings:
    """Each field's own embeddings of all records, computed once, for any choice of fields.

    Leaving fields out is what fusion does of itself where they are absent: e = normalise(Σ_f ω_f ·
    v_f) over the others. Memory: records × dimension × 4 bytes for each field.

    Args:
        model: the model.
        dataset: the data set.

    Raises:
        DataError: a field that the data lacks.
        ImageError: an image that cannot be read.
    """

    def __init__(self, model: RankingModel, dataset: RankingDataset) -> None:
        self.model = model
        self.dataset = dataset
        self._parts: dict[Side, dict[str, torch.Tensor]] = {side: {} for side in _SIDES}
        for side in _SIDES:
            frame = _frame(dataset, side)
            FrameRows.of(dataset, frame, side, model.fields(side))  # refuses a missing column
            if model.encoder.fusion == "sequence":
                continue  # each choice of fields is read again
            for field in model.current_fields(side):
                self._parts[side][field.name] = torch.from_numpy(self._alone(field, side, frame))

    def _alone(self, field: Field, side: Side, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Return the embeddings of one field, (rows, D); zero rows where it is absent."""
        model, dimension = self.model, self.model.encoder.dimension
        present = np.unique(flat_values(frame[field.name])[0])
        rows = FrameRows.of(self.dataset, frame[present.tolist()], side, [field])
        chunks = embedded(model, rows, side, dimension=dimension, batch_size=model.batch_size)
        vectors = np.zeros((frame.height, dimension), dtype=np.float32)
        vectors[present] = joined(chunks, len(rows), dimension)
        return vectors

    def _read(self, side: Side, without: Sequence[str]) -> NDArray[np.float32]:
        """Return the embeddings of all records, their other fields read in one sequence."""
        model, frame = self.model, _frame(self.dataset, side)
        fields = [field for field in model.current_fields(side) if field.name not in without]
        rows = FrameRows.of(self.dataset, frame, side, fields)
        chunks = embedded(model, rows, side, dimension=model.dimension, batch_size=model.batch_size)
        return joined(chunks, frame.height, model.dimension)

    def fused(self, side: Side, without: Sequence[str] = ()) -> NDArray[np.float32]:
        """Return the embeddings of all records from the other fields, (rows, d).

        A record of which nothing is left has a zero row.
        """
        if self.model.encoder.fusion == "sequence":
            return self._read(side, without)
        weights = {f.name: f.weight for f in self.model.current_fields(side)}
        parts = {n: part for n, part in self._parts[side].items() if n not in without}
        return fuse(parts, weights, self.model.dimension).numpy()

    def without(self, fields: Sequence[str]) -> ModelRanker:
        """Return the model as a ranker, as if no record had these fields.

        A document of which nothing is left is not retrieved, a query of which nothing is left
        retrieves nothing: both count as failures, since that is what users would see.

        Args:
            fields: names of fields, "title", or with their side, "document.title".

        Raises:
            InputError: an unknown field, one that both sides have without its side, or all fields
                of a side.
        """
        dropped = _dropped(self.model, fields)
        vectors = {side: self.fused(side, dropped[side]) for side in _SIDES}
        names = [f"{side}.{name}" for side in _SIDES for name in dropped[side]]
        return ModelRanker(_Fused(self.model.name, self.dataset, vectors), {"without": names})


def droppable_fields(model: RankingModel) -> list[str]:
    """Return the fields that a model can do without, as "document.title": other fields remain."""
    return [
        f"{side}.{field.name}"
        for side in _SIDES
        for field in model.fields(side)
        if len(model.fields(side)) > 1
    ]


def measure_robustness(
    embeddings: FieldEmbeddings, results: Results, options: EvaluationOptions | None = None
) -> Results:
    """Return the results with ``robustness`` filled: each field of `droppable_fields` left out.

    Args:
        embeddings: of the model and the data set.
        results: of the whole model, whose splits, subset and protocol are used again.
        options: those of the results; depth and search are taken of them.

    Raises:
        InputError: neither side has more than one field.
        SplitError, DataError: as `evaluate`.
    """
    fields = droppable_fields(embeddings.model)
    if not fields:
        raise InputError(
            "queries and documents have one field each: without it nothing is left",
            where=embeddings.model.name,
        )
    again = replace(
        options or EvaluationOptions(),
        splits=list(results.splits),
        subset=None if results.subset == "all" else results.subset,
        protocol=results.protocol,
    )
    found = {
        field: evaluate(embeddings.without([field]), embeddings.dataset, again).splits
        for field in fields
    }
    return replace(results, robustness=found)


@dataclass(frozen=True)
class _Fused:
    """Embeddings of all records that are fused already, as an `Embedder`."""

    name: str
    dataset: RankingDataset
    vectors: Mapping[Side, NDArray[np.float32]]

    def embed_queries(self, _: RankingDataset, queries: pl.DataFrame) -> NDArray[np.float32]:
        """Return the embeddings of some of the queries."""
        return _rows(self.dataset.queries, queries, "query_id", self.vectors["query"])

    def embed_documents(self, _: RankingDataset, documents: pl.DataFrame) -> NDArray[np.float32]:
        """Return the embeddings of some of the documents."""
        return _rows(self.dataset.documents, documents, "doc_id", self.vectors["document"])


def _frame(dataset: RankingDataset, side: Side) -> pl.DataFrame:
    return dataset.queries if side == "query" else dataset.documents


def _dropped(model: RankingModel, fields: Sequence[str]) -> dict[Side, list[str]]:
    known = [(side, field.name) for side in _SIDES for field in model.fields(side)]
    dropped: dict[Side, list[str]] = {side: [] for side in _SIDES}
    for wanted in fields:
        matches = [(s, name) for s, name in known if wanted in (name, f"{s}.{name}")]
        if len(matches) != 1:
            names = ", ".join(f"{s}.{name}" for s, name in known)
            problem = "unknown field" if not matches else "both sides have a field"
            raise InputError(f"{problem} {wanted!r}; expected one of {names}", where="without")
        side, name = matches[0]
        if name not in dropped[side]:
            dropped[side].append(name)
        if len(dropped[side]) == len(model.fields(side)):
            raise InputError(
                f"without {', '.join(dropped[side])} nothing is left of a {side}", where="without"
            )
    return dropped


def _rows(
    table: pl.DataFrame, part: pl.DataFrame, key: str, vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the vectors of a part of a table's rows."""
    numbered = table.select(key).with_row_index("row")
    rows = part.select(key).join(numbered, on=key, how="left", maintain_order="left")["row"]
    found: NDArray[np.float32] = vectors[rows.to_numpy()]
    return found
