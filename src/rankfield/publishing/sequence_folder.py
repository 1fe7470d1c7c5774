"""A model that reads all fields of a record in one sequence, as sentence-transformers loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rankfield.encoders import RankingModel, SequenceEncoder
from rankfield.encoders.base import Side
from rankfield.encoders.sequence_model import load_sequence_model
from rankfield.encoders.without_video import without_video
from rankfield.files import read_json_object
from rankfield.publishing.layout import ModelLayout

__all__ = ["SequenceClient", "is_sequence_folder", "refuses_sequences", "write_sequences"]

_TRANSFORMER = "sentence_bert_config.json"


class SequenceClient:
    """A folder in `SentenceTransformer`, on the CPU, which reads whole records."""

    def __init__(self, folder: Path) -> None:
        self.model = load_sequence_model(folder, str(folder))

    def encode_records(self, records: list[dict[str, Any]], side: Side) -> NDArray[np.float32]:
        """Return N × d unit vectors, zeros for a record without any field."""
        encode = self.model.encode_query if side == "query" else self.model.encode_document
        places = [place for place, record in enumerate(records) if record]
        dimension = self.model.get_embedding_dimension()
        vectors = np.zeros((len(records), dimension), dtype=np.float32)
        if places:
            with without_video():
                vectors[places] = encode(
                    [_message(records[place]) for place in places], show_progress_bar=False
                )
        return vectors


def _message(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record as its model reads it: images first, then the texts, one per line."""
    texts = [value for value in record.values() if isinstance(value, str)]
    found: dict[str, Any] = {}
    images = []
    for value in record.values():
        if not isinstance(value, str):
            images += value if isinstance(value, list) else [value]
    if images:
        found["image"] = images
    if texts:
        found["text"] = "\n".join(texts)
    return found


def is_sequence_folder(folder: Path) -> bool:
    """Return whether `write_sequences` wrote a folder."""
    path = folder / _TRANSFORMER
    return path.is_file() and "message" in read_json_object(path).get("modality_config", {})


def write_sequences(model: RankingModel, folder: Path) -> None:
    """Write the folder of a model that `refuses_sequences` does not refuse."""
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Normalize

    encoder = model.encoder
    assert isinstance(encoder, SequenceEncoder)
    library, width, dimension = encoder.model, encoder.dimension, model.dimension
    more: list[nn.Module] = []
    if dimension < width:  # no folder states a truncation, a matrix does it everywhere
        cut = Dense(width, dimension, bias=False, activation_function=nn.Identity())
        cut.linear.weight = nn.Parameter(torch.eye(dimension, width), requires_grad=False)
        more.append(cut.to(model.device))
    if more or type(library[-1]).__name__ != "Normalize":
        more.append(Normalize())
    for module in more:
        library.append(module)
    try:
        encoder.save(folder, alone=True)
    finally:
        for _ in more:
            del library[-1]


def refuses_sequences(model: RankingModel, layout: ModelLayout) -> str | None:
    """Return why a layout cannot hold a model that reads sequences; None if it can.

    Models of other kinds are for the layout itself to refuse.
    """
    if not isinstance(model.encoder, SequenceEncoder) or layout.sequences == "any":
        return None
    if layout.sequences is None:
        return (
            f"it reads texts and images in one sequence, and {layout.title} has no form for such "
            "a model; choose --as vectors, or with encoder.fusion = 'sequence' --as "
            "sentence-transformers"
        )
    if model.encoder.fusion == "fields":
        return (
            "it fuses vectors of fields that each have a prompt, images too, for which "
            f"{layout.title} has no place; choose --as vectors, or train it with encoder.fusion "
            "= 'sequence'"
        )
    return None
