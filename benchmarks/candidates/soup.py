"""The mean of several trained models: a soup (Wortsman et al., arXiv 2203.05482).

    python benchmarks/candidates/soup.py runs/a/model runs/b/model --out runs/soup

The runs began with the same pretrained weights and differ in seed or settings. (`average.ema`
averages over the steps of one run, `average.wise` between a run and its base model.)
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side

__all__ = ["soup"]

_SIDES: tuple[Side, ...] = ("query", "document")


def soup(
    folders: Sequence[str | Path],
    shares: Sequence[float] | None = None,
    *,
    allow_code: bool = False,
) -> RankingModel:
    """Return Σ_i a_i · θ_i over the models' floating-point weights and buffers, Σ a = 1.

    The logarithm of the logit scale is one of them, and so are the fields' weights. Sums are in
    float64. Integer tensors and metadata are those of the first model, and `metadata["soup"]` says
    how many models it is of. Statistics of batch norm are averaged like weights, which is an
    approximation.

    Args:
        folders: of saved models, with the same encoder and fields.
        shares: a, one for each folder; by default all 1 / n.
        allow_code: whether a model's own modules may be imported.

    Raises:
        ValueError: no folder, shares that do not fit, or models whose tensors or fields differ.
        ModelError: no model there.
    """
    shares = [1.0 / len(folders)] * len(folders) if shares is None and folders else shares
    if not folders or not shares or len(shares) != len(folders) or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"expected models, and a share of each that add up to 1, found {shares}")
    model = RankingModel.load(folders[0], allow_code=allow_code)
    sums: dict[str, Tensor] = {}
    weights: dict[tuple[str, str], float] = {}
    for folder, share in zip(folders, shares, strict=True):
        other = RankingModel.load(folder, allow_code=allow_code)
        _check_same(model, other, folder)
        for name, tensor in other.state_dict().items():
            if tensor.is_floating_point():
                sums[name] = share * tensor.double() + sums.get(name, 0.0)
        for side in _SIDES:
            for field in other.fields(side):
                key = (side, field.name)
                weights[key] = share * field.weight + weights.get(key, 0.0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name in sums:
                tensor.copy_(sums[name])
    model.query_fields, model.document_fields = (
        tuple(replace(f, weight=weights[side, f.name]) for f in model.fields(side))
        for side in _SIDES
    )
    model.metadata = {**model.metadata, "soup": len(folders)}
    return model


def _check_same(model: RankingModel, other: RankingModel, folder: str | Path) -> None:
    ours, theirs = ({n: t.shape for n, t in m.state_dict().items()} for m in (model, other))
    differing = {name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)}
    if differing:
        raise ValueError(f"{folder}: {min(differing)} is not the same tensor in all models")
    for side in _SIDES:
        names, found = ([field.name for field in m.fields(side)] for m in (model, other))
        if names != found:
            raise ValueError(f"{folder}: the {side} fields are {found}, not {names}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shares", type=float, nargs="+")
    options = parser.parse_args()
    soup(options.models, options.shares).save(options.out)


if __name__ == "__main__":
    main()
