"""Between the base model and the trained one: WiSE-FT, Wortsman et al., arXiv 2109.01903."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rankfield.encoders import Encoder, RankingModel
from rankfield.errors import RecipeError
from rankfield.evaluation import DevSet
from rankfield.schema import RankingDataset
from rankfield.training.average import AverageSection
from rankfield.training.build import build_model
from rankfield.training.dev_set import mean_ndcg
from rankfield.training.lora import LoraSection
from rankfield.training.recipe import Recipe

__all__ = ["BaseMixture", "check_shares", "choose_share", "interpolated"]


class BaseMixture:
    """The end of a run with `average.wise`: the trained model mixed with its base model.

    Args:
        recipe: of the run.
        dataset: what is trained on.
        encoder: of the model before training.
        dev: what to choose the share by; None: there is one share.

    Raises:
        RecipeError: as `check_shares`.
    """

    def __init__(
        self, recipe: Recipe, dataset: RankingDataset, encoder: Encoder, dev: DevSet | None
    ) -> None:
        self.recipe, self.dataset, self.dev = recipe, dataset, dev
        check_shares(recipe.average, encoder, has_dev=dev is not None)

    def save(self, tuned: Path, out: Path, device: torch.device) -> dict[str, Any]:
        """Write the best mixture of the model in `tuned` with the base model to `out`.

        Returns the share and what was measured of each, for the log; the model says the same.
        """
        plain = self.recipe.model_copy(update={"lora": LoraSection()})
        base = build_model(plain, self.dataset).encoder
        model = RankingModel.load(tuned, allow_code=True).to(device)
        dev = self.dev
        measured: list[dict[str, float]] = []

        def measure() -> float:
            assert dev is not None
            measured.append(dev.ndcg(model))
            return mean_ndcg(measured[-1])

        shares = self.recipe.average.wise
        alpha, found = choose_share(base, model.encoder, shares, measure if dev else None)
        chosen = {"alpha": alpha, "ndcg@10": {str(share): value for share, value in found.items()}}
        model.metadata |= {"wise": chosen}
        if found:
            model.metadata["dev_ndcg@10"] = found[alpha]
            if "dev_splits" in model.metadata:
                splits = dict(zip(found, measured, strict=True))[alpha]
                model.metadata["dev_splits"] |= {"model": splits}
        model.save(out, overwrite=True)
        return chosen


def check_shares(section: AverageSection, encoder: Encoder, *, has_dev: bool) -> None:
    """Check before training that `choose_share` will be possible.

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
    """Return θ = (1 − α) · θ_base + α · θ_tuned, by name, for floating-point tensors in both.

    α = 0 and α = 1 give the weights of either side to the bit. Tensors that the base lacks (heads
    that training added) and integer tensors (counters) are not in the result. The statistics of
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

    Every share and α = 1 are measured; ties keep the smallest share, which is closest to the base.
    Without `measure` the first share is taken.

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
