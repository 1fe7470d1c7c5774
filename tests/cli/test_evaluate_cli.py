from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from rankfield.cli.main import main
from rankfield.encoders import RankingModel
from rankfield.encoders.small import small_encoder
from rankfield.evaluation import BASELINES, Results, evaluate
from rankfield.schema import SPLITS, Field, RankingDataset
from rankfield.training import build_model, parse_recipe
from ranking_shop import ranking_shop

FILES = (".json", ".queries.parquet", ".rankings.parquet")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return ranking_shop().save(tmp_path_factory.mktemp("shop") / "data")


def test_a_model(
    tmp_path: Path,
    data: RankingDataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(0)
    encoder = small_encoder(data.documents["title"], ["text"], dimension=16, width=32, layers=1)
    model = RankingModel(encoder, data.query_fields, data.document_fields, name="tiny")
    model.save(tmp_path / "model")
    out = tmp_path / "tiny.json"
    arguments = ("evaluate", tmp_path / "model", data.root, "--out", out, "--device", "cpu")
    assert run(monkeypatch, *arguments, "--label", "mine") == 0
    shown = capsys.readouterr().out
    assert all(split in shown for split in SPLITS)
    stored = Results.load(out)
    assert (stored.model, stored.label, stored.subset) == ("tiny", "mine", "test")
    assert stored.splits == evaluate(model, data).splits
    assert f"{stored.splits['in_domain']['nDCG@10'].value:.3f}" in shown

    assert run(monkeypatch, *arguments) == 2
    assert "already exists" in capsys.readouterr().err
    assert run(monkeypatch, *arguments, "--split", "zero_shot", "--overwrite") == 0
    assert list(Results.load(out).splits) == ["zero_shot"]

    kept = (*arguments, "--overwrite", "--cache", tmp_path / "kept", "--memory", "8")
    assert run(monkeypatch, *kept, "--precision", "float32") == 0
    assert Results.load(out).splits == stored.splits
    assert len(list((tmp_path / "kept").iterdir())) == 4  # two corpora, two sets of queries
    with monkeypatch.context() as patch:
        patch.setattr(RankingModel, "embed_chunks", None)
        assert run(monkeypatch, *kept, "--precision", "bfloat16") == 0
    assert Results.load(out).splits == stored.splits
    assert run(monkeypatch, *kept, "--precision", "int8") == 2
    assert "float32 or bfloat16" in capsys.readouterr().err

    assert run(monkeypatch, *arguments, "--dimension", "4", "--overwrite") == 0
    cut = Results.load(out).splits
    assert cut == evaluate(model.truncate_to(4), data).splits
    assert cut != stored.splits
    assert run(monkeypatch, *arguments, "--dimension", "17", "--overwrite") == 2
    assert "a dimension from 1 to 16, found 17" in capsys.readouterr().err


def test_the_baseline_and_subsets(
    tmp_path: Path, data: RankingDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for subset in ("dev", "test", "all"):
        out = tmp_path / f"{subset}.json"
        command = ("evaluate", "bag-of-words", data.root, "--subset", subset, "--out", out)
        assert run(monkeypatch, *command) == 0
    queries = {
        path.stem: Results.load(path).sizes["in_domain"].queries for path in tmp_path.glob("*.json")
    }
    assert queries["dev"] + queries["test"] == queries["all"]


def test_queries_without_anything_relevant_are_told(
    tmp_path: Path,
    data: RankingDataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    judgments = data.judgments.with_columns(score=0.0 * data.judgments["score"])
    data.with_tables(judgments=judgments).save(tmp_path / "zero")
    out = tmp_path / "zero.json"
    assert run(monkeypatch, "evaluate", "bag-of-words", tmp_path / "zero", "--out", out) == 0
    assert json.loads(out.read_text())["splits"]["in_domain"]["mAP@1000"]["value"] is None
    assert "queries have no relevant document" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nowhere", "DATA"], "nowhere"),
        (["evaluate", "bag-of-words", "nowhere"], "there is no such folder"),
        (["evaluate", "bag-of-words", "DATA", "--split", "train"], "unknown split 'train'"),
        (["evaluate", "bag-of-words", "DATA", "--subset", "train"], "expected dev, test or all"),
        (["evaluate", "bag-of-words", "DATA", "--dimension", "8"], "no embeddings to cut"),
        (["evaluate", "DATA"], "expected a model and a data set"),
        (["evaluate", "DATA", "--baseline", "bm52"], "Did you mean 'bm25'?"),
        (["evaluate", "DATA", "--baseline", "untrained"], "needs to know of which model"),
        (["evaluate", "nowhere", "DATA", "--baseline", "random"], "random needs no model"),
        (["evaluate", "DATA", "--baseline", "all", "--label", "x"], "would average them"),
        (["evaluate", "DATA", "--baseline", "bm25", "--robustness"], "only models can leave"),
        (["evaluate", "DATA", "--baseline", "bm25", "--without", "title"], "only models can"),
        (["evaluate", "DATA", "--baseline", "bm25", "--recipe", "r.toml"], "is for --baseline unt"),
        (["evaluate", "a", "DATA", "--popularity-column", "x"], "is for --baseline popularity"),
        (["evaluate", "a", "DATA", "--without", "x", "--robustness"], "measures the whole model"),
        (["evaluate", "a", "DATA", "--without", "x", "--cache", "c"], "keeps whole embeddings"),
        (["evaluate", "DATA", "--baseline", "bm25", "--cache", "c"], "of saved models only"),
        (["evaluate", "DATA", "--baseline", "bm25", "--device", "cpu"], "no embeddings to search"),
        (["evaluate", "DATA", "--baseline", "oracle", "--precision", "float32"], "to search"),
        (["evaluate", "DATA", "--baseline", "untrained", "--recipe", "r.toml"], "r.toml"),
    ],
)
def test_bad_input_exits_with_two(
    arguments: list[str],
    message: str,
    *,
    data: RankingDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = [str(data.root) if argument == "DATA" else argument for argument in arguments]
    assert run(monkeypatch, *filled, "--out", tmp_path / "out.json") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_invalid_data_is_refused(
    tmp_path: Path,
    data: RankingDataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data.with_tables(documents=data.documents.head(3)).save(tmp_path / "dangling")
    assert run(monkeypatch, "evaluate", "bag-of-words", tmp_path / "dangling") == 2
    assert "doc_id" in capsys.readouterr().err


def test_an_unknown_device(
    tmp_path: Path,
    data: RankingDataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    encoder = small_encoder(data.documents["title"], ["text"], dimension=16, width=32, layers=1)
    RankingModel(encoder, data.query_fields, data.document_fields).save(tmp_path / "model")
    assert run(monkeypatch, "evaluate", tmp_path / "model", data.root, "--device", "toaster") == 2
    assert "no such device 'toaster'" in capsys.readouterr().err


def test_all_baselines_with_one_flag(
    tmp_path: Path,
    data: RankingDataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        "name = 'small'\n[encoder]\nkind = 'small'\ndimension = 16\n"
        "text_width = 32\ntext_layers = 1\n",
        "utf-8",
    )
    out = tmp_path / "base.json"
    everything = ("evaluate", data.root, "--baseline", "all", "--out", out)
    assert run(monkeypatch, *everything, "--recipe", recipe, "--device", "cpu") == 0
    assert "oracle on shop, test queries" in capsys.readouterr().out
    assert not out.exists()
    values: dict[str, float] = {}
    for name in (*BASELINES, "untrained"):
        found = Results.load(tmp_path / f"base.{name}.json")
        assert (found.model, found.metadata["baseline"]) == (name, name)
        values[name] = found.splits["zero_shot"]["nDCG@10"].value or 0.0
    assert values["oracle"] == 1
    assert values["oracle"] > values["bm25"] > values["random"]

    assert run(monkeypatch, *everything) == 2
    assert "base.bm25.json: already exists" in capsys.readouterr().err
    alias = tmp_path / "words.json"
    assert run(monkeypatch, "evaluate", "bag-of-words", data.root, "--out", alias) == 0
    assert Results.load(alias).splits == Results.load(tmp_path / "base.bm25.json").splits


def test_of_several_baselines_all_are_written_or_none(
    tmp_path: Path,
    data: RankingDataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ("evaluate", data.root, "--baseline", "all", "--out", tmp_path / "base.json")
    # bm25 and random, which come first, can be measured; popularity cannot.
    assert run(monkeypatch, *command, "--popularity-column", "nothing") == 2
    captured = capsys.readouterr()
    assert "random on shop" in captured.out
    assert "nothing" in captured.err
    assert list(tmp_path.iterdir()) == []
    assert run(monkeypatch, *command) == 0
    names = {f"base.{name}{end}" for name in BASELINES for end in FILES}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_recipe_that_fails_does_so_before_the_first_baseline(
    tmp_path: Path,
    data: RankingDataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = tmp_path / "bad.toml"
    recipe.write_text("name = 'x'\n[encoder]\nkind = 'small'\nno_such = 1\n", "utf-8")
    assert run(monkeypatch, "evaluate", data.root, "--baseline", "all", "--recipe", recipe) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no_such" in captured.err


def test_several_splits_in_one_file(
    tmp_path: Path, data: RankingDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "two.json"
    command = ("evaluate", data.root, "--baseline", "bm25", "--out", out, "--overwrite")
    assert run(monkeypatch, *command) == 0
    every = Results.load(out)
    two = ("--split", "zero_shot", "--split", "novel_query")
    assert run(monkeypatch, *command, *two) == 0
    found = Results.load(out)
    assert list(found.splits) == ["zero_shot", "novel_query"]
    assert all(found.splits[split] == every.splits[split] for split in found.splits)
    assert set(found.queries["split"]) == set(found.splits)
    assert run(monkeypatch, *command, *two, "--split", "all") == 0
    assert Results.load(out).splits == every.splits


def test_random_and_popularity_take_their_options(
    tmp_path: Path, data: RankingDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Results] = []
    for name, *option in (
        ("random", "--seed", "3"),
        ("random",),
        ("popularity", "--popularity-column", "stars"),
    ):
        documents = data.documents.with_columns(stars=pl.int_range(pl.len()) % 5)
        folder = tmp_path / "starred"
        data.with_tables(documents=documents).save(folder, overwrite=True)
        out = tmp_path / f"{len(made)}.json"
        assert run(monkeypatch, "evaluate", folder, "--baseline", name, *option, "--out", out) == 0
        made.append(Results.load(out))
    assert [one.metadata.get("seed") for one in made] == [3, 0, None]
    assert made[0].splits != made[1].splits
    assert made[2].metadata["column"] == "stars"


def two_fields(folder: Path) -> RankingDataset:
    """Write the shop with a second document field, which some documents lack."""
    dataset = ranking_shop()
    colour = pl.when(pl.int_range(pl.len()) % 3 > 0).then(
        pl.col("title").str.split(" ").list.get(0)
    )
    documents = dataset.documents.with_columns(colour=colour)
    fields = (*dataset.document_fields, Field("colour", "text", 0.5))
    return replace(dataset, documents=documents, document_fields=fields).save(folder)


def test_missing_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    data = two_fields(tmp_path / "data")
    torch.manual_seed(0)
    encoder = small_encoder(data.documents["title"], ["text"], dimension=16, width=32, layers=1)
    RankingModel(encoder, data.query_fields, data.document_fields).save(tmp_path / "model")
    whole, without = tmp_path / "whole.json", tmp_path / "without.json"
    common = ("evaluate", tmp_path / "model", data.root, "--device", "cpu")
    assert run(monkeypatch, *common, "--out", whole, "--robustness") == 0
    shown = capsys.readouterr().out
    found = Results.load(whole)
    assert list(found.robustness) == ["document.title", "document.colour"]
    value = found.robustness["document.title"]["zero_shot"]["nDCG@10"].value
    whole_value = found.splits["zero_shot"]["nDCG@10"].value
    assert value is not None
    assert whole_value is not None
    change = value - whole_value
    assert f"{value:.3f} ({change:+.3f})" in shown
    assert run(monkeypatch, *common, "--out", without, "--without", "title") == 0
    alone = Results.load(without)
    assert alone.splits == found.robustness["document.title"]
    assert alone.metadata["without"] == ["document.title"]
    assert run(monkeypatch, *common, "--without", "titel") == 2
    assert "unknown field 'titel'" in capsys.readouterr().err


def test_results_say_which_model(
    tmp_path: Path, data: RankingDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprints: list[str] = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        encoder = small_encoder(data.documents["title"], ["text"], dimension=16, width=32, layers=1)
        folder = tmp_path / f"model{len(fingerprints)}"
        RankingModel(encoder, data.query_fields, data.document_fields).save(folder)
        out = tmp_path / "r.json"
        arguments = ("--out", out, "--overwrite", "--device", "cpu", "--dimension", "8")
        assert run(monkeypatch, "evaluate", folder, data.root, *arguments) == 0
        made = Results.load(out).metadata
        assert (made["model"], made["dimension"], made["k"]) == (str(folder.resolve()), 8, 1000)
        fingerprints.append(made["fingerprint"])
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_the_untrained_model_of_a_trained_one(
    tmp_path: Path,
    data: RankingDataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = {"encoder": {"kind": "small", "dimension": 16, "text_width": 32, "text_layers": 1}}
    recipe = parse_recipe(values)
    model = build_model(recipe, data)
    expected = evaluate(model, data).splits
    with torch.no_grad():
        for weights in model.encoder.parameters():
            weights.add_(torch.randn_like(weights))
    model.metadata = {"recipe": recipe.model_dump(mode="json")}
    model.save(tmp_path / "model")
    out = tmp_path / "r.json"
    command = ("evaluate", tmp_path / "model", data.root, "--baseline", "untrained", "--out", out)
    assert run(monkeypatch, *command, "--device", "cpu") == 0
    assert Results.load(out).splits == expected
    model.metadata = {}
    model.save(tmp_path / "model", overwrite=True)
    assert run(monkeypatch, *command, "--overwrite") == 2
    assert "does not say by which recipe" in capsys.readouterr().err
