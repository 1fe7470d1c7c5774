"""Between the base model and the trained one: WiSE-FT, Wortsman et al., arXiv 2109.01903."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from rankfield.encoders import Encoder
from rankfield.errors import RecipeError
from rankfield.training.average import AverageSection

__all__ = ["check_shares", "choose_share", "interpolated"]


def check_shares(section: AverageSection, encoder: Encoder, *, has_dev: bool) -> None:
    """Refuse what `choose_share` could not do, before anything is trained.

    Raises:
        RecipeError: shares without a pretrained model, or several without dev queries.
    """
    if not section.wise:
        return
    if not encoder.pretrained_weights():
        raise RecipeError(
            "there is no pretrained model to keep a share of", where="recipe, average.wise"
        )
    if len(set(section.wise)) > 1 and not has_dev:
        raise RecipeError(
            f"there are no dev queries to choose from {len(set(section.wise))} shares",
            where="recipe, average.wise",
            remedy="Name one share; or split the data, and measure dev.",
        )


def interpolated(
    base: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """Return θ = (1 − α) · θ_base + α · θ_tuned, by name, for what is floating in both.

    α = 0 and α = 1 give the weights of either side to the bit. Whatever the base lacks (heads
    that training added) or that does not float (counters) is not in the result. The statistics of
    batch norm are interpolated like weights, which is an approximation.

    Args:
        base, tuned: name → tensor, of one model before and after training.
        share: α, 0 to 1.

    Raises:
        ValueError: a tensor of another shape than in the base.
    """
    mixture = {}
    for name, before in base.items():
        if name not in tuned or not before.is_floating_point():
            continue
        after = tuned[name]
        if before.shape != after.shape:
            raise ValueError(f"{name}: {tuple(before.shape)} became {tuple(after.shape)}")
        mixture[name] = torch.lerp(before.to(after), after, share)
    return mixture


def choose_share(
    base: Encoder,
    tuned: Encoder,
    shares: Sequence[float],
    measure: Callable[[], float] | None,
) -> tuple[float, dict[float, float]]:
    """Give `tuned` the best mixture with `base` and return its α and α → measured value.

    Every share and α = 1 are measured; at equal values the smallest share is kept, which is closest
    to the base. Without `measure` the first share is taken as it is.

    Args:
        base: the model before training.
        tuned: the same model after it; changed in place.
        shares: candidates for α.
        measure: larger is better; called with `tuned` holding a mixture. NaN never wins.
    """
    before = base.pretrained_weights()
    after = {name: tensor.clone() for name, tensor in tuned.state_dict().items()}
    found: dict[float, float] = {}
    best = 1.0 if measure is not None else shares[0]
    if measure is not None:
        for share in sorted({*shares, 1.0}):
            tuned.load_state_dict(after | interpolated(before, after, share))
            found[share] = measure()
        known = [share for share, value in found.items() if not math.isnan(value)]
        best = max(known, key=lambda share: (found[share], -share), default=1.0)
    tuned.load_state_dict(after | interpolated(before, after, best))
    return best, found
