"""Training on documents with two photos, learnt field weights and field dropout."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from rankfield.curation import split
from rankfield.encoders import RankingModel
from rankfield.evaluation import dev_ndcg
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.training import Recipe, build_model, parse_recipe, train
from trained import SEED, assert_above
from training_runs import interrupt_in

COLOURS = {"red": (210, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 210)}


def photo(colour: str, rng: np.random.Generator) -> bytes:
    shade = np.clip(np.array(COLOURS[colour]) + rng.integers(-20, 20, 3), 0, 255)
    buffer = io.BytesIO()
    Image.new("RGB", (24, 24), tuple(int(v) for v in shade)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    """Two-coloured things: each photo shows one of the colours, the title neither."""
    rng = np.random.default_rng(0)
    pairs = list(itertools.combinations_with_replacement(COLOURS, 2)) * 8
    documents: list[dict[str, Any]] = []
    for number, pair in enumerate(pairs):
        photos = [photo(colour, rng) for colour in pair]
        documents.append(
            {
                "doc_id": f"d{number:02}",
                "photos": photos,
                "title": f"thing {number}",
                "colours": len(set(pair)),
            }
        )
    documents[3]["photos"], documents[5]["title"] = [], None
    queries, judgments = [], []
    for number, (one, other) in enumerate(itertools.product(COLOURS, repeat=2)):
        queries.append({"query_id": f"q{number}", "query": f"{one} and {other}"})
        for document, pair in zip(documents, pairs, strict=True):
            score = (
                1.0 + len({one, other} & set(pair)) + 2.0 * (sorted((one, other)) == sorted(pair))
            )
            if score > 1:
                judgments.append((f"q{number}", document["doc_id"], score))
    data = RankingDataset(
        name="two photos",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("photos", "image", 0.5), Field("title", "text", 0.5)),
        score_scale=ScoreScale(0, 5, 3),
        queries=pl.DataFrame(queries),
        documents=pl.DataFrame(documents, schema_overrides={"photos": pl.List(pl.Binary)}),
        judgments=pl.DataFrame(judgments, ["query_id", "doc_id", "score"], orient="row"),
    )
    return split(data, queries=0.7).save(tmp_path_factory.mktemp("data") / "two")


def recipe(steps: int = 12, **data: Any) -> Recipe:
    return parse_recipe(
        {
            "trackers": [],
            "data": {"augment": True, **data},
            "encoder": {
                "dimension": 16,
                "text_width": 32,
                "image_size": 24,
                "image_width": 32,
                "max_tokens": 12,
                "learn_field_weights": True,
            },
            "batch": {"size": 16},
            "optimizer": {"steps": steps, "learning_rate": 5e-3},
            "dev": {"every": steps // 2},
        }
    )


@pytest.mark.trained
def test_it_learns_from_both_photos(shop: RankingDataset, tmp_path: Path) -> None:
    wanted = recipe(150, field_dropout=0.1).model_copy(update={"seed": SEED})
    untrained = dev_ndcg(build_model(wanted, shop), shop, ["in_domain"])["in_domain"]
    model = train(wanted, shop, tmp_path / "run")
    trained = dev_ndcg(model, shop, ["in_domain"])["in_domain"]
    assert_above("two photos: trained over untrained", trained, untrained + 0.1)
    assert_above("two photos: trained", trained, 0.85)
    # the towers learn most of it; that weights find the field which tells: test_field_weights.py
    weights = {f.name: f.weight for f in model.document_fields}
    assert weights["photos"] != 0.5
    assert sum(weights.values()) == pytest.approx(1.0)
    # a record of two colours is not taken for one of its first photo alone
    first = shop.documents.with_columns(photos=pl.col("photos").list.head(1))
    alone = model.embed_documents(shop.with_tables(documents=first))
    both = model.embed_documents(shop)
    several = (shop.documents["colours"] == 2).to_numpy()
    apart = 1 - (alone * both).sum(1)[several].max()
    assert_above("two photos: distance to the first alone", apart, 0.02)


@pytest.mark.parametrize("cache", [0, 64])
def test_a_resumed_run_ends_like_one_never_stopped(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: int
) -> None:
    wanted = recipe(field_dropout=0.4, image_cache_mib=cache, image_disk_cache_mib=0)
    whole = train(wanted, shop, tmp_path / "whole")
    interrupt_in(8, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(wanted, shop, tmp_path / "cut")
    monkeypatch.undo()
    resumed = train(wanted, shop, tmp_path / "cut", resume=True)
    assert resumed.document_fields == whole.document_fields
    assert [f.weight for f in whole.document_fields] != [0.5, 0.5]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_dropout_and_learnt_weights_change_the_run(shop: RankingDataset, tmp_path: Path) -> None:
    models: list[RankingModel] = []
    for number, share in enumerate((0.0, 0.4)):
        models.append(train(recipe(field_dropout=share), shop, tmp_path / str(number)))
    one, other = (model.state_dict() for model in models)
    assert any(not torch.equal(value, other[name]) for name, value in one.items())
