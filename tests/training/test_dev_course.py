"""The base model on dev: measured once, kept where nothing is better, and said where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rankfield.encoders import RankingModel
from rankfield.evaluation import DevSet
from rankfield.publishing.card import ModelFacts, published_card
from rankfield.publishing.table import LAYOUTS
from rankfield.report.log import read_log
from rankfield.report.markdown import dev_table
from rankfield.schema import RankingDataset
from rankfield.training import Recipe, parse_recipe, train
from rankfield.training.build import build_model
from rankfield.training.dev_course import Measurement, below_base, cold_split_warnings, dev_rows
from training_data import tiny_shop
from training_runs import interrupt_in, log_of

SPLITS = ("in_domain", "novel_query", "novel_document", "zero_shot")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return tiny_shop(tmp_path_factory.mktemp("data") / "tiny", photos=False)


def recipe(**dev: Any) -> Recipe:
    return parse_recipe(
        {
            "log_every": 2,
            "trackers": [],
            "encoder": {"dimension": 16, "text_width": 32},
            "batch": {"size": 8},
            "optimizer": {"steps": 4},
            "dev": {"every": 2} | dev,
        }
    )


def course(*values: tuple[float, ...]) -> list[Measurement]:
    return [
        Measurement(100 * n, dict(zip(SPLITS, row, strict=False))) for n, row in enumerate(values)
    ]


def measured(monkeypatch: pytest.MonkeyPatch, *values: tuple[float, ...]) -> list[int]:
    """Give the dev set these values in turn, and return a list that grows with each."""
    found: list[int] = []

    def ndcg(self: DevSet, model: Any, **_: Any) -> dict[str, float]:
        found.append(1)
        return dict(zip(SPLITS, values[len(found) - 1], strict=True))

    monkeypatch.setattr(DevSet, "ndcg", ndcg)
    return found


def test_a_cold_split_that_falls_while_in_domain_rises_is_named_once() -> None:
    steps = course((0.5, 0.5, 0.5), (0.6, 0.55, 0.6), (0.7, 0.545, 0.5), (0.8, 0.4, 0.45))
    found = [cold_split_warnings(steps[: n + 1]) for n in range(4)]
    assert found[:2] == [[], []]
    assert [w.split(", ")[0] for w in found[2]] == [
        "From step 100 to 200 in_domain rose from 0.600 to 0.700"
    ]
    assert "novel_document fell from 0.600 to 0.500" in found[2][0]
    assert len(found[3]) == 1
    assert "novel_query fell from 0.550 to 0.400" in found[3][0]


def test_no_warning_where_all_fall_or_nothing_is_in_domain() -> None:
    assert cold_split_warnings(course((0.7, 0.5), (0.6, 0.3))) == []
    cold = [Measurement(n, {"zero_shot": 0.5 - n / 10}) for n in range(3)]
    assert cold_split_warnings(cold) == []
    assert cold_split_warnings([]) == []


def test_the_base_model_is_measured_before_the_first_step(
    shop: RankingDataset, tmp_path: Path
) -> None:
    model = train(recipe(), shop, tmp_path / "run")
    first = next(line for line in log_of(tmp_path / "run") if line["event"] == "dev")
    assert first["step"] == 0
    base = model.metadata["dev_splits"]["base"]
    assert first["splits"] == base
    untrained = build_model(recipe(), shop)
    assert DevSet.of(shop, SPLITS).ndcg(untrained) == base
    rows = dev_rows(model.metadata)
    assert list(rows) == ["base model", "trained model"]
    assert rows["trained model"]["mean"] == model.metadata["dev_ndcg@10"]
    log = read_log(tmp_path / "run" / "log.jsonl")
    assert log.outcome == rows
    assert f"| base model | {base['in_domain']:.4f} |" in dev_table(rows)
    card = published_card(ModelFacts.of(model), LAYOUTS["transformers"], None)
    assert "| trained model |" in card


def test_where_no_step_is_better_the_base_model_is_kept_and_that_is_said(
    shop: RankingDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured(monkeypatch, (0.5,) * 4, (0.6, 0.4, 0.4, 0.4), (0.6, 0.4, 0.4, 0.5))
    model = train(recipe(), shop, tmp_path / "run")
    assert (model.metadata["step"], model.metadata["dev_ndcg@10"]) == (0, 0.5)
    untrained = build_model(recipe(), shop).state_dict()
    for name, value in RankingModel.load(tmp_path / "run" / "model").state_dict().items():
        assert torch.equal(value, untrained[name]), name
    said = capsys.readouterr().err
    assert "no step was better on dev than the base model (mean nDCG@10 0.5000)" in said
    assert "From step 0 to 2 in_domain rose from 0.500 to 0.600, while novel_query fell" in said
    outcome = log_of(tmp_path / "run")[-1]
    assert (outcome["event"], outcome["kept"], outcome["below"]) == ("outcome", 0, [])


def test_a_split_that_ends_below_the_base_is_said(
    shop: RankingDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured(monkeypatch, (0.5,) * 4, (0.9, 0.6, 0.6, 0.45), (0.4,) * 4)
    model = train(recipe(), shop, tmp_path / "run")
    assert model.metadata["step"] == 2
    said = capsys.readouterr().err
    assert "worse on dev than the base model it began with: zero_shot 0.5000 → 0.4500." in said
    assert "optimizer.learning_rate (docs/keeping.md)" in said  # no base to share: from scratch
    assert log_of(tmp_path / "run")[-1]["below"] == ["zero_shot"]


def test_a_resumed_run_measures_the_base_model_no_second_time(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe(), shop, tmp_path / "whole")
    interrupt_in(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(), shop, tmp_path / "cut")
    monkeypatch.undo()
    model = train(recipe(), shop, tmp_path / "cut", resume=True)
    assert log_of(tmp_path / "cut") == log_of(tmp_path / "whole")
    assert model.metadata == RankingModel.load(tmp_path / "whole" / "model").metadata


def test_without_measurements_nothing_is_said_of_the_base(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = measured(monkeypatch)
    model = train(recipe(every="off"), shop, tmp_path / "run")
    assert not calls
    assert "dev_splits" not in model.metadata
    assert dev_rows(model.metadata) == {}
    assert log_of(tmp_path / "run")[-1]["event"] == "train"


def test_a_run_that_fails_in_its_first_step_leaves_no_folder(
    shop: RankingDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base model, kept already, is no work."""
    from rankfield.training import trainer

    def fails(*_: Any) -> dict[str, float]:
        raise RuntimeError("the power went out")

    monkeypatch.setattr(trainer._Trainer, "_step", fails)
    with pytest.raises(RuntimeError, match="power"):
        train(recipe(), shop, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        {"base": {}, "model": {}},
        {"base": {"in_domain": "much"}, "model": {"in_domain": 0.5}},
        {"base": {"in_domain": 0.5}},
    ],
)
def test_metadata_in_another_form_gives_no_rows(found: Any) -> None:
    assert dev_rows({"dev_splits": found}) == {}
    assert dev_table({}) == ""


def test_splits_below_the_base() -> None:
    assert below_base({"a": 0.5, "b": 0.5}, {"a": 0.5, "b": 0.4}) == ["b"]
