"""Field weights that depend on the query: a document scores high in the field that is asked for.

    with query_weights(sharpness=10.0):
        train(recipe, dataset, out)

After mFAR (Li et al., arXiv 2410.20056, section 3.2), with dense scorers alone:
s(q, d) = Σ_f w_f(q) · cos(q, d_f), w(q) = softmax_f(log ω_f + sharpness · a_f · q), a learnt and 0
at first. One inner product of longer vectors gives that order: a query is the blocks w_f(q) · q, a
document its fields' unit embeddings, each made a unit vector. With F fields an index grows F-fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.encoders.fusion import FieldBatch, fuse
from rankfield.encoders.pipeline import embedded, joined
from rankfield.encoders.rows import FrameRows
from rankfield.schema import RankingDataset
from rankfield.training import build, trainer

__all__ = ["QueryWeightedModel", "query_weights"]

_FILE = "query_weights.safetensors"


class QueryWeightedModel(RankingModel):
    """A ranking model whose embeddings have a block for each document field.

    sharpness: of the weights in the query.
    whole: whether the fused embedding has a block too, with the sum of the fields' weights.
    """

    sharpness, whole = 10.0, False
    given: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = [field.weight for field in self.document_fields]
        given += [sum(given)] if self.whole else []
        width = self.encoder.dimension
        self.register_buffer("given", torch.tensor(given).log(), persistent=False)
        self.asked = nn.Parameter(torch.zeros(len(given), width))
        self.dimension = len(given) * width

    def truncate_to(self, dimension: int) -> RankingModel:
        """Return the model as it is: no block can be left out."""
        del dimension
        return self

    def weights_of(self, queries: Tensor) -> Tensor:
        """Return the m × F weights of the blocks, of m × D queries."""
        return torch.softmax(self.given + self.sharpness * queries @ self.asked.T, dim=1)

    @contextmanager
    def _as_encoder(self) -> Iterator[None]:
        """Have the dimension of the encoder, as the class above knows no other."""
        width, self.dimension = self.dimension, self.encoder.dimension
        try:
            yield
        finally:
            self.dimension = width

    def _blocks(self, queries: Tensor) -> Tensor:
        weighted = self.weights_of(queries).unsqueeze(2) * queries.unsqueeze(1)
        return F.normalize(weighted.flatten(1), dim=1)

    def _joined(self, parts: dict[str, Tensor]) -> Tensor:
        """Return documents' blocks of the embeddings of their fields, zero rows where absent."""
        some = next(iter(parts.values()))
        blocks = [parts.get(f.name, torch.zeros_like(some)) for f in self.document_fields]
        if self.whole:
            blocks.append(fuse(parts, {f.name: f.weight for f in self.document_fields}))
        return F.normalize(torch.cat(blocks, 1), dim=1)

    def encode_parts(self, batch: FieldBatch, side: Side) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the blocks as unit rows, and no fields' own."""
        with self._as_encoder():
            fused, parts = super().encode_parts(batch, side)
        return (self._blocks(fused) if side == "query" else self._joined(parts)), {}

    def embed_chunks(
        self,
        dataset: RankingDataset,
        frame: pl.DataFrame,
        side: Side,
        *,
        done: int = 0,
        show: bool = True,
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the blocks of all rows at once."""
        del done, show
        fields = self.fields(side)
        groups = [fields] if side == "query" else [(field,) for field in fields]
        found = {}
        for group in groups:
            rows = FrameRows.of(dataset, frame, side, group)
            width, size = self.encoder.dimension, self.batch_size
            chunks = embedded(self, rows, side, dimension=width, batch_size=size, show=False)
            found[group[0].name] = torch.from_numpy(joined(chunks, len(frame), width))
        with torch.no_grad():
            blocks = self._blocks(found[fields[0].name]) if side == "query" else self._joined(found)
        yield 0, blocks.numpy()

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the model, and what weighs the fields beside it."""
        with self._as_encoder():
            super().save(folder, overwrite=overwrite)
        save_file({"asked": self.asked.detach().contiguous()}, Path(folder) / _FILE)

    @classmethod
    def load(cls, folder: str | Path, *, allow_code: bool = False) -> RankingModel:
        """Read what `save` wrote."""
        model = super().load(folder, allow_code=allow_code)
        model.load_state_dict(load_file(Path(folder) / _FILE), strict=False)
        return model


@contextmanager
def query_weights(*, sharpness: float = 10.0, whole: bool = False) -> Iterator[None]:
    """Let `train` make and return models of such weights while the context lasts."""
    kind = type("Model", (QueryWeightedModel,), {"sharpness": sharpness, "whole": whole})
    with patch.object(build, "RankingModel", kind), patch.object(trainer, "RankingModel", kind):
        yield
