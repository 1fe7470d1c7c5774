"""A ranking model as mteb takes models: `mteb.evaluate(MtebEncoder(model), tasks)`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.errors import InputError
from rankfield.extras import needs_extra
from rankfield.schema import Field
from rankfield.unicode_text import is_blank

__all__ = ["MtebEncoder"]

_KEYS = ("text", "title", "body", "query", "image")
"""What a batch of mteb's may hold for each record."""


class MtebEncoder:
    """mteb's `EncoderProtocol` over a ranking model, multi-field documents included.

    Queries and documents are told apart by mteb's prompt type; inputs of symmetric tasks are
    queries. A record without any of the model's fields has a zero vector.

    Args:
        model: the model, or its folder.
        fields: the model's field → mteb's key ("text", "title", "body", "query" or "image"). By
            default a field has the key of its own name, an image field "image", the only text
            field of a side "text" (mteb's title and body in one), and of several the first
            without a key of its name "body".
        revision: not used; mteb's protocol has it.
        device: moves the model there.

    Raises:
        ModelError: the folder is no ranking model.
        InputError: an unknown field or key, or a field without a key.
    """

    def __init__(
        self,
        model: RankingModel | str | Path,
        revision: str | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        device: str | None = None,
        **_: Any,
    ) -> None:
        self.model = model if isinstance(model, RankingModel) else RankingModel.load(model)
        if device is not None:
            self.model.to(device)
        self.revision = revision
        given = dict(fields or {})
        known = {f.name for f in (*self.model.query_fields, *self.model.document_fields)}
        for name, key in given.items():
            if name not in known or key not in _KEYS:
                raise InputError(
                    f"expected one of {', '.join(sorted(known))} and one of {', '.join(_KEYS)}, "
                    f"found {name!r}: {key!r}",
                    where="fields",
                )
        self.keys: dict[Side, dict[str, str]] = {
            "query": _keys(self.model.query_fields, given),
            "document": _keys(self.model.document_fields, given),
        }

    @property
    def mteb_model_meta(self) -> Any:
        """Return mteb's `ModelMeta` of the model.

        Raises:
            MissingExtraError: mteb is not installed.
        """
        with needs_extra("mteb", "mteb is not installed", __name__):
            from mteb.models import ModelMeta
        overwrites = {
            "name": f"rankfield/{self.model.name}",
            "revision": self.revision or "unpublished",
            "embed_dim": self.model.dimension,
            "n_parameters": sum(x.numel() for x in self.model.parameters()),
            "modalities": sorted(self.model.encoder.modalities),
            "similarity_fn_name": "cosine",
            "framework": ["PyTorch"],
        }
        return ModelMeta.create_empty(overwrites)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any = None,
        hf_split: str = "",
        hf_subset: str = "",
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> npt.NDArray[np.float32]:
        """Return N × D float32 unit embeddings, in the order of the inputs.

        Args:
            inputs: batches, each a dictionary of lists of equal length.
            task_metadata, hf_split, hf_subset: not used: the model has no prompts by task.
            prompt_type: "query", "document" or None.
            kwargs: `batch_size` is used.

        Raises:
            ImageError: an image that cannot be read.
        """
        del task_metadata, hf_split, hf_subset
        # An enum of strings: its value says which.
        side: Side = (
            "document" if getattr(prompt_type, "value", prompt_type) == "document" else "query"
        )
        parts = [np.empty((0, self.model.dimension), dtype=np.float32)]
        parts += [self._encoded(batch, side, kwargs.get("batch_size")) for batch in inputs]
        return np.concatenate(parts)

    def _encoded(
        self, batch: Mapping[str, Any], side: Side, batch_size: int | None
    ) -> npt.NDArray[np.float32]:
        size = len(next(iter(batch.values())))
        columns = {name: list(batch[key]) for name, key in self.keys[side].items() if key in batch}
        records = [
            {name: column[row] for name, column in columns.items() if _present(column[row])}
            for row in range(size)
        ]
        rows = [row for row, record in enumerate(records) if record]
        out = np.zeros((size, self.model.dimension), dtype=np.float32)
        encode = self.model.encode_queries if side == "query" else self.model.encode_documents
        if rows:
            out[rows] = encode(
                [records[row] for row in rows], batch_size=batch_size, show_progress_bar=False
            )
        return out

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return N × M cosines of embeddings that `encode` returned, float32."""
        return _matrix(embeddings1) @ _matrix(embeddings2).T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Return N cosines of row i and row i, float32."""
        return (_matrix(embeddings1) * _matrix(embeddings2)).sum(-1)


def _keys(fields: Iterable[Field], given: Mapping[str, str]) -> dict[str, str]:
    """Return field → key of one side."""
    fields = tuple(fields)
    texts = [field.name for field in fields if field.modality == "text"]
    found = {f.name: "image" for f in fields if f.modality == "image"}
    if len(texts) == 1:
        found[texts[0]] = "text"
    else:
        found |= {name: name for name in texts if name in _KEYS}
        rest = [name for name in texts if name not in found and name not in given]
        found |= dict.fromkeys(rest[:1], "body")
        if rest[1:]:
            raise InputError(
                f"no key of mteb's for the field {rest[1]!r}",
                where="fields",
                remedy=f"Say which one: fields={{{rest[1]!r}: …}}, of {', '.join(_KEYS)}.",
            )
    return found | {name: key for name, key in given.items() if name in {f.name for f in fields}}


def _present(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and is_blank(value))


def _matrix(embeddings: Any) -> torch.Tensor:
    found = torch.as_tensor(embeddings, dtype=torch.float32)
    return found[None] if found.ndim == 1 else found
