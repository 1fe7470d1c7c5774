"""`rankfield dedupe` from the command line, and the engines' refusals."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from rankfield.cli.main import app
from rankfield.engines import make_engine
from rankfield.errors import InputError, MissingExtraError, OutputError, SplitError
from rankfield.schema import Field, RankingDataset, ScoreScale


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    data = RankingDataset(
        name="shop",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"),),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame({"query_id": ["a", "b"], "query": ["mug", "Mug!"]}),
        documents=pl.DataFrame(
            {"doc_id": ["d2", "d1", "d3"], "title": ["Red  mug", "red mug", "tan mug"]}
        ),
        judgments=pl.DataFrame(
            {"query_id": ["a", "b", "a"], "doc_id": ["d2", "d1", "d3"], "score": [0.5, 1.0, 0.0]}
        ),
    )
    data.save(tmp_path / "shop")
    return tmp_path / "shop"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if result.exception is not None:
        raise result.exception
    return result.output


def test_merging(shop: Path) -> None:
    out = run("dedupe", shop, shop / "unique", "--scores", "mean")
    assert "d1 · d2" in out
    assert "1 judgments merged" in out
    data = RankingDataset.load(shop / "unique")
    assert data.documents["doc_id"].to_list() == ["d1", "d3"]
    assert data.judgments.rows() == [("a", "d1", 0.75), ("a", "d3", 0.0)]
    run("dedupe", shop, shop / "documents", "--no-queries")
    assert RankingDataset.load(shop / "documents").judgments.height == 3


def test_a_group(shop: Path) -> None:
    run("dedupe", shop, shop / "grouped", "--as-group", "same")
    data = RankingDataset.load(shop / "grouped")
    assert data.documents["same"].to_list() == ["d1", "d1", "d3"]
    assert data.judgments.height == 3


def test_refusals(shop: Path) -> None:
    with pytest.raises(InputError, match="neither queries nor documents"):
        run("dedupe", shop, shop / "out", "--no-queries", "--no-documents")
    with pytest.raises(OutputError, match="already exists"):
        run("dedupe", shop, shop)
    data = RankingDataset.load(shop)
    split = data.judgments.with_columns(split=pl.lit("in_domain"))
    data.with_tables(judgments=split).save(shop / "split")
    with pytest.raises(SplitError, match="is split"):
        run("dedupe", shop / "split", shop / "out")
    assert not (shop / "out").exists()


def test_ray_is_an_extra(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rankfield\[ray\]'"):
        make_engine("ray")
    with pytest.raises(MissingExtraError, match="the engine ray"):
        run("check", shop, "--engine", "ray")
