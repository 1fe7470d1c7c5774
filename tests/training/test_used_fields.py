"""Records without any field that the recipe uses: not trained on, and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from rankfield.encoders.columns import field_columns
from rankfield.errors import RecipeError
from rankfield.evaluation import EvaluationOptions, evaluate
from rankfield.schema import Field, RankingDataset
from rankfield.training import Recipe, build_model, parse_recipe, train
from rankfield.training.batches import PairBatches
from rankfield.training.pairs import TrainingPairs
from rankfield.training.template import recipe_text
from training_data import tiny_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    """The tiny shop with a description that every third document lacks, and no images."""
    data = tiny_shop(tmp_path_factory.mktemp("data") / "tiny", photos=False)
    described = pl.when(pl.int_range(pl.len()) % 3 > 0).then(
        pl.col("colour") + " and " + pl.col("shape")
    )
    return RankingDataset(
        "tiny",
        data.query_fields,
        (*data.document_fields, Field("description", "text", 0.5)),
        data.score_scale,
        data.queries,
        data.documents.with_columns(description=described),
        data.judgments,
        root=data.root,
    )


def recipe(**sections: Any) -> Recipe:
    values: dict[str, Any] = {
        "batch": {"size": 16, "more_queries": 8},
        "encoder": {"text_width": 32, "dimension": 16},
        "optimizer": {"steps": 4},
        "dev": {"every": 2},
        "data": {"document_weights": {"description": 1.0}},
    }
    return parse_recipe(values | sections)


def lacking(shop: RankingDataset) -> set[int]:
    return set(np.flatnonzero(shop.documents["description"].is_null().to_numpy()).tolist())


def test_pairs_of_such_documents_are_left_out_and_counted(shop: RankingDataset) -> None:
    training = shop.training_judgments()
    ids = shop.documents.filter(pl.col("description").is_null())["doc_id"]
    expected = training.filter(pl.col("doc_id").is_in(ids.implode())).height
    for wanted, skipped in ((recipe(), expected), (recipe(data={}), 0)):
        for columns in (None, "own"):
            fields = {
                "query": field_columns(shop.queries, shop.query_fields),
                "document": field_columns(shop.documents, [Field("doc_id", "text")]),
            }
            pairs = TrainingPairs.of(wanted, shop, fields if columns else None)  # type: ignore[arg-type]
            assert pairs.skipped == skipped
            assert len(pairs) == training.height - skipped
            assert bool(lacking(shop) & set(pairs.document_rows.tolist())) == (not skipped)


def test_it_trains_measures_and_says_how_many(
    shop: RankingDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skipped = TrainingPairs.of(recipe(), shop).skipped
    model = train(recipe(), shop, tmp_path / "run")
    told = capsys.readouterr().err
    assert f"{skipped} judgments are not trained on" in told
    assert "has none of the fields that the recipe uses." in told
    found = evaluate(model, shop, EvaluationOptions(keep=1000)).rankings["doc_id"].unique()
    absent = shop.documents.filter(pl.col("description").is_null())["doc_id"]
    assert not set(found) & set(absent)
    train(recipe(data={}), shop, tmp_path / "whole")
    assert "not trained on" not in capsys.readouterr().err


def test_negatives_without_fields_are_never_drawn(shop: RankingDataset) -> None:
    wanted = recipe(negatives={"refresh_every": 2, "per_query": 3})
    batches = PairBatches(wanted, shop, build_model(wanted, shop))
    training = shop.training_judgments()["query_id"].unique().sort()
    documents = shop.documents.filter("seen")["doc_id"]
    judged = shop.judgments.select("query_id", "doc_id")
    every = training.to_frame().join(documents.to_frame(), how="cross")
    batches.use_negatives(every.join(judged, on=["query_id", "doc_id"], how="anti"))
    assert batches.negatives is not None
    assert len(batches.negatives.documents)
    for step in range(6):
        assert not lacking(shop) & set(batches[step].document_rows.tolist())


def test_a_recipe_counts_what_it_can_train_on(shop: RankingDataset) -> None:
    few = shop.documents.with_columns(
        description=pl.when(pl.int_range(pl.len()) % 8 == 1).then("description")
    )
    rare = RankingDataset(
        "rare", shop.query_fields, (Field("description", "text"),), shop.score_scale,
        shop.queries, few, shop.judgments, root=shop.root,
    )  # fmt: skip
    size = next(
        int(line.split("=")[1].split("#")[0])
        for line in recipe_text(rare).splitlines()
        if line.startswith("size")
    )
    pool = len(TrainingPairs.of(recipe(batch={"size": 2}, data={}), rare).pool)
    assert size == max(2, pool // 4) < 128


@pytest.mark.parametrize(("side", "field"), [("query", "query"), ("document", "description")])
def test_none_at_all_is_refused_before_training(
    shop: RankingDataset, tmp_path: Path, side: str, field: str
) -> None:
    empty = pl.lit(None, dtype=pl.String).alias(field)
    table = {"query": "queries", "document": "documents"}[side]
    bare = shop.with_tables(**{table: getattr(shop, table).with_columns(empty)})
    with pytest.raises(RecipeError, match=f"no {side} to train on has any of the fields {field}"):
        train(recipe(), bare, tmp_path / "run")
    assert not (tmp_path / "run").exists()
