"""Training that keeps what the base model knew, as a whole: loop, saved models, resuming."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rankfield.encoders import RankingModel
from rankfield.errors import ModelError, RecipeError
from rankfield.evaluation import dev_ndcg
from rankfield.schema import SPLITS, RankingDataset
from rankfield.training import Recipe, build_model, train
from tiny_models import recipe_of, tiny_clip
from training_data import tiny_shop
from training_runs import former_checkpoint, interrupt_in, last_checkpoint, log_of

EACH: dict[str, dict[str, dict[str, Any]]] = {
    "layers": {"optimizer": {"layer_decay": 0.7, "unfreeze_over": 0.8}},
    "lora": {"lora": {"rank": 2, "dropout": 0.1}},
    "average": {"average": {"ema": 0.9}},
    "all": {
        "optimizer": {"layer_decay": 0.7, "unfreeze_over": 0.8},
        "lora": {"rank": 2, "dropout": 0.1},
        "average": {"ema": 0.9, "wise": [0.3, 0.6]},
    },
}
DEEP = "encoder.model.text_model.embeddings.token_embedding.weight"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip") / "model")


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return dict(RankingModel.load(folder).state_dict())


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def needs_peft(sections: dict[str, dict[str, Any]]) -> None:
    if "lora" in sections:
        pytest.importorskip("peft")


@pytest.mark.parametrize("kind", EACH)
def test_a_resumed_run_ends_like_one_never_stopped(
    shop: RankingDataset, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    needs_peft(EACH[kind])
    recipe = recipe_of(clip, **EACH[kind])
    train(recipe, shop, tmp_path / "whole")
    interrupt_in(8, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, shop, tmp_path / "cut")
    monkeypatch.undo()
    train(recipe, shop, tmp_path / "cut", resume=True)
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "cut")
    for name in ("model", "tuned") if kind == "all" else ("model",):
        whole, cut = tmp_path / "whole" / name, tmp_path / "cut" / name
        assert_same(weights_of(whole), weights_of(cut))


@pytest.mark.parametrize("kind", ["lora", "average", "all"])
def test_models_saved_on_the_way_do_not_disturb_training(
    shop: RankingDataset, clip: Path, tmp_path: Path, kind: str
) -> None:
    needs_peft(EACH[kind])
    found = []
    for every in (0, 1):
        out = tmp_path / str(every)
        values = recipe_of(clip, **EACH[kind], dev={"every": every}).model_dump(mode="json")
        train(Recipe(**values | {"checkpoint_every": 11}), shop, out)
        found.append(load_file(last_checkpoint(out) / "model.safetensors"))
    assert_same(*found)


def test_the_average_is_saved_and_training_goes_on_without_it(
    shop: RankingDataset, clip: Path, tmp_path: Path
) -> None:
    train(recipe_of(clip), shop, tmp_path / "plain")
    train(recipe_of(clip, average={"ema": 0.9}), shop, tmp_path / "average")
    losses = [
        [line["loss"] for line in log_of(tmp_path / name) if line["event"] == "train"]
        for name in ("plain", "average")
    ]
    assert losses[0] == losses[1]
    one, other = (weights_of(tmp_path / name / "model") for name in ("plain", "average"))
    assert not torch.equal(one[DEEP], other[DEEP])


def test_statistics_of_batch_norm_are_resumed_in_the_average(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"kind": "small", "model": "", "image_size": 24, "image_width": 32, "text_width": 32}
    recipe = recipe_of(tmp_path, encoder=small, average={"ema": 0.9})
    train(recipe, shop, tmp_path / "whole")
    interrupt_in(8, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, shop, tmp_path / "cut")
    monkeypatch.undo()
    train(recipe, shop, tmp_path / "cut", resume=True)
    whole, cut = (weights_of(tmp_path / name / "model") for name in ("whole", "cut"))
    assert any("running_var" in name for name in whole)
    assert_same(whole, cut)


def test_a_checkpoint_without_its_average_is_refused(
    shop: RankingDataset, clip: Path, tmp_path: Path
) -> None:
    values = recipe_of(clip, average={"ema": 0.9}).model_dump(mode="json")
    recipe = Recipe(**values | {"checkpoint_every": 8})
    train(recipe, shop, tmp_path / "run")
    (former_checkpoint(tmp_path / "run") / "average.safetensors").unlink()
    with pytest.raises(ModelError, match="damaged"):
        train(recipe, shop, tmp_path / "run", resume=True)


def test_layers_stay_as_they_were_until_their_start(
    shop: RankingDataset, clip: Path, tmp_path: Path
) -> None:
    values = recipe_of(clip, optimizer={"unfreeze_over": 1.0}).model_dump(mode="json")
    recipe = Recipe(**values | {"checkpoint_every": 8})
    base = build_model(recipe, shop).state_dict()
    train(recipe, shop, tmp_path / "run")  # four parts of three steps each: embeddings from 9 on
    middle = load_file(last_checkpoint(tmp_path / "run") / "model.safetensors")
    assert torch.equal(middle[DEEP], base[DEEP])
    top = "encoder.model.text_model.final_layer_norm.weight"
    assert not torch.equal(middle[top], base[top])
    assert not torch.equal(weights_of(tmp_path / "run" / "model")[DEEP], base[DEEP])


def test_adapters_leave_all_but_their_targets_alone(
    shop: RankingDataset, clip: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    base = build_model(recipe_of(clip), shop).state_dict()
    train(recipe_of(clip, lora={"rank": 2, "targets": ["q_proj"]}), shop, tmp_path / "run")
    found = weights_of(tmp_path / "run" / "model")
    changed = {name for name, value in base.items() if not torch.equal(value, found[name])}
    heads = {n for n in changed if "q_proj" not in n}
    assert heads <= {
        "log_logit_scale",
        "encoder.model.text_projection.weight",
        "encoder.model.visual_projection.weight",
    }
    adapted = changed - heads
    assert len(adapted) == 4
    assert all(name.endswith("q_proj.weight") for name in adapted)
    for name in adapted:
        assert int(torch.linalg.matrix_rank(found[name] - base[name], atol=1e-5)) <= 2


def test_the_share_that_ranks_dev_best_is_saved(
    shop: RankingDataset, clip: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(clip, average={"wise": [0.0, 0.5]})
    base = build_model(recipe, shop).state_dict()
    model = train(recipe, shop, tmp_path / "run")
    tried = {float(share): value for share, value in model.metadata["wise"]["ndcg@10"].items()}
    assert set(tried) == {0.0, 0.5, 1.0}
    alpha = model.metadata["wise"]["alpha"]
    assert tried[alpha] == max(tried.values()) == model.metadata["dev_ndcg@10"]
    splits = dev_ndcg(model, shop, SPLITS)
    assert sum(splits.values()) / len(splits) == tried[alpha]
    tuned = weights_of(tmp_path / "run" / "tuned")
    for name, value in model.state_dict().items():
        if name == "log_logit_scale" or not value.is_floating_point():
            continue
        expected = (1 - alpha) * base[name] + alpha * tuned[name]
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    wise, outcome = log_of(tmp_path / "run")[-2:]
    assert (wise["event"], wise["alpha"]) == ("wise", alpha)
    assert outcome["model"] == model.metadata["dev_splits"]["model"] == splits


def test_shares_that_cannot_be_chosen_stop_before_training(
    shop: RankingDataset, clip: Path, tmp_path: Path
) -> None:
    unsplit = shop.with_tables(
        queries=shop.queries.drop("seen", "subset"),
        documents=shop.documents.drop("seen"),
        judgments=shop.judgments.drop("split"),
    )
    with pytest.raises(RecipeError, match="no dev queries"):
        train(recipe_of(clip, average={"wise": [0.5, 0.7]}), unsplit, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    one = train(recipe_of(clip, average={"wise": [0.5]}), unsplit, tmp_path / "run")
    assert one.metadata["wise"] == {"alpha": 0.5, "ndcg@10": {}}


def test_nested_dimensions_fit_the_encoder(shop: RankingDataset, clip: Path) -> None:
    build_model(recipe_of(clip, loss={"matryoshka": [4, 16]}), shop)
    with pytest.raises(RecipeError, match="the embeddings have 16 dimensions, found 32"):
        build_model(recipe_of(clip, loss={"matryoshka": [4, 32]}), shop)


PROGRAM = """
import json, sys
from rankfield.schema import RankingDataset
from rankfield.training import parse_recipe, train
recipe = parse_recipe(json.loads(sys.argv[3]))
train(recipe, RankingDataset.load(sys.argv[1]), sys.argv[2])
"""


def test_two_processes_end_with_the_weights_of_one(clip: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    shop = tiny_shop(tmp_path / "data", photos=False)
    recipe = recipe_of(
        clip,
        optimizer={"layer_decay": 0.7, "unfreeze_over": 0.8},
        lora={"rank": 2, "towers": ["text"]},
        average={"ema": 0.9},
    )
    train(recipe, shop, tmp_path / "one")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, "utf-8")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    given = [str(tmp_path / "data"), str(tmp_path / "two"), recipe.model_dump_json()]
    done = subprocess.run(
        [sys.executable, *launch, str(program), *given],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    one, two = (weights_of(tmp_path / name / "model") for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-3, atol=1e-5, msg=name)
