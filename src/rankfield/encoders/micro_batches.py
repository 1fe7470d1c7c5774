"""A step's texts and images in micro-batches, whose activations need not all be kept at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from rankfield.encoders.base import Encoder
from rankfield.encoders.sequence_parts import IMAGE_COUNTS, sequence_parts
from rankfield.encoders.text_batches import row_batches, text_batches
from rankfield.schema import Modality

__all__ = ["MicroBatches", "batch_norms"]


@dataclass(frozen=True)
class MicroBatches:
    """How many tokens and images go through an encoder at once, and what of it is kept.

    Vectors and gradients are those of all at once, but for the last bits and the random numbers of
    dropout. With `cached` only the vectors of a micro-batch are kept; its activations are computed
    again when the gradients are, with the same random numbers, and the results are equal to the
    bit to those without. This is the gradient cache of Gao et al., "Scaling Deep Contrastive
    Learning Batch Size under Memory Limited Setup", arXiv 2101.06983, for any loss of the vectors.

    What batch norm normalises in training mode are whole batches: they are never split.

    Args:
        tokens, images: of a micro-batch, at most; None: all at once.
        cached: whether activations are computed again.
        unpadded: whether the padding of texts is not encoded, so that `tokens` are those without.
    """

    tokens: int | None = None
    images: int | None = None
    cached: bool = False
    unpadded: bool = False

    def encode(self, encoder: Encoder, modality: Modality, items: Mapping[str, Tensor]) -> Tensor:
        """Return `encoder.encode(modality, items)`, U × D, with gradients to the weights."""
        if batch_norms(encoder):
            return encoder.encode(modality, items)
        if IMAGE_COUNTS not in items and not _has_rows(items):
            return self._encoded(encoder, modality, dict(items))
        order, vectors = [], []
        for rows, part in self.parts(modality, items):
            order.append(rows)
            vectors.append(self._encoded(encoder, modality, part))
        places = torch.from_numpy(np.concatenate(order).argsort())
        return torch.cat(vectors)[places.to(vectors[0].device)]

    def parts(
        self, modality: Modality, items: Mapping[str, Tensor]
    ) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
        """Yield (rows, their items) of each micro-batch: each of the U rows in one of them.

        Sequences with images are split as `sequence_parts` says. Other items that do not have as
        many rows as each other are one micro-batch.
        """
        if IMAGE_COUNTS in items:
            yield from sequence_parts(items, self.tokens, self.images)
            return
        count = len(next(iter(items.values())))
        if not _has_rows(items):
            yield np.arange(count), dict(items)
            return
        if modality == "text" and self.tokens is not None and "attention_mask" in items:
            yield from text_batches(items, count, self.tokens, unpadded=self.unpadded)
            return
        size = count
        if modality == "image" and self.images is not None:
            size = self.images
        elif modality == "text" and self.tokens is not None and "input_ids" in items:
            size = max(1, self.tokens // items["input_ids"].shape[1])
        yield from row_batches(items, size)

    def _encoded(self, encoder: Encoder, modality: Modality, items: dict[str, Tensor]) -> Tensor:
        if not (self.cached and torch.is_grad_enabled()):
            return encoder.encode(modality, items)
        return cast(Tensor, checkpoint(encoder.encode, modality, items, use_reentrant=False))


def _has_rows(items: Mapping[str, Tensor]) -> bool:
    return len({len(item) for item in items.values()}) == 1


def batch_norms(encoder: Encoder) -> list[_BatchNorm]:
    """Return the batch norms in training mode: vectors, and their statistics, depend on a batch."""
    return [m for m in encoder.modules() if isinstance(m, _BatchNorm) and m.training]
