from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.encoders import precision as precision_module
from rankfield.errors import MissingExtraError, ModelError, OutputError, RecipeError
from rankfield.evaluation import EvaluationOptions, dev_ndcg, evaluate
from rankfield.schema import RankingDataset
from rankfield.training import Recipe, build_model, parse_recipe, train
from rankfield.training import trainer as trainer_module
from rankfield.training.manifest import damage
from rankfield.training.optimizer import make_optimizer
from trained import SEED, assert_above
from training_data import tiny_shop
from training_runs import former_checkpoint, interrupt_in, last_checkpoint, log_of

SMALL: dict[str, Any] = {
    "log_every": 5,
    "trackers": [],
    "data": {"augment": True},
    "encoder": {
        "dimension": 16,
        "text_width": 32,
        "text_layers": 1,
        "image_size": 24,
        "image_width": 32,
        "max_tokens": 12,
    },
    "batch": {"size": 16},
    "optimizer": {"steps": 12, "learning_rate": 3e-3},
    "dev": {"every": 6},
}


def recipe(**changes: Any) -> Recipe:
    values = json.loads(json.dumps(SMALL))
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            values.setdefault(section, {})[name] = value
        else:
            values[section] = value
    return parse_recipe(values)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny")


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return dict(RankingModel.load(folder / "model").state_dict())


def assert_same_weights(first: Path, second: Path) -> None:
    one, other = weights_of(first), weights_of(second)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.trained
def test_training_learns_to_rank(shop: RankingDataset, tmp_path: Path) -> None:
    wanted = recipe(optimizer__steps=120, dev__every=40, seed=SEED)
    splits = ["in_domain", "zero_shot"]
    untrained = dev_ndcg(build_model(wanted, shop), shop, splits)
    model = train(wanted, shop, tmp_path / "run")
    trained = dev_ndcg(model, shop, splits)
    assert_above("in domain over untrained", trained["in_domain"], untrained["in_domain"] + 0.1)
    assert_above("in domain", trained["in_domain"], 0.9)
    assert_above("zero-shot", trained["zero_shot"], 0.8)
    best = max(line["ndcg@10"] for line in log_of(tmp_path / "run") if line["event"] == "dev")
    assert model.metadata["dev_ndcg@10"] == best
    assert model.metadata["data"]["fingerprint"] == shop.fingerprint()
    assert model.log_logit_scale.item() <= np.log(100) + 1e-6
    found = evaluate(model, shop)
    assert set(found.splits) == {"in_domain", "novel_query", "novel_document", "zero_shot"}


def test_the_same_seed_gives_the_same_weights_and_log(shop: RankingDataset, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(recipe(), shop, tmp_path / name)
    train(recipe(seed=1), shop, tmp_path / "c")
    assert_same_weights(tmp_path / "a", tmp_path / "b")
    assert log_of(tmp_path / "a") == log_of(tmp_path / "b")
    other = weights_of(tmp_path / "c")
    assert any(not torch.equal(v, other[k]) for k, v in weights_of(tmp_path / "a").items())


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_run_ends_like_one_never_stopped(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    wanted = recipe(data__workers=workers, data__image_cache_mib=0, data__image_disk_cache_mib=0)
    train(wanted, shop, tmp_path / "whole")
    interrupt_in(8, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(wanted, shop, tmp_path / "cut")
    monkeypatch.undo()
    assert last_checkpoint(tmp_path / "cut").name == "step-000008"
    train(wanted, shop, tmp_path / "cut", resume=True)
    assert_same_weights(tmp_path / "whole", tmp_path / "cut")
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "cut")


def test_a_run_killed_between_checkpoints_goes_on_from_the_last_one(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(checkpoint_every=4)
    train(wanted, shop, tmp_path / "whole")
    original = trainer_module._Trainer._step

    def step(self: Any, number: int, raw: Any) -> Any:
        if number == 10:
            raise RuntimeError("the power went out")
        return original(self, number, raw)

    monkeypatch.setattr(trainer_module._Trainer, "_step", step)
    with pytest.raises(RuntimeError, match="power"):
        train(wanted, shop, tmp_path / "cut")
    monkeypatch.undo()
    with (tmp_path / "cut" / "log.jsonl").open("a") as log:
        log.write('{"event": "train", "st')
    train(wanted, shop, tmp_path / "cut", resume=True)
    assert_same_weights(tmp_path / "whole", tmp_path / "cut")
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "cut")


def test_a_run_of_an_earlier_version_goes_on(shop: RankingDataset, tmp_path: Path) -> None:
    """Its checkpoint says the recipe in former words, and lacks keys that have come since."""
    out = tmp_path / "run"
    train(recipe(checkpoint_every=4), shop, out)
    path = former_checkpoint(out) / "progress.json"
    progress = json.loads(path.read_text())
    loss = progress["recipe"]["loss"]
    del loss["parameters"]
    assert loss.pop("reduction") == "mean"
    assert loss.pop("direction") == "query_to_document"
    assert loss.pop("name") == "judged_contrastive"
    loss |= {"normaliser": "weights", "direction": "rows", "form": "softmax"}
    path.write_text(json.dumps(progress))
    train(recipe(checkpoint_every=4), shop, out, resume=True)
    loss["normaliser"] = "count"
    path.write_text(json.dumps(progress))
    with pytest.raises(ModelError, match=r"'loss\.reduction' was 'batchmean', now 'mean'"):
        train(recipe(checkpoint_every=4), shop, out, resume=True)


def test_checkpoints_of_something_else_are_refused(shop: RankingDataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(recipe(checkpoint_every=4), shop, out)
    with pytest.raises(ModelError, match=r"another recipe: 'loss\.weight' was .*now 'constant'"):
        train(recipe(loss__weight="constant"), shop, out, resume=True)
    judgments = shop.judgments.head(len(shop.judgments) - 1)
    with pytest.raises(ModelError, match="other data"):
        train(recipe(), shop.with_tables(judgments=judgments), out, resume=True)
    with pytest.raises(OutputError, match="already exists"):
        train(recipe(), shop, out)
    with pytest.raises(ModelError, match="no checkpoint"):
        train(recipe(), shop, tmp_path / "new", resume=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("progress.json", b"{"),
        ("progress.json", b"[]"),
        ("progress.json", b'{"recipe": {}, "fingerprint": "x", "step": "one"}'),
        ("model.safetensors", b"\x00" * 100),
        ("optimizer.safetensors", None),
        ("optimizer.safetensors", "model.safetensors"),
    ],
)
def test_damaged_checkpoints_are_refused(
    shop: RankingDataset, tmp_path: Path, name: str, content: bytes | str | None
) -> None:
    wanted = recipe(checkpoint_every=1, optimizer__steps=2, dev__every=0)
    train(wanted, shop, tmp_path / "run")
    checkpoint = former_checkpoint(tmp_path / "run")  # without a manifest
    if isinstance(content, str):
        content = (checkpoint / content).read_bytes()
    (checkpoint / name).unlink()
    if content is not None:
        (checkpoint / name).write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        train(wanted, shop, tmp_path / "run", resume=True)


def test_recipes_that_do_not_fit_the_data(shop: RankingDataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"batch__size": 5000}, "5000 pairs; "),
        ({"data__minimum_score": 99.0}, "0 can be trained on"),
        ({"data__document_weights": {"photo": 1.0}}, "no document field 'photo'"),
        ({"data__query_weights": {"query": -1.0}}, "expected a weight above 0"),
        ({"encoder": {"kind": "transformers"}}, "needs a model"),
        ({"encoder__freeze": ["vision"], "data__document_weights": {"title": 1.0}}, "no vision"),
        ({"loss__weight": "no"}, "expected one of"),
    ]
    for changes, message in cases:
        with pytest.raises(RecipeError, match=message):
            train(recipe(**changes), shop, out)
        assert not out.exists()


def test_a_loss_that_explodes_is_said(shop: RankingDataset, tmp_path: Path) -> None:
    wanted = recipe(optimizer__learning_rate=1e18, optimizer__warmup=0.0)
    with pytest.raises(RecipeError, match="the loss is nan at step"):
        train(wanted, shop, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_nothing_or_a_checkpoint(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, *_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(trainer_module._Trainer, "_log_step", full)
    with pytest.raises(OutputError, match="the disk is full"):
        train(recipe(log_every=2), shop, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(OutputError, match="the disk is full"):
        train(recipe(log_every=2, checkpoint_every=1), shop, tmp_path / "run")
    assert damage(last_checkpoint(tmp_path / "run")) is None


def test_a_tracker_that_is_not_installed(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install wandb"):
        train(recipe(trackers=["wandb"]), shop, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_norms_biases_and_the_logit_scale_do_not_decay(shop: RankingDataset) -> None:
    from rankfield.training.optimizer import make_optimizer

    wanted = recipe(optimizer__text_learning_rate=1e-5)
    model = build_model(wanted, shop)
    groups = make_optimizer(model, wanted.optimizer).param_groups
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    for group in groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.05 if parameter.ndim >= 2 else 0.0)
    text = {id(p) for p in model.encoder.text_parameters()}
    for group in groups:
        for parameter in group["params"]:
            assert group["peak"] == (1e-5 if id(parameter) in text else 3e-3)


def test_the_schedule_warms_up_and_cools_down() -> None:
    from rankfield.training.optimizer import schedule

    section = recipe(optimizer__steps=100, optimizer__warmup=0.1).optimizer
    shares = np.array([schedule(step, section) for step in range(100)])
    np.testing.assert_allclose(shares[:10], np.arange(1, 11) / 10)
    assert (np.diff(shares[10:]) < 0).all()
    assert 0 < shares[-1] < 0.001
    assert shares[10] == pytest.approx(1.0, abs=0.001)


def test_text_alone_and_data_without_splits(tmp_path: Path) -> None:
    text = tiny_shop(tmp_path / "text", photos=False)
    unsplit = text.with_tables(
        queries=text.queries.drop("seen", "subset"),
        documents=text.documents.drop("seen"),
        judgments=text.judgments.drop("split"),
    )
    model = train(recipe(), unsplit, tmp_path / "run")
    assert model.metadata["step"] == 12
    assert model.metadata["dev_ndcg@10"] is None
    assert (
        evaluate(model, unsplit, EvaluationOptions(splits=["all"])).splits["all"]["nDCG@10"].queries
        > 0
    )


@pytest.mark.trained
@pytest.mark.parametrize("precision", ["bf16"])
def test_mixed_precision_learns(shop: RankingDataset, tmp_path: Path, precision: str) -> None:
    train(recipe(precision=precision, optimizer__steps=40, seed=SEED), shop, tmp_path / "run")
    losses = [line["loss"] for line in log_of(tmp_path / "run") if line["event"] == "train"]
    assert_above("bf16: fall of the loss", losses[0] - losses[-1], 0.0)
    assert np.isfinite(losses).all()


@pytest.mark.parametrize(("faster", "same"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_the_faster_precision_and_stays_so(
    shop: RankingDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faster: bool,
    same: str,
) -> None:
    expected = train(recipe(precision=same), shop, tmp_path / "same").state_dict()
    monkeypatch.setattr(precision_module, "bfloat16_is_faster", lambda *_: faster)
    auto = recipe(precision="auto", checkpoint_every=5)
    interrupt_in(8, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(auto, shop, tmp_path / "auto")
    monkeypatch.undo()
    monkeypatch.setattr(precision_module, "bfloat16_is_faster", lambda *_: not faster)
    model = train(auto, shop, tmp_path / "auto", resume=True)
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    chosen = "bfloat16" if faster else "float32"
    assert model.metadata["precision"] == chosen
    (line,) = (line for line in log_of(tmp_path / "auto") if line["event"] == "precision")
    assert line["encoders"] == chosen


def test_a_folder_that_another_run_makes_meanwhile_stays(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*arguments: Any) -> Any:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "recipe.toml").write_text("theirs")
        return original(*arguments)

    original = make_optimizer
    monkeypatch.setattr(trainer_module, "make_optimizer", overtaken)
    with pytest.raises(OutputError, match="run: already exists"):
        train(recipe(), shop, tmp_path / "run")
    assert (tmp_path / "run" / "recipe.toml").read_text() == "theirs"


def test_links_in_a_run_are_not_written_through(shop: RankingDataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="link: already exists"):
        train(recipe(), shop, tmp_path / "link")
    train(recipe(checkpoint_every=4), shop, out)
    (tmp_path / "precious").write_text("precious, without a line's end")
    (out / "log.jsonl").unlink()
    (out / "log.jsonl").symlink_to(tmp_path / "precious")
    with suppress(OutputError):
        train(recipe(checkpoint_every=4), shop, out, resume=True)
    assert (tmp_path / "precious").read_text() == "precious, without a line's end"
