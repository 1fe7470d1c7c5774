from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from rankfield.cli.main import main
from rankfield.encoders import RankingModel
from rankfield.encoders.small import small_encoder
from rankfield.evaluation import Results, evaluate
from rankfield.schema import SPLITS, RankingDataset
from ranking_shop import ranking_shop


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
    assert f"{stored.splits['in_domain']['ndcg@10'].value:.3f}" in shown

    assert run(monkeypatch, *arguments) == 2
    assert "exists already" in capsys.readouterr().err
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
    assert json.loads(out.read_text())["splits"]["in_domain"]["map@1000"]["value"] is None
    assert "queries have no relevant document" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nowhere", "DATA"], "nowhere"),
        (["evaluate", "bag-of-words", "nowhere"], "there is no such folder"),
        (["evaluate", "bag-of-words", "DATA", "--split", "train"], "unknown split 'train'"),
        (["evaluate", "bag-of-words", "DATA", "--subset", "train"], "expected dev, test or all"),
        (["evaluate", "bag-of-words", "DATA", "--dimension", "8"], "no embeddings to cut"),
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
