"""What each field of a document adds to its vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.encoders import RankingModel
from rankfield.errors import InputError
from rankfield.field_values import first_value
from rankfield.index import Index
from rankfield.schema import RankingDataset

__all__ = ["DocumentFields"]

FieldVectors = Mapping[str, npt.NDArray[np.float64]]

_TOLERANCE = 2e-3
"""Of a stored vector against its fields': those of float16 are rounded."""


class DocumentFields:
    """Embeds the fields of documents again, one by one.

    A document's vector is normalise(Σ_f ω_f · v_f)[:d], normalised again: field f adds
    c · ω_f · v_f[:d], with one c for all fields of a document.
    """

    def __init__(self, model: RankingModel, dataset: RankingDataset | None = None) -> None:
        """Take the contents of `dataset`, or else what an index stores.

        Args:
            model: of the index.
            dataset: that the index was built of, for fields that the index does not store.
        """
        self._model, self._dataset = model, dataset

    @classmethod
    def of_index(cls, index: Index, model: RankingModel) -> DocumentFields:
        """Take the contents of the data set of an index, if one is needed and still there."""
        stored = index.documents([]).columns
        place = index.metadata.data_place(index.folder)
        if place is None or all(field.name in stored for field in model.fields("document")):
            return cls(model)
        try:
            return cls(model, RankingDataset.load(place))
        except (InputError, OSError):
            return cls(model)

    def added(
        self, documents: pl.DataFrame, vectors: npt.NDArray[np.float32]
    ) -> tuple[list[FieldVectors | None], str]:
        """Return field → what it adds, float64 (D,), for each document, and why not.

        Where the fields do not make up the stored vector, since the document has changed or its
        fields are not known, it is None, and the text says why.

        Args:
            documents: stored documents.
            vectors: float32 (n, D), theirs.
        """
        nothing: list[FieldVectors | None] = [None] * documents.height
        if self._model.encoder.fusion == "sequence":
            return nothing, "the model reads all fields of a document together"
        contents = self._contents(documents)
        if contents is None:
            return nothing, "the fields of the documents are not all known here"
        try:
            embedded = self._embedded(contents)
        except (InputError, OSError) as error:
            return nothing, f"a field cannot be embedded again ({error})"
        found = [_shares(fields, vector) for fields, vector in zip(embedded, vectors, strict=True)]
        changed = "" if None not in found else "a document is not as it was when it was embedded"
        return found, changed

    def _contents(self, documents: pl.DataFrame) -> list[dict[str, Any]] | None:
        """Return field → what is there, for each document; None where a field is not known."""
        names = [field.name for field in self._model.fields("document")]
        rows = documents
        if self._dataset is not None:
            known = self._dataset.documents
            rows = documents.select("doc_id").join(
                known, on="doc_id", how="left", maintain_order="left"
            )
        if not set(names) <= set(rows.columns):
            return None
        return [
            {name: row[name] for name in names if first_value(row[name]) is not None}
            for row in rows.iter_rows(named=True)
        ]

    def _embedded(self, contents: Sequence[Mapping[str, Any]]) -> list[FieldVectors]:
        """Return field → ω_f · v_f[:d] for each document."""
        weights = {f.name: f.weight for f in self._model.current_fields("document")}
        alone = [
            (place, name, value)
            for place, fields in enumerate(contents)
            for name, value in fields.items()
        ]
        found: list[dict[str, npt.NDArray[np.float64]]] = [{} for _ in contents]
        if alone:
            vectors = self._model.encode_documents(
                [{name: value} for _, name, value in alone],
                root=None if self._dataset is None else self._dataset.root or Path(),
                truncate_dim=self._model.encoder.dimension,
                show_progress_bar=False,
            )
            for (place, name, _), vector in zip(alone, vectors, strict=True):
                cut = vector[: self._model.dimension].astype(np.float64)
                found[place][name] = weights[name] * cut
        return list(found)


def _shares(fields: FieldVectors, vector: npt.NDArray[np.float32]) -> FieldVectors | None:
    """Return the fields scaled so that they add up to a vector; None if they do not."""
    total = sum(fields.values(), np.zeros(len(vector)))
    length = float(np.linalg.norm(total))
    if not length or np.abs(total / length - vector).max() > _TOLERANCE:
        return None
    return {name: added / length for name, added in fields.items()}
