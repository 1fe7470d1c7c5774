"""Adapters, layer-wise rates, freezing and unfreezing fit the models of every library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

from foreign_models import TEXTS
from rankfield.encoders import Encoder, RankingModel
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.training import build_model, parse_recipe
from rankfield.training.lora import merged
from rankfield.training.optimizer import make_optimizer, set_learning_rates
from tiny_architectures import ENCODERS, encoder_section

STEPS = 10


def shop(encoder: dict[str, Any]) -> RankingDataset:
    """Two queries and documents; of images too, if the encoder takes them."""
    images = "vision_model" in encoder or "lip" in encoder["model"]
    fields = [Field("image", "image", 0.5)] if images else []
    documents = {"doc_id": ["a", "b"], "title": TEXTS[:2]}
    return RankingDataset(
        name="shop",
        queries=pl.DataFrame({"query_id": ["p", "q"], "query": TEXTS[:2]}),
        documents=pl.DataFrame(documents | ({"image": ["a.png", "b.png"]} if images else {})),
        judgments=pl.DataFrame({"query_id": ["p", "q"], "doc_id": ["a", "b"], "score": [1.0, 1.0]}),
        query_fields=(Field("query", "text"),),
        document_fields=(*fields, Field("title", "text", 0.5)),
        score_scale=ScoreScale(0.0, 1.0, 0.5),
    )


def vectors(encoder: Encoder) -> list[Tensor]:
    """Encode texts, and noise as images if the encoder takes them."""
    found = [encoder.encode_text(encoder.tokenize(TEXTS, "query"))]
    if encoder.image_transform is not None:
        shape = (2, *encoder.image_transform.shape)
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        found.append(encoder.encode_image(pixels))
    return found


def trained(model: RankingModel, encoder: Encoder) -> set[str]:
    """Return the names of the encoder's parameters that get a gradient."""
    model.zero_grad(set_to_none=True)
    noise = torch.Generator().manual_seed(1)
    total = sum((v * torch.randn(v.shape, generator=noise)).sum() for v in vectors(encoder))
    assert isinstance(total, Tensor)
    if total.requires_grad:
        total.backward()  # type: ignore[no-untyped-call]
    return {name for name, p in encoder.named_parameters() if p.grad is not None and p.grad.any()}


@pytest.mark.parametrize("name", ENCODERS)
def test_layers_adapters_and_freezing(name: str, tmp_path: Path) -> None:
    section = encoder_section(name, tmp_path)
    data = shop(section)

    def built(**sections: Any) -> RankingModel:
        values = {"encoder": section, "batch": {"size": 2}, **sections}
        return build_model(parse_recipe(values), data)

    # the layers join from the top: the embeddings last, with the smallest rate
    rates = {"layer_decay": 0.5, "unfreeze_over": 0.8, "steps": STEPS, "learning_rate": 1e-3}
    recipe = parse_recipe({"optimizer": rates})
    model = built()
    towers = model.encoder.pretrained_towers()
    assert set(towers) == {"text", "vision"} & {
        {"text": "text", "image": "vision"}[m] for m in model.encoder.modalities
    }
    optimizer = make_optimizer(model, recipe.optimizer)
    groups = [(g["start"], g["peak"], {id(p) for p in g["params"]}) for g in optimizer.param_groups]
    for tower in towers.values():
        inputs = {id(p) for n, p in tower.named_parameters() if "embed" in n and p.ndim > 1}
        starts = {s for s, _, ids in groups if ids & {id(p) for p in tower.parameters()}}
        assert len(starts) >= 3
        assert {s for s, _, ids in groups if ids & inputs} == {max(starts)}
        assert all(peak <= 1e-3 * 0.25 for _, peak, ids in groups if ids & inputs)
    before, counts = set[str](), []
    for step in range(STEPS):
        set_learning_rates(optimizer, step, recipe.optimizer)
        now = trained(model, model.encoder)
        assert before <= now
        before = now
        counts.append(len(now))
    assert 0 < counts[0] < counts[-1]
    every = {n for n, p in model.encoder.named_parameters() if "logit" not in n}
    # what a pooled output does not reach has no gradient: a rest that is small
    assert len(every - before) <= 0.3 * len(every)

    _frozen(built(encoder=section | {"freeze": ["text"]}))
    _adapted(built(lora={"rank": 2}), built(), tmp_path / "saved")


def _frozen(model: RankingModel) -> None:
    """A frozen text tower gets no gradient; what else is there trains."""
    inside = {id(p) for p in model.encoder.towers()["text"].parameters()}
    named = dict(model.encoder.named_parameters())
    learnt = {id(named[name]) for name in trained(model.train(), model.encoder)}
    assert not learnt & inside
    assert learnt or not any(p.requires_grad for p in model.encoder.parameters())


def _adapted(model: RankingModel, plain: RankingModel, folder: Path) -> None:
    """Adapters alone train in the towers; merged, the model is saved and loads without them."""
    towers = model.encoder.pretrained_towers().values()
    names = trained(model.eval(), model.encoder)
    inside = {id(p): n for t in towers for n, p in t.named_parameters()}
    named = dict(model.encoder.named_parameters())
    learnt = [inside[id(named[n])] for n in names if id(named[n]) in inside]
    assert learnt
    assert all("lora_" in name for name in learnt)
    for name, parameter in named.items():
        if "lora_B.default" in name:
            nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():
        adapted = [v.numpy() for v in vectors(model.encoder)]
        assert np.abs(adapted[0] - vectors(plain.eval().encoder)[0].numpy()).max() > 1e-4
        with merged(model):
            model.save(folder)
        again = vectors(RankingModel.load(folder).encoder)
    for one, other in zip(adapted, again, strict=True):
        np.testing.assert_allclose(one, other.numpy(), atol=1e-4)
