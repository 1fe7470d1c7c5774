"""What a run needs later is looked at before its first step; what it has done is never removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.errors import DataError, ImageError, ModelError, OutputError, RecipeError
from rankfield.evaluation import DevSet
from rankfield.schema import RankingDataset
from rankfield.training import Recipe, build_model, parse_recipe, train
from rankfield.training import trainer as trainer_module
from rankfield.training.batches import PairBatches
from rankfield.training.precheck import check_batch_norm, single_image_error
from training_data import tiny_shop
from training_runs import all_of_log, log_of


def recipe(**sections: Any) -> Recipe:
    values: dict[str, Any] = {
        "log_every": 1,
        "trackers": [],
        "data": {"image_cache_mib": 0, "image_disk_cache_mib": 0},
        "batch": {"size": 16},
        "encoder": {"dimension": 16, "text_width": 32, "image_size": 24, "image_width": 32},
        "optimizer": {"steps": 4},
        "dev": {"every": 2},
    }
    return parse_recipe(values | sections)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where an image is read or a step is made."""

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("work has begun")

    monkeypatch.setattr(RankingModel, "read_pixels", fail)
    monkeypatch.setattr(trainer_module._Trainer, "_step", fail)
    monkeypatch.setattr(RankingModel, "embed_chunks", fail)


@pytest.mark.usefixtures("no_work")
def test_a_missing_file_of_negatives(shop: RankingDataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.parquet: there is no such file"):
        train(recipe(negatives={"file": str(tmp_path / "none.parquet")}), shop, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("cache", [0, 2048])
def test_a_missing_image_of_training_or_of_dev(
    shop: RankingDataset, tmp_path: Path, seen: bool, cache: int
) -> None:
    row = pl.int_range(pl.len())
    chosen = shop.documents.select(pl.arg_where(pl.col("seen") == seen))["seen"][3]
    image = pl.when(row == chosen).then(pl.lit("gone.png")).otherwise(None).alias("image")
    data = RankingDataset(
        "tiny", shop.query_fields, shop.document_fields, shop.score_scale,
        shop.queries, shop.documents.with_columns(image), shop.judgments, root=tmp_path,
    )  # fmt: skip
    with pytest.raises(ImageError, match=rf"documents, row {chosen} \(counted from 0\).*gone\.png"):
        train(
            recipe(data={"image_cache_mib": cache, "image_disk_cache_mib": 0}),
            data,
            tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


def test_the_folder(shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise AssertionError("work has begun")

    monkeypatch.setattr(trainer_module, "build_model", fail)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"run: cannot be written \(Not a directory\)"):
        train(recipe(), shop, tmp_path / "file" / "a" / "run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(OutputError, match=r"already exists\. Name another folder, or remove it"):
        train(recipe(), shop, tmp_path / "empty")
    with pytest.raises(ModelError, match="Start a run without --resume, in another folder"):
        train(recipe(), shop, tmp_path / "empty", resume=True)
    with pytest.raises(ModelError, match=r"Start a run without --resume\.$"):
        train(recipe(), shop, tmp_path / "none", resume=True)
    (tmp_path / "former" / "checkpoint").mkdir(parents=True)
    (tmp_path / "former" / "checkpoint" / "progress.json").touch()
    (tmp_path / "begun" / "checkpoints" / "step-000400").mkdir(parents=True)
    for name in ("former", "begun"):
        with pytest.raises(OutputError, match="or add --resume to go on with that run"):
            train(recipe(), shop, tmp_path / name)
    with pytest.raises(ModelError, match=r"no checkpoint is whole \(step-000400: .*is missing"):
        train(recipe(), shop, tmp_path / "begun", resume=True)


def test_a_refusal_in_the_middle_leaves_what_was_logged(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = trainer_module._Trainer._step

    def explodes(self: Any, number: int, raw: Any) -> Any:
        if number == 1:
            raise RecipeError("the loss is nan at step 1", where="recipe")
        return step(self, number, raw)

    monkeypatch.setattr(trainer_module._Trainer, "_step", explodes)
    with pytest.raises(RecipeError, match="nan"):
        train(recipe(), shop, tmp_path / "run")
    assert [line["step"] for line in log_of(tmp_path / "run") if line["event"] == "train"] == [1]
    assert not (tmp_path / "run" / "checkpoints").exists()  # it would explode again


def test_dev_that_failed_is_measured_when_the_run_goes_on(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe(), shop, tmp_path / "whole")
    ndcg = DevSet.ndcg
    broken_from = 0

    def fails(self: DevSet, *given: Any, **options: Any) -> Any:
        lines = all_of_log(tmp_path / "run")
        if max(line["step"] for line in lines) >= broken_from:
            raise ImageError("not an image", where="some.png")
        return ndcg(self, *given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(DevSet, "ndcg", fails)
        with pytest.raises(ImageError, match=r"some\.png: not an image$"):
            train(recipe(), shop, tmp_path / "run")
        assert not (tmp_path / "run").exists()  # the base model: before the first step
        broken_from = 2
        with pytest.raises(ImageError, match=r"some\.png: not an image\. 2 steps are kept"):
            train(recipe(), shop, tmp_path / "run")
        broken_from = 4
        with pytest.raises(ImageError, match="4 steps are kept"):
            train(recipe(), shop, tmp_path / "run", resume=True)
    train(recipe(), shop, tmp_path / "run", resume=True)
    assert log_of(tmp_path / "run") == log_of(tmp_path / "whole")
    made = [RankingModel.load(tmp_path / n / "model").metadata for n in ("run", "whole")]
    assert made[0]["dev_ndcg@10"] == made[1]["dev_ndcg@10"]
    assert made[0]["step"] == made[1]["step"]


def with_images(shop: RankingDataset, *wanted: int) -> RankingDataset:
    """The shop with titles everywhere, and the images of these of its trained documents alone."""
    seen = shop.training_judgments()["doc_id"].unique().to_list()
    pictured = shop.documents.filter(pl.col("doc_id").is_in(seen), pl.col("image").is_not_null())
    chosen = pictured["doc_id"][list(wanted)]
    image = pl.when(pl.col("doc_id").is_in(chosen.implode())).then("image")
    titles = pl.col("title").fill_null("nice thing")
    return shop.with_tables(documents=shop.documents.with_columns(image=image, title=titles))


@pytest.mark.parametrize("negatives", [{}, {"refresh_every": 2}])
def test_a_batch_of_one_image_is_too_small_for_batch_norm(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, negatives: Any
) -> None:
    def fail(*_: Any) -> Any:
        raise AssertionError("a step is made")

    monkeypatch.setattr(trainer_module._Trainer, "_step", fail)
    with pytest.raises(RecipeError, match=r"batch norm needs two images; a process has one"):
        train(recipe(negatives=negatives), with_images(shop, 0), tmp_path / "run")
    assert (tmp_path / "run").exists() == bool(negatives)  # what was mined stays


def test_every_step_is_looked_at_for_a_single_image(shop: RankingDataset) -> None:
    data = with_images(shop, 0, 1)
    wanted = recipe(
        batch={"size": 8, "documents_per_query": 1, "more_queries": 0},
        optimizer={"steps": 12},
    )
    model = build_model(wanted, data).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batches = PairBatches(wanted, data, model)
    counts = [
        len(batch.inputs["document"].inputs["image"].items["pixels"])
        if "image" in batch.inputs["document"].inputs
        else 0
        for batch in (batches[step] for step in range(12))
    ]
    first = counts.index(1)
    check_batch_norm(batches, range(first))
    with pytest.raises(RecipeError, match=f"one in step {first}\\b"):
        check_batch_norm(batches, range(12))
    after = model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_one_image_suffices_where_its_last_feature_map_has_several_pixels(
    shop: RankingDataset, tmp_path: Path
) -> None:
    encoder = {"dimension": 16, "text_width": 32, "image_size": 64, "image_width": 32}
    train(recipe(encoder=encoder, optimizer={"steps": 1}), with_images(shop, 0), tmp_path / "run")


def test_a_single_image_that_field_dropout_leaves_is_explained() -> None:
    with pytest.raises(ValueError, match="Expected more than 1 value") as refused:
        torch.nn.BatchNorm1d(3)(torch.zeros(1, 3))
    assert "in step 7" in str(single_image_error(refused.value, 7))
    assert single_image_error(ValueError("another"), 7) is None
