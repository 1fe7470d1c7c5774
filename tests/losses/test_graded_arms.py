"""The graded losses of `benchmarks/graded` equal plain loops, stay finite, and train by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import graded_path
import reference_graded as loops
from graded.angle import AnglELoss, angle_loss
from graded.bixse import BiXSELoss, bixse_loss
from graded.circle import MultiClassCircleLoss, multi_class_circle_loss
from graded.cosent import CoSENTLoss, cosent_loss
from graded.flag_kl import FlagKLLoss, flag_kl_loss
from graded.graded_loss import GradedLoss
from graded.grades import unit_grades
from graded.lsepair import LSEPairLoss, lsepair_loss
from graded.m3_kd import M3KDLoss, m3_kd_loss
from graded.margin_mse import MarginMSELoss, margin_mse_loss
from graded.supcon import GradedSupConLoss, graded_supcon_loss
from graded.trove_kl import TroveKLLoss, trove_kl_loss
from graded.wasserstein import WassersteinLoss, wasserstein_loss
from judged_batches import PATTERNS, Batch, JudgedLoss, assert_same, random_batch
from judged_batches import value_and_gradients as of_leaves
from rankfield.curation import split
from rankfield.losses import JudgedPairs, make_loss
from rankfield.synthetic import sample_shop
from rankfield.training import parse_recipe, train

SHAPES = [(1, 1), (4, 1), (7, 3), (3, 6)]

BIAS = {"logit_bias": -3.0}

FORMS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor], dict[str, Any]]] = {
    "bixse": (bixse_loss, loops.bixse_loops, BIAS),
    "bixse, weighted": (bixse_loss, loops.bixse_loops, {**BIAS, "unjudged": 0.3}),
    "flag_kl": (flag_kl_loss, loops.flag_kl_loops, {}),
    "flag_kl, alone": (flag_kl_loss, loops.flag_kl_loops, {"sharpness": 2.0, "contrastive": 0.0}),
    "m3_kd": (m3_kd_loss, loops.m3_kd_loops, {}),
    "m3_kd, flat": (m3_kd_loss, loops.m3_kd_loops, {"sharpness": 1.0}),
    "trove_kl": (trove_kl_loss, loops.trove_kl_loops, {}),
    "supcon": (graded_supcon_loss, loops.supcon_loops, {}),
    "supcon, by grade": (graded_supcon_loss, loops.supcon_loops, {"power": 1.0}),
    "circle": (multi_class_circle_loss, loops.circle_loops, {}),
    "circle, shared": (
        multi_class_circle_loss,
        loops.circle_loops,
        {"boundaries": "shared", "margin": 0.4},
    ),
    "lsepair": (lsepair_loss, loops.lsepair_loops, {}),
    "lsepair, divided": (lsepair_loss, loops.lsepair_loops, {"divided": True}),
    "cosent": (cosent_loss, loops.cosent_loops, {}),
    "cosent, unjudged": (cosent_loss, loops.cosent_loops, {"unjudged": True}),
    "angle": (angle_loss, loops.angle_loops, {}),
    "angle, all": (angle_loss, loops.angle_loops, {"unjudged": True, "cosine": 0.5}),
    "margin_mse": (margin_mse_loss, loops.margin_mse_loops, {}),
    "margin_mse, unjudged": (margin_mse_loss, loops.margin_mse_loops, {"unjudged": True}),
    "wasserstein": (wasserstein_loss, loops.wasserstein_loops, {}),
}

MODULES: dict[str, type[GradedLoss]] = {
    "graded.angle:AnglELoss": AnglELoss,
    "graded.bixse:BiXSELoss": BiXSELoss,
    "graded.circle:MultiClassCircleLoss": MultiClassCircleLoss,
    "graded.cosent:CoSENTLoss": CoSENTLoss,
    "graded.flag_kl:FlagKLLoss": FlagKLLoss,
    "graded.lsepair:LSEPairLoss": LSEPairLoss,
    "graded.m3_kd:M3KDLoss": M3KDLoss,
    "graded.margin_mse:MarginMSELoss": MarginMSELoss,
    "graded.supcon:GradedSupConLoss": GradedSupConLoss,
    "graded.trove_kl:TroveKLLoss": TroveKLLoss,
    "graded.wasserstein:WassersteinLoss": WassersteinLoss,
}

each_form = pytest.mark.parametrize("form", FORMS)


def grades_of(pairs: JudgedPairs) -> Tensor:
    """Scores mapped to 0 … 1; the lowest become 0."""
    low, high = pairs.scores.min(), pairs.scores.max()
    if low == high:
        return torch.full_like(pairs.scores, 0.75)
    return (pairs.scores - low) / (high - low)


def with_grades(loss: Callable[..., Tensor], settings: dict[str, Any]) -> JudgedLoss:
    def of_batch(
        queries: Tensor, documents: Tensor, pairs: JudgedPairs, scale: Tensor | float
    ) -> Tensor:
        return loss(queries, documents, pairs, grades_of(pairs), scale, **settings)

    return of_batch


@each_form
@pytest.mark.parametrize("pattern", PATTERNS)
def test_equals_plain_loops_in_value_and_gradient(form: str, pattern: str) -> None:
    loss, plain, settings = FORMS[form]
    # Singular values of a matrix without full rank have only a one-sided derivative.
    tolerance = 1e-5 if form == "wasserstein" else 1e-9
    for seed, (m, n) in enumerate(SHAPES):
        batch = random_batch(m, n, pattern, seed=seed)
        found, expected = (of_leaves(with_grades(one, settings), batch) for one in (loss, plain))
        assert found[0].dtype == torch.float64
        assert_same(found, expected, tolerance)


def one_judgment_each() -> Batch:
    """Three queries that judged the same document, one of them nothing else."""
    batch = random_batch(4, 5, seed=9, width=4)
    pairs = JudgedPairs(
        queries=torch.tensor([0, 1, 2, 1, 2, 2]),
        documents=torch.tensor([3, 3, 3, 0, 1, 2]),
        scores=torch.tensor([1.0, 0.0, 2.0, 2.0, 2.0, 1.0]),
        weights=torch.ones(6, dtype=torch.float64),
    )
    return replace(batch, pairs=pairs)


@each_form
def test_documents_of_several_queries_and_queries_with_one_judgment_or_none(form: str) -> None:
    loss, plain, settings = FORMS[form]
    batch = one_judgment_each()
    tolerance = 1e-5 if form == "wasserstein" else 1e-9
    found, expected = (of_leaves(with_grades(one, settings), batch) for one in (loss, plain))
    assert_same(found, expected, tolerance)


@each_form
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_finite_at_scale_100(form: str, pattern: str, dtype: torch.dtype) -> None:
    loss, _, settings = FORMS[form]
    for seed, (m, n) in enumerate([*SHAPES, (40, 60)]):
        batch = random_batch(m, n, pattern, seed=seed, width=16).to(dtype)
        found = of_leaves(with_grades(loss, settings), batch, 100.0)
        assert found[0].dtype == torch.float32
        assert all(bool(x.isfinite().all()) for x in found)


@each_form
def test_a_far_off_model_has_a_finite_loss(form: str) -> None:
    loss, _, settings = FORMS[form]
    batch = random_batch(6, 9, seed=2, width=4).to(torch.float32)
    query, best = batch.pairs.queries[0], batch.pairs.documents[0]
    batch.queries[query] = -batch.documents[best]
    batch.documents[:] = batch.documents[best]
    found = of_leaves(with_grades(loss, settings), batch, 100.0)
    assert all(bool(x.isfinite().all()) for x in found)


@pytest.mark.parametrize("name", MODULES)
def test_modules_give_the_value_of_their_function(name: str) -> None:
    batch = random_batch(4, 6, seed=3)
    gain = partial(torch.mul, other=1 / 3)
    module = make_loss(name, {"gain": gain, "target": "ranked", "direction": "both"})
    assert type(module) is MODULES[name]
    assert isinstance(module, GradedLoss)
    bias = [-4.0] if module.takes_bias else []
    found = module(batch.queries, batch.documents, batch.pairs, 7.0, *bias)
    scale = module.fixed_scale or 7.0
    settings = {"logit_bias": -4.0} if module.takes_bias else {}
    expected = module.function(
        batch.queries, batch.documents, batch.pairs, batch.pairs.scores / 3, scale, **settings
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", MODULES)
def test_every_arm_says_what_it_is_and_where_it_is_from(name: str) -> None:
    module = inspect.getmodule(MODULES[name])
    assert module is not None
    assert module.__file__ is not None
    assert Path(module.__file__).parent == graded_path.GRADED
    assert re.search("arXiv|FlagEmbedding|ir-trove|sentence-transformers", module.__doc__ or "")
    page = (graded_path.GRADED.parents[1] / "docs" / "losses.md").read_text("utf-8")
    assert f"`{name}`" in page


def test_grades_are_scores_or_gains_from_0_to_1() -> None:
    scores = torch.tensor([0.0, 0.5, 1.0])
    assert unit_grades(scores, None) is scores
    assert unit_grades(3 * scores, lambda x: x / 2).tolist() == [0.0, 0.75, 1.0]
    with pytest.raises(ValueError, match="from 0 to 1"):
        unit_grades(2 * scores, None)
    batch = random_batch(2, 2, "all")
    with pytest.raises(ValueError, match="grades from 0 to 1"):
        trove_kl_loss(batch.queries, batch.documents, batch.pairs, batch.pairs.scores, 1.0)


@pytest.mark.parametrize("name", ["graded.bixse:BiXSELoss", "graded.cosent:CoSENTLoss"])
def test_an_arm_is_trained_with_by_its_name(name: str, tmp_path: Path) -> None:
    shop = sample_shop(tmp_path / "shop", documents=60, queries=12, per_query=10, images=False)
    parameters: dict[str, object] = {"unjudged": True} if "cosent" in name else {}
    recipe = parse_recipe(
        {
            "optimizer": {"steps": 2},
            "batch": {"size": 8},
            "dev": {"every": "off"},
            "trackers": [],
            "loss": {"name": name, "parameters": parameters},
        },
        allow_code=True,
    )
    assert train(recipe, split(shop), tmp_path / "run").metadata["step"] == 2
