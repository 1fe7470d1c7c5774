"""The images that training needs: mapped from the cache, in memory, or read for each batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankfield.encoders import ImageTransform, RankingModel
from rankfield.encoders.base import Side
from rankfield.encoders.columns import FieldColumn, ImageValue
from rankfield.encoders.patch_transform import PatchTransform
from rankfield.encoders.rows import FrameRows
from rankfield.errors import OutputError
from rankfield.progress import progress
from rankfield.schema import RankingDataset
from rankfield.terminal import echo
from rankfield.training.mapped_images import MappedImages, images_key

__all__ = ["TrainingImages"]

Ints = NDArray[np.int64]

_READ_AT_ONCE = 256


class TrainingImages:
    """What the encoder takes for the distinct images of a batch: pixels, or what is made of them.

    Args:
        model: whose transform resizes.
        dataset: where paths start from.
        columns: the fields of both sides; texts are passed over.
        rows: the rows of each side that training can meet.
        limit_mib: keep all of their images in memory if they fit into this.
        disk_mib: before that, keep them in the user's cache if they fit into this.
        outputs_mib: before all, have the encoder compute once what never changes of each image, and
            keep that in the user's cache if it fits into this.

    Raises:
        ImageError: an image is missing, or of those that are kept one cannot be read.
    """

    def __init__(
        self,
        model: RankingModel,
        dataset: RankingDataset,
        columns: Mapping[Side, Sequence[FieldColumn]],
        rows: Mapping[Side, Ints],
        *,
        limit_mib: int,
        disk_mib: int = 0,
        outputs_mib: int = 0,
    ) -> None:
        self.model, self.dataset = model, dataset
        self.images = [
            (side, column)
            for side, fields in columns.items()
            for column in fields
            if column.field.modality == "image"
        ]
        self.kept: dict[tuple[Side, str], tuple[Ints, Tensor | MappedImages]] = {}
        self.outputs: dict[tuple[Side, str], tuple[Ints, Tensor]] = {}
        for side, column in self.images:
            table = dataset.queries if side == "query" else dataset.documents
            key = "query_id" if side == "query" else "doc_id"
            met = table.select(key, column.field.name)[rows[side]]
            FrameRows.of(dataset, met, side, [column.field]).require_images(0)
        transform = model.encoder.image_transform
        if transform is None or not self.images:
            return
        used = [column.codes_of(rows[side]) for side, column in self.images]
        if outputs_mib and self._precomputed(used, outputs_mib):
            return
        size = sum(map(len, used)) * math.prod(transform.shape)
        if size and self._mapped(used, size, disk_mib):
            return
        if size > limit_mib * 2**20:
            return
        for (side, column), codes in zip(self.images, used, strict=True):
            with progress("read images", len(codes), unit="images") as advance:
                self.kept[side, column.field.name] = codes, self._read(column, codes, advance)

    def _precomputed(self, used: Sequence[Ints], disk_mib: int) -> bool:
        """Have the encoder compute what never changes, if there is such of all images."""
        transform, source = self.model.encoder.image_transform, self.dataset.image_source
        if not isinstance(transform, ImageTransform | PatchTransform):
            return False
        for (side, column), codes in zip(self.images, used, strict=True):
            values = column.take(codes)

            def read(start: int, stop: int, values: Sequence[ImageValue] = values) -> Tensor:
                return self.model.read_pixels(values[start:stop], source)

            found = self.model.encoder.precomputed_images(
                len(codes),
                read,
                images=partial(images_key, values, source, transform),
                disk_mib=disk_mib,
            )
            if found is None:
                self.outputs.clear()
                return False
            self.outputs[side, column.field.name] = codes, found
        return True

    def _mapped(self, used: Sequence[Ints], size: int, disk_mib: int) -> bool:
        """Have the images resized in the cache, unless it may not hold them."""
        transform = self.model.encoder.image_transform
        if not disk_mib or not isinstance(transform, ImageTransform | PatchTransform):
            return False
        if size > disk_mib * 2**20:
            echo(
                f"note: the resized images take {math.ceil(size / 2**20):,} MiB and are not kept: "
                f"data.image_disk_cache_mib = {disk_mib:,}.",
                err=True,
            )
            return False
        source = self.dataset.image_source
        for (side, column), codes in zip(self.images, used, strict=True):
            if not len(codes):
                continue
            try:
                images = MappedImages(
                    column.take(codes),
                    source,
                    transform,
                    lambda values: self.model.read_pixels(values, source).numpy(),
                )
            except OutputError as error:
                echo(f"note: the resized images are not kept: {error}", err=True)
                self.kept.clear()
                return False
            self.kept[side, column.field.name] = codes, images
        return True

    def items(self, side: Side, rows: Ints) -> dict[str, dict[str, Tensor]]:
        """Return image field → what the encoder takes for the distinct images of these rows.

        By ascending code: `pixels`, uint8 U × the shape that the model's transform gives, or
        `features`, float32 U × width.

        Raises:
            ImageError: an image that cannot be read.
        """
        found = {}
        for column in (column for of, column in self.images if of == side):
            name, codes = column.field.name, column.codes_of(rows)
            if (side, name) in self.outputs:
                known, outputs = self.outputs[side, name]
                places = torch.from_numpy(np.searchsorted(known, codes))
                found[name] = {"features": outputs[places]}
            else:
                found[name] = {"pixels": self._pixels(side, column, codes)}
        return found

    def _pixels(self, side: Side, column: FieldColumn, codes: Ints) -> Tensor:
        if (side, column.field.name) not in self.kept:
            return self._read(column, codes)
        known, images = self.kept[side, column.field.name]
        places = np.searchsorted(known, codes)
        if isinstance(images, MappedImages):
            return torch.from_numpy(images[places])
        return images[torch.from_numpy(places)]

    def _read(
        self, column: FieldColumn, codes: Ints, advance: Callable[[int], object] | None = None
    ) -> Tensor:
        parts = []
        for part in np.split(codes, range(_READ_AT_ONCE, len(codes), _READ_AT_ONCE)):
            if len(part):
                values = column.take(part)
                parts.append(self.model.read_pixels(values, self.dataset.image_source))
            if advance is not None:
                advance(len(part))
        transform = self.model.encoder.image_transform
        assert transform is not None
        return torch.cat(parts) if parts else torch.empty(0, *transform.shape, dtype=torch.uint8)
