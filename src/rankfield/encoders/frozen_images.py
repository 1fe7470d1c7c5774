"""What a frozen vision tower gives for each image: computed once, and kept for later runs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rankfield.encoders.kept_outputs import device_of, is_plain, kept_outputs, tower_digest
from rankfield.encoders.vision_tower import VisionTower
from rankfield.progress import progress

__all__ = ["frozen_image_outputs"]

_CHUNK, _BATCH = 256, 64
_FORMAT = 1
"""To be raised when the same tower gives other bits: those of former versions are not taken."""


def frozen_image_outputs(
    tower: VisionTower,
    count: int,
    read: Callable[[int, int], Tensor],
    *,
    images: Callable[[], str],
    disk_mib: int,
) -> Tensor | None:
    """Return N × width outputs of a tower in evaluation mode, memory-mapped, on the CPU.

    The batches depend on the order of the images alone. See `kept_outputs`; the name of the entry
    says all that the bits depend on: the tower's weights, settings and libraries, the device, its
    threads, and the images.

    Args:
        tower: frozen.
        count: N.
        read: start, stop → the pixels of those images, uint8 U × the transform's shape.
        images: → a word that stands for the pixels of all images in their order; it is asked for
            only if they may be kept.
        disk_mib: what the vectors may take.

    Returns:
        None: they are not kept. Of the tower's `settings` nothing is known, its weights are not
        float32, they do not fit, or the cache cannot be written.

    Raises:
        ImageError: as `read`.
    """
    settings = tower.settings()
    if not count or not disk_mib or settings is None or not is_plain(tower):
        return None
    digest = tower_digest(tower, [_FORMAT, _CHUNK, _BATCH, images(), *settings])
    device = device_of(tower)

    def fill(vectors: Tensor) -> None:
        with torch.no_grad(), progress("frozen vision tower", count, unit="images") as advance:
            for start in range(0, count, _CHUNK):
                stop = min(start + _CHUNK, count)
                pixels = read(start, stop)
                for first in range(0, stop - start, _BATCH):
                    found = tower(pixels[first : first + _BATCH].to(device)).cpu()
                    vectors[start + first : start + first + len(found)] = found
                    advance(len(found))

    name = digest.hexdigest()[:24]
    return kept_outputs(name, (count, tower.width), fill, what="vision", disk_mib=disk_mib)
