"""Near duplicates, kinds of splits, the audit page and the data card from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from rankfield.cli.main import app
from rankfield.curation import split_sizes
from rankfield.errors import DataError, InputError, OutputError, SplitError
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.synthetic import sample_shop
from rankfield.training import build_model, parse_recipe


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Forty queries and documents; d00 … d03 have the same words but for an ending."""
    root = tmp_path / "made"
    root.mkdir()
    for i in range(40):
        pixels = np.random.default_rng(i).integers(0, 255, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{i}.png")
    titles = [f"thing {'abcdefghij'[i % 10] * 9} {i}" for i in range(40)]
    titles[:4] = [f"large striped mug of porcelain{end}" for end in ("", "s", ", red", "!")]
    data = RankingDataset(
        name="shop",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"), Field("photo", "image")),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame(
            {
                "query_id": [f"q{i:02d}" for i in range(40)],
                "query": ["mug tan", "Tan mugs", *(f"query {i}" for i in range(38))],
                "asked": [f"2025-01-{i % 28 + 1:02d}" for i in range(40)],
            }
        ),
        documents=pl.DataFrame(
            {
                "doc_id": [f"d{i:02d}" for i in range(40)],
                "title": titles,
                "photo": ["0.png", "0.png", *(f"{i}.png" for i in range(2, 40))],
            }
        ),
        judgments=pl.DataFrame(
            {
                "query_id": [f"q{i:02d}" for i in range(40) for _ in range(40)],
                "doc_id": [f"d{i:02d}" for _ in range(40) for i in range(40)],
                "score": [1.0] * 1600,
            }
        ),
        root=root,
    )
    data.save(tmp_path / "shop")
    return tmp_path / "shop"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if result.exception is not None:
        raise result.exception
    return result.output


def kept(folder: Path, table: str = "documents") -> set[str]:
    data = RankingDataset.load(folder)
    return set(data.documents["doc_id"] if table == "documents" else data.queries["query_id"])


def test_near_duplicates(shop: Path, tmp_path: Path) -> None:
    out = run("dedupe", shop, tmp_path / "a", "--near", "title=0.8", "--near-queries", "words")
    assert "d00 · d01" in out
    assert "title ≥ 0.8 (Jaccard of characters:4)" in " ".join(out.split())
    assert "- d00: large striped mug of porcelain · d01: large striped mug of porcelains" in out
    assert {"d01", "d03"} & kept(tmp_path / "a") == set()
    assert len(kept(tmp_path / "a", "queries")) == 39
    run("dedupe", shop, tmp_path / "b", "--near", "title=0.8", "--near", "photo=4")
    assert len(kept(tmp_path / "b")) == 39
    vectors = np.eye(40, dtype=np.float32)
    vectors[7] = vectors[5]
    np.save(tmp_path / "v.npy", vectors)
    run(
        *("dedupe", shop, tmp_path / "c", "--near", "embedding=0.9"),
        *("--embeddings", tmp_path / "v.npy", "--no-queries"),
    )
    assert "d07" not in kept(tmp_path / "c")
    assert len(kept(tmp_path / "c")) == 39
    run("dedupe", shop, tmp_path / "d", "--near-queries", "words", "--as-group", "same")
    grouped = RankingDataset.load(tmp_path / "d").queries
    assert grouped["same"].to_list()[:3] == ["q00", "q00", "q02"]


def test_embeddings_of_a_model(shop: Path, tmp_path: Path) -> None:
    data = RankingDataset.load(shop)
    titles = data.documents["title"].to_list()
    titles[9] = titles[8]  # the same input, so a cosine of 1 whatever the model
    photos = data.documents["photo"].to_list()
    photos[9] = photos[8]
    twins = data.documents.with_columns(title=pl.Series(titles), photo=pl.Series(photos))
    made = data.with_tables(documents=twins).save(tmp_path / "twins")
    encoder = {"text_width": 32, "dimension": 16, "image_size": 16, "image_width": 32}
    build_model(parse_recipe({"encoder": encoder}), made).save(tmp_path / "model")
    run(
        *("dedupe", tmp_path / "twins", tmp_path / "out", "--near", "embedding=1"),
        *("--model", tmp_path / "model", "--near-queries", "embedding=1"),
    )
    assert "d08" in kept(tmp_path / "out")
    assert "d09" not in kept(tmp_path / "out")


def test_rules_that_make_no_sense(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for words, message in (
        (["--near", "title"], "expected NAME=LIMIT"),
        (["--near", "title=0.8", "--images"], "is for exact duplicates"),
        (["--near", "words", "--near-queries", "words", "--as-group", "g"], "documents or queries"),
        (["--near", "title=0.8", "--no-documents"], "which are not merged"),
        (["--near", "embedding=0.9"], "needs embeddings"),
        (["--near", "title=0.8", "--shingles", "lines:2"], "words:N or characters:N"),
        (["--near", "embedding=1", "--embeddings", str(shop / "dataset.toml")], "numpy.save"),
        (
            ["--near-queries", "embedding=1", "--embeddings", str(shop / "dataset.toml")],
            "those of the documents",
        ),
        (["--near", "embedding=1", "--embeddings", "x", "--model", "y"], "not both"),
    ):
        with pytest.raises(InputError, match=message):
            run("dedupe", shop, out, *words)
        assert not out.exists()


def test_parts_with_few_queries_are_warned_of(shop: Path, tmp_path: Path) -> None:
    out = " ".join(run("split", shop, tmp_path / "few").split())
    sizes = {
        f"{split} {subset}": queries
        for split, subset, queries, *_ in split_sizes(RankingDataset.load(tmp_path / "few")).rows()
    }
    few = [f"{part} ({queries})" for part, queries in sizes.items() if 0 < queries < 20]
    assert len(few) > 0
    assert f"warning: few queries in {', '.join(few)}: means over fewer than 20" in out
    many = sample_shop(tmp_path / "many", documents=100, queries=500, images=False).root
    assert many is not None
    assert "few queries" not in run("split", many, tmp_path / "enough", "--queries", 0.8)


def test_folds(shop: Path, tmp_path: Path) -> None:
    run("split", shop, tmp_path / "folds", "--folds", 3)
    made = [RankingDataset.load(tmp_path / "folds" / f"fold-{i}") for i in range(3)]
    unseen = sum((~one.queries["seen"]).cast(pl.Int64) for one in made)
    assert unseen.to_list() == [1] * 40  # type: ignore[union-attr]
    run("split", shop, tmp_path / "one", "--folds", 3, "--fold", 1)
    assert RankingDataset.load(tmp_path / "one").queries.equals(made[1].queries)
    for words, message in (
        (["--fold", 1], "of how many"),
        (["--folds", 1], "2 folds or more"),
        (["--folds", 3, "--queries", 0.5], "decides the fractions"),
        (["--folds", 3, "--by-time", "asked"], "choose one of them"),
    ):
        with pytest.raises(InputError, match=message):
            run("split", shop, tmp_path / "out", *words)
        assert not (tmp_path / "out").exists()


def test_by_time(shop: Path, tmp_path: Path) -> None:
    run("split", shop, tmp_path / "a", "--by-time", "asked=2025-01-15")
    queries = RankingDataset.load(tmp_path / "a").queries
    assert queries["seen"].to_list() == [i % 28 < 14 for i in range(40)]
    out = run("split", shop, tmp_path / "b", "--by-time", "queries.asked", "--near-texts", 0.8)
    assert "queries seen before 2025-01-" in out
    assert "near: title" in out
    with pytest.raises(SplitError, match=r"expected queries\.COLUMN"):
        run("split", shop, tmp_path / "c", "--by-time", "when")


def test_page_and_card(shop: Path, tmp_path: Path) -> None:
    page, card = tmp_path / "shop.html", tmp_path / "README.md"
    run("check", shop, "--html", page, "--card", card)
    assert "<h1>shop</h1>" in page.read_text("utf-8")
    assert card.read_text("utf-8").startswith('---\npretty_name: "shop"\n')
    with pytest.raises(OutputError, match="already exists"):
        run("check", shop, "--html", page)
    (shop / "3.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"1 error\(s\)"):
        run("check", shop, "--html", tmp_path / "broken.html")
    assert "3.png: not an image" in (tmp_path / "broken.html").read_text("utf-8")
