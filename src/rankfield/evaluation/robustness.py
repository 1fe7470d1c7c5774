"""What a model loses where fields are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.encoders.fusion import fuse
from rankfield.encoders.rows import FrameRows
from rankfield.errors import InputError
from rankfield.evaluation.evaluate import evaluate_rankings
from rankfield.evaluation.results import Results
from rankfield.field_values import flat_values
from rankfield.losses.matryoshka import truncated
from rankfield.metrics import Mean
from rankfield.schema import Field, RankingDataset, SplitView
from rankfield.search import Corpus, Hits

__all__ = ["FieldEmbeddings", "droppable_fields", "evaluate_without", "measure_robustness"]

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
        ImageError: a picture that cannot be read.
    """

    def __init__(self, model: RankingModel, dataset: RankingDataset) -> None:
        self.model = model
        self.dataset = dataset
        self._parts: dict[Side, dict[str, torch.Tensor]] = {side: {} for side in _SIDES}
        for side in _SIDES:
            frame = _frame(dataset, side)
            FrameRows.of(dataset, frame, side, model.fields(side))  # refuses a missing column
            for field in model.current_fields(side):
                self._parts[side][field.name] = torch.from_numpy(self._alone(field, side, frame))

    def _alone(self, field: Field, side: Side, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Return the embeddings of one field, (rows, D); zero rows where it is absent."""
        encoder = self.model.encoder
        rows = np.unique(flat_values(frame[field.name])[0])
        vectors = np.zeros((frame.height, encoder.dimension), dtype=np.float32)
        if len(rows):
            alone = RankingModel(encoder, [field], [field]).to(self.model.device)
            alone.batch_size = self.model.batch_size
            embed = alone.embed_queries if side == "query" else alone.embed_documents
            vectors[rows] = embed(self.dataset, frame[rows.tolist()])
        return vectors

    def fused(self, side: Side, without: Sequence[str] = ()) -> NDArray[np.float32]:
        """Return the embeddings of all records from the other fields, (rows, d).

        A record of which nothing is left has a zero row.
        """
        weights = {f.name: f.weight for f in self.model.current_fields(side)}
        parts = {n: part for n, part in self._parts[side].items() if n not in without}
        return truncated(fuse(parts, weights), self.model.dimension).numpy()


def droppable_fields(model: RankingModel) -> list[str]:
    """Return the fields that a model can do without, as "document.title": other fields remain."""
    return [
        f"{side}.{field.name}"
        for side in _SIDES
        for field in model.fields(side)
        if len(model.fields(side)) > 1
    ]


def evaluate_without(
    embeddings: FieldEmbeddings,
    fields: Sequence[str],
    *,
    splits: Sequence[str] | None = None,
    subset: str | None = "test",
    k: int = 1000,
    keep: int = 10,
    label: str | None = None,
    device: str = "cpu",
    protocol: str = "rankfield",
    made: dict[str, Any] | None = None,
    memory_mib: int = 256,
    precision: str = "auto",
) -> Results:
    """Return the same as `evaluate`, as if no record had these fields.

    A document of which nothing is left is not retrieved, a query of which nothing is left
    retrieves nothing: both count as failures, since that is what users would see.

    Args:
        embeddings: of the model and the data set.
        fields: names of fields, "title", or with their side, "document.title".
        splits, subset, k, keep, label, device, protocol, memory_mib, precision: as `evaluate`.
        made: what else to write into ``Results.made``, beside the fields left out.

    Raises:
        InputError: an unknown field, one that both sides have without its side, or all fields of
            a side.
        SplitError, DataError: as `evaluate`.
    """
    model, dataset = embeddings.model, embeddings.dataset
    dropped = _dropped(model, fields)
    queries = embeddings.fused("query", dropped["query"])
    documents = embeddings.fused("document", dropped["document"])

    def search(view: SplitView) -> Hits:
        asked = _rows(dataset.queries, view.queries, "query_id", queries)
        found = _rows(dataset.documents, view.documents, "doc_id", documents)
        return Corpus.of(found).search(
            asked, k, device=device, memory_mib=memory_mib, precision=precision
        )

    names = [f"{side}.{name}" for side in _SIDES for name in dropped[side]]
    return evaluate_rankings(
        model.name,
        search,
        dataset,
        splits=splits,
        subset=subset,
        keep=keep,
        label=label,
        protocol=protocol,
        made={"k": k, **(made or {}), "without": names},
    )


def measure_robustness(
    embeddings: FieldEmbeddings,
    results: Results,
    *,
    k: int = 1000,
    device: str = "cpu",
    memory_mib: int = 256,
    precision: str = "auto",
) -> Results:
    """Return the results with ``robustness`` filled: each field of `droppable_fields` left out.

    Args:
        embeddings: of the model and the data set.
        results: of the whole model, whose splits, subset and protocol are used again.
        k: how many documents to retrieve for a query.
        device, memory_mib, precision: as `evaluate`.

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
    found: dict[str, dict[str, dict[str, Mean]]] = {}
    for field in fields:
        subset = None if results.subset == "all" else results.subset
        without = evaluate_without(
            embeddings,
            [field],
            splits=list(results.splits),
            subset=subset,
            k=k,
            device=device,
            protocol=results.protocol,
            memory_mib=memory_mib,
            precision=precision,
        )
        found[field] = without.splits
    return replace(results, robustness=found)


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
