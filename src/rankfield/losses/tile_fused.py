"""A tile of logits on a GPU: each step is one Triton kernel (`tile_kernels`)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from rankfield.losses.judged_lists import NO_LOGIT
from rankfield.losses.tile_form import Places, Side, TileForm
from rankfield.losses.tile_softmax import SoftmaxTile

__all__ = ["FusedTile", "fused"]


@dataclass(frozen=True)
class FusedTile(TileForm):
    """What another form does, by kernels: a tile holds logits, `NO_LOGIT` for judged pairs.

    form: `SoftmaxTile` or `SigmoidTile`.
    scale: what the tile is multiplied by, one element; None: 1. Products of bfloat16 are exact in
        float32, a scaled factor would not be.
    """

    asks_bound: ClassVar[bool] = False
    form: TileForm
    scale: Tensor | None = None

    @property
    def nothing(self) -> float:  # type: ignore[override]
        """As the form has it."""
        return self.form.nothing

    def scaled(self, scale: Tensor) -> FusedTile:
        """Return the same for tiles of logits divided by a scale."""
        return replace(self, scale=scale)

    def take(self, logits: Tensor, places: Places, _bounded: bool) -> float | None:
        """Leave the logits as they are, but those of judged pairs."""
        logits[places] = NO_LOGIT
        return None

    def again(self, _logits: Tensor, _shift: float | None) -> None:
        """Leave the logits as they are."""

    def add(
        self, rows: Tensor | None, columns: Tensor | None, tile: Tensor, _shift: float | None
    ) -> None:
        """Add a tile to running sums, in one pass."""
        from rankfield.losses.tile_kernels import add_up

        add_up(tile, self._scale(tile), rows, columns, softmax=self._softmax)

    def gradient(
        self,
        tile: Tensor,
        _shift: float | None,
        rows: Side | None,
        columns: Side | None,
        out: Tensor,
    ) -> Tensor:
        """Return the gradient by the logits."""
        from rankfield.losses.tile_kernels import gradient

        gradient(tile, self._scale(tile), rows, columns, out, softmax=self._softmax)
        return out

    def combined(self, parts: Tensor) -> Tensor:
        """As the form has it."""
        return self.form.combined(parts)

    @property
    def _softmax(self) -> bool:
        return isinstance(self.form, SoftmaxTile)

    def _scale(self, tile: Tensor) -> Tensor:
        return tile.new_ones(()) if self.scale is None else self.scale


def fused(form: TileForm, like: Tensor) -> TileForm:
    """Return the form by kernels where they run, which is on CUDA with Triton, else itself.

    Args:
        form: what is summed.
        like: embeddings; those of float64 have no kernels.
    """
    runs = like.device.type == "cuda" and like.dtype != torch.float64
    return FusedTile(form) if runs and importlib.util.find_spec("triton") is not None else form
