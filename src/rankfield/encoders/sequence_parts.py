"""Sequences of texts and images in batches of few tokens and images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankfield.encoders.text_batches import text_batches

__all__ = ["IMAGE_COUNTS", "sequence_parts"]

IMAGE_COUNTS = "num_images_per_sample"
"""The item of sentence-transformers that says how many images each sequence has, int64 N."""


def sequence_parts(
    items: Mapping[str, Tensor], tokens: int | None, images: int | None
) -> Iterator[tuple[NDArray[np.int64], dict[str, Tensor]]]:
    """Yield (rows, their items) until each of the N sequences was in one part, shortest first.

    Of what a processor gives beside the N × L token tensors three kinds are known: rows of
    sequences; rows of images, in the order of the sequences; and rows of patches, of which the
    image_grid_* of an image (frames × height × width) says how many it has. Where there is another
    kind, or one of two could be meant, all sequences are one part.

    Args:
        items: as `SequenceEncoder.prepare` returns them, with `IMAGE_COUNTS`.
        tokens: of a part, padding and places of images included, at most; a longer sequence is a
            part of its own. None: any number.
        images: of a part, at most; a sequence of more is a part of its own. None: any number.
    """
    count = len(items[IMAGE_COUNTS])
    pieces = _pieces(items)
    if pieces is None:
        yield np.arange(count), dict(items)
        return
    per_row = {name: item for name, item in items.items() if name not in pieces}
    held = items[IMAGE_COUNTS].cpu().numpy()
    for found, part in text_batches(per_row, count, tokens):
        for start, stop in pairwise(_cuts(held[found], images)):
            rows = found[start:stop]
            chosen = {name: item[start:stop] for name, item in part.items()}
            if held[rows].any():
                for name, starts in pieces.items():
                    chosen[name] = items[name][_places(starts, rows).to(items[name].device)]
            yield rows, chosen


def _pieces(items: Mapping[str, Tensor]) -> dict[str, NDArray[np.int64]] | None:
    """Return where each sequence's rows begin (N + 1 places) in each item of images or patches.

    None: an item is of no known kind.
    """
    held = items[IMAGE_COUNTS].cpu().numpy().astype(np.int64)
    count, total = len(held), int(held.sum())
    of_images = np.concatenate(([0], np.cumsum(held)))
    of_patches = None
    grid = next((item for name, item in items.items() if name.startswith("image_grid_")), None)
    if grid is not None and len(grid) == total:
        patches = np.concatenate(([0], np.cumsum(grid.cpu().numpy().prod(1))))
        of_patches = patches[of_images]
    mask = items.get("attention_mask")
    found = {}
    for name, item in items.items():
        if name == IMAGE_COUNTS:
            continue
        # Grids, and patches, may by chance have the shape of the tokens, which are whole numbers.
        if name.startswith("image_grid_") and of_patches is not None:
            found[name] = of_images
        elif mask is not None and item.shape == mask.shape and not item.is_floating_point():
            continue
        elif of_patches is not None and item.is_floating_point() and len(item) == of_patches[-1]:
            found[name] = of_patches
        elif len(item) == total and (total != count or bool((held == 1).all())):
            found[name] = of_images
        elif len(item) != count or total == count:
            return None
    return found


def _cuts(held: NDArray[np.int64], images: int | None) -> list[int]:
    """Return where parts begin, and the end, so that each has few images."""
    cuts, kept = [0], 0
    for place, number in enumerate(held.tolist()):
        if images is not None and place > cuts[-1] and kept + number > images:
            cuts.append(place)
            kept = 0
        kept += number
    return [*cuts, len(held)]


def _places(starts: NDArray[np.int64], rows: NDArray[np.int64]) -> Tensor:
    """Return the places of what belongs to these sequences."""
    spans = [np.arange(starts[row], starts[row + 1]) for row in rows.tolist()]
    return torch.from_numpy(np.concatenate(spans))
