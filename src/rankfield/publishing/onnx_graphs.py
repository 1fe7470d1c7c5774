"""An encoder's towers, and the whole of one side, as modules that become ONNX graphs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rankfield.encoders import ComposedEncoder, SentenceTransformersTower, TransformersTextTower
from rankfield.encoders.base import Encoder
from rankfield.losses.matryoshka import truncated
from rankfield.publishing.hugging_face_files import fixed_transform
from rankfield.schema import Field

__all__ = ["ImageGraph", "RecordGraph", "TextGraph", "TokenGraph", "token_states"]


class TextGraph(nn.Module):
    """Token tensors, in the order of `names` → N × d unit vectors."""

    def __init__(self, encoder: Encoder, names: Sequence[str], dimension: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.names = tuple(names)
        self.dimension = dimension

    def forward(self, *tokens: Tensor) -> Tensor:
        """Return what `Encoder.encode_text` does, normalised."""
        vectors = self.encoder.encode_text(dict(zip(self.names, tokens, strict=True)))
        return truncated(F.normalize(vectors.float(), dim=-1), self.dimension)


class TokenGraph(TextGraph):
    """Token tensors → the N × L × width states of the tokens, and the N × d unit vectors."""

    def forward(self, *tokens: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return both; the states are those that the tower pools."""
        assert isinstance(self.encoder, ComposedEncoder)
        assert self.encoder.text is not None
        inputs = dict(zip(self.names, tokens, strict=True))
        states, pooled = _states_and_pooled(self.encoder.text, inputs)
        vectors = self.encoder.text_projection(pooled)
        return states, truncated(F.normalize(vectors, dim=-1), self.dimension)


def token_states(encoder: Encoder) -> bool:
    """Return whether `TokenGraph` takes this encoder: its text tower pools states of tokens."""
    if not isinstance(encoder, ComposedEncoder):
        return False
    tower = encoder.text
    if isinstance(tower, TransformersTextTower):
        return tower.pooling in ("mean", "cls", "last_token")
    return isinstance(tower, SentenceTransformersTower)


def _states_and_pooled(tower: nn.Module, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    found: list[Tensor] = []
    if isinstance(tower, SentenceTransformersTower):
        features = tower.model(inputs)
        return features["token_embeddings"], features["sentence_embedding"]
    assert isinstance(tower, TransformersTextTower)
    # the tower itself pools, however it does
    hook = tower.model.register_forward_hook(
        lambda _module, _args, output: found.append(output.last_hidden_state)
    )
    try:
        return_value: Tensor = tower(inputs)
    finally:
        hook.remove()
    return found[0], return_value


class ImageGraph(nn.Module):
    """Normalised N × 3 × H × W float32 `pixel_values` → N × d unit vectors."""

    def __init__(self, encoder: Encoder, dimension: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dimension = dimension

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Return what `Encoder.encode_image` does for the pixels that give these values."""
        transform = fixed_transform(self.encoder.image_transform)
        # Every encoder normalises pixels itself, so the normalisation is undone before it.
        std, mean = torch.tensor(transform.std) * 255.0, torch.tensor(transform.mean) * 255.0
        pixels = pixel_values.permute(0, 2, 3, 1) * std + mean
        vectors = self.encoder.encode_image(pixels)
        return truncated(F.normalize(vectors.float(), dim=-1), self.dimension)


class RecordGraph(nn.Module):
    """All fields of N records → their N × d fused unit vectors, zeros for one without any field.

    A text field takes its token tensors, N × L, and `present`, N booleans. An image field takes
    uint8 pixels, N × K × H × W × 3 for up to K images of a record, and `present`, N × K. What is
    not present is left out, whatever its tokens or pixels.

    Args:
        encoder: of texts and images.
        fields: with the weights of the fusion.
        names: names of the token tensors.
        dimension: d.
    """

    def __init__(
        self, encoder: Encoder, fields: Sequence[Field], names: Sequence[str], dimension: int
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.fields = tuple(fields)
        self.names = tuple(names)
        self.dimension = dimension

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the fused vectors; inputs come field by field, `present` last in each."""
        left = list(inputs)
        total: Tensor | None = None
        for field in self.fields:
            count = len(self.names) if field.modality == "text" else 1
            values, present, left = left[:count], left[count], left[count + 1 :]
            if field.modality == "text":
                unit = self._unit(
                    self.encoder.encode_text(dict(zip(self.names, values, strict=True)))
                )
                part = _kept(unit, present)
            else:
                (pixels,) = values
                flat = self._unit(self.encoder.encode_image(pixels.flatten(0, 1)))
                kept = _kept(flat, present.flatten()).reshape(*present.shape, -1)
                part = F.normalize(kept.sum(dim=1), dim=-1)
            weighted = field.weight * part
            total = weighted if total is None else total + weighted
        assert total is not None
        return truncated(F.normalize(total, dim=-1), self.dimension)

    @staticmethod
    def _unit(vectors: Tensor) -> Tensor:
        return F.normalize(vectors.float(), dim=-1)


def _kept(vectors: Tensor, present: Tensor) -> Tensor:
    """Return the vectors that are present, zeros elsewhere, whatever stands there."""
    return torch.where(present.unsqueeze(-1), vectors, torch.zeros_like(vectors))
