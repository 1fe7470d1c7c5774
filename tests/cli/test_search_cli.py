"""`rankfield search`: devices, kept embeddings, columns of any name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from rankfield.cli.main import main
from rankfield.encoders import RankingModel, pipeline, small_encoder
from rankfield.schema import Field, RankingDataset
from ranking_shop import ranking_shop

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rankfield", "search", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        shown = capsys.readouterr()
        return int(caught.value.code or 0), shown.out, shown.err

    monkeypatch.setenv("COLUMNS", "200")
    return call


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    return ranking_shop(split=False).save(tmp_path_factory.mktemp("shop") / "data")


@pytest.fixture(scope="module")
def model(shop: RankingDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    encoder = small_encoder(shop.documents["title"], ["text"], dimension=16, width=32)
    folder = tmp_path_factory.mktemp("model") / "model"
    RankingModel(encoder, shop.query_fields, shop.document_fields).save(folder)
    return folder


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """(side, rows) of what is embedded."""
    found: list[tuple[str, int]] = []
    embed = pipeline.embedded

    def spied(model: RankingModel, rows: Any, side: Any, **options: Any) -> Any:
        found.append((side, len(rows)))
        return embed(model, rows, side, **options)

    for module in ("model", "pipeline"):
        monkeypatch.setattr(f"rankfield.encoders.{module}.embedded", spied)
    return found


def test_a_second_search_embeds_no_document(
    run: Run, shop: RankingDataset, model: Path, tmp_path: Path, embedded: list[tuple[str, int]]
) -> None:
    options = ("--cache", tmp_path / "kept")
    status, first, _ = run(model, shop.root, "red mug", *options)
    assert status == 0
    assert embedded == [("query", 1), ("document", 80)]
    assert run(model, shop.root, "red mug", *options)[1] == first
    assert run(model, shop.root, "red mug", "--no-cache")[1] == first
    assert embedded[2:] == [("query", 1), ("query", 1), ("document", 80)]


def test_what_is_kept_of_other_data_or_models_is_never_taken(
    run: Run, shop: RankingDataset, model: Path, tmp_path: Path, embedded: list[tuple[str, int]]
) -> None:
    options = ("--cache", tmp_path / "kept")
    run(model, shop.root, "red mug", *options)
    changed = shop.documents.with_columns(title=pl.col("title").str.replace("red", "dark"))
    other = shop.with_tables(documents=changed).save(tmp_path / "other")
    embedded.clear()
    run(model, other.root, "red mug", *options)
    again = RankingModel.load(model).truncate_to(4)
    again.save(tmp_path / "cut")
    status, shown, _ = run(tmp_path / "cut", shop.root, "red mug", *options)
    assert (status, embedded) == (0, [("query", 1), ("document", 80)] * 2)
    assert len(shown.splitlines()) == 11


def test_by_default_the_users_cache_is_used_if_it_can_be(
    run: Run,
    shop: RankingDataset,
    model: Path,
    tmp_path: Path,
    *,
    embedded: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RANKFIELD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    expected = run(model, shop.root, "red mug")[1]
    assert len(list((tmp_path / "home" / "rankfield").iterdir())) == 1
    embedded.clear()
    assert run(model, shop.root, "red mug")[1] == expected
    assert embedded == [("query", 1)]
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    status, shown, told = run(model, shop.root, "red mug")
    assert (status, shown) == (0, expected)
    assert "note: the embeddings are not kept: " in told
    status, _, told = run(model, shop.root, "red mug", "--cache", tmp_path / "file" / "kept")
    assert status == 2
    assert "cannot be written" in told


def test_a_device_that_is_not_there(run: Run, shop: RankingDataset, model: Path) -> None:
    status, _, told = run(model, shop.root, "red mug", "--device", "cuda:99")
    assert status == 2
    assert "no such device 'cuda:99'" in told
    assert run(model, shop.root, "red mug", "--device", "cpu")[0] == 0


def test_fields_that_are_called_rank_and_similarity(
    run: Run, shop: RankingDataset, model: Path, tmp_path: Path
) -> None:
    documents = shop.documents.rename({"title": "rank"}).with_columns(similarity=pl.lit(3))
    data = RankingDataset(
        "clash", shop.query_fields, (Field("rank", "text"),), shop.score_scale,
        shop.queries, documents, shop.judgments,
    ).save(tmp_path / "data")  # fmt: skip
    loaded = RankingModel.load(model)
    RankingModel(loaded.encoder, data.query_fields, data.document_fields).save(tmp_path / "model")
    status, shown, _ = run(tmp_path / "model", data.root, "red mug", "-k", 3)
    assert status == 0
    header, *lines = shown.splitlines()
    assert header.split() == ["rank", "similarity", "doc_id", "source_rank"]
    titles = dict(documents.select("doc_id", "rank").iter_rows())
    for place, line in enumerate(lines, start=1):
        number, _score, doc_id, *words = line.split()
        assert int(number) == place
        assert " ".join(words) == titles[doc_id]
