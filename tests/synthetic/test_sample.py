"""The sample shop as a data set: sizes, determinism, files, command line, bad numbers."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from rankfield.cli.main import app, main
from rankfield.errors import InputError, OutputError
from rankfield.schema import RankingDataset
from rankfield.synthetic import sample_shop
from rankfield.synthetic.catalogue import catalogue_blocks, make_catalogue
from rankfield.synthetic.images import draw_images
from rankfield.synthetic.relevance import WEIGHTS


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    out = tmp_path_factory.mktemp("sample") / "shop"
    return sample_shop(out, documents=250, queries=40, per_query=30, seed=3, workers=2)


def _files(dataset: RankingDataset) -> dict[str, bytes]:
    assert dataset.root is not None
    pictures = sorted((dataset.root / "images").rglob("*.jpg"))
    return {str(path.relative_to(dataset.root)): path.read_bytes() for path in pictures}


def test_sizes_and_fields(shop: RankingDataset) -> None:
    assert (shop.documents.height, shop.queries.height) == (250, 40)
    assert shop.judgments.height == 40 * 30
    assert [(f.name, f.modality) for f in shop.document_fields] == [
        ("image", "image"),
        ("title", "text"),
    ]
    assert [f.name for f in shop.query_fields] == ["query"]
    scale = shop.score_scale
    assert (scale.minimum, scale.maximum, scale.relevant) == (1, 30, 1)
    assert shop.provenance.seed == 3
    for name in ("brand", "category", "colour", "pattern", "material", "price", "reviews"):
        assert shop.documents[name].null_count() == 0


def test_every_list_is_a_ranking_of_known_documents(shop: RankingDataset) -> None:
    assert set(shop.judgments["doc_id"]) <= set(shop.documents["doc_id"])
    assert set(shop.judgments["query_id"]) == set(shop.queries["query_id"])
    for (_,), ranked in shop.judgments.sort("position").group_by("query_id", maintain_order=True):
        assert ranked["position"].to_list() == list(range(1, 31))
        assert ranked["doc_id"].n_unique() == 30
        np.testing.assert_array_equal(ranked["score"], np.arange(30.0, 0, -1))
        np.testing.assert_array_equal(ranked["score_linear"], ranked["score"])
        np.testing.assert_allclose(ranked["score_reciprocal"], 1 / np.arange(1, 31))


def test_the_same_seed_gives_the_same_shop_for_any_number_of_workers(
    shop: RankingDataset, tmp_path: Path
) -> None:
    again = sample_shop(
        tmp_path / "again", documents=250, queries=40, per_query=30, seed=3, workers=1
    )
    for table in ("documents", "queries", "judgments"):
        assert getattr(again, table).equals(getattr(shop, table))
    assert _files(again) == _files(shop)


def test_another_seed_gives_another_shop(shop: RankingDataset, tmp_path: Path) -> None:
    other = sample_shop(tmp_path / "other", documents=250, queries=40, seed=4, images=False)
    assert not other.documents["title"].equals(shop.documents["title"])
    assert not other.queries["query"].equals(shop.queries["query"])


def test_every_document_has_a_photo(shop: RankingDataset) -> None:
    assert shop.root is not None
    assert set(_files(shop)) == set(shop.documents["image"])
    with Image.open(shop.root / shop.documents["image"][7]) as photo:
        assert (photo.format, photo.mode, photo.size) == ("JPEG", "RGB", (96, 96))


def test_titles_leave_colour_and_pattern_to_the_photo_more_often_than_not(tmp_path: Path) -> None:
    documents = sample_shop(tmp_path / "shop", documents=2000, queries=1, images=False).documents
    for attribute in ("colour", "pattern"):
        says = pl.col("title").str.to_lowercase().str.contains(pl.col(attribute))
        told = documents.filter(pl.col(attribute) != "plain").select(says)[:, 0].to_list()
        assert 0.1 < sum(told) / len(told) < 0.35
    assert documents["title"].n_unique() > 1900


def test_a_larger_shop_begins_with_the_products_of_a_smaller_one() -> None:
    small, large = make_catalogue(100, seed=1), make_catalogue(9000, seed=1)
    np.testing.assert_array_equal(small.rgb, large.rgb[:100])
    np.testing.assert_array_equal(small.brand, large.brand[:100])
    second = next(catalogue_blocks(9000, 1, first=1))
    np.testing.assert_array_equal(second.category, large.category[8192:])


def test_fewer_documents_than_the_length_of_a_list(tmp_path: Path) -> None:
    tiny = sample_shop(tmp_path / "tiny", documents=7, queries=3, per_query=100, images=False)
    assert tiny.judgments.height == 21
    assert sorted(set(tiny.judgments["score"])) == [94, 95, 96, 97, 98, 99, 100]


def test_twenty_thousand_documents_without_images(tmp_path: Path) -> None:
    started = time.process_time()
    shop = sample_shop(tmp_path / "shop", documents=20_000, queries=200, images=False)
    assert time.process_time() - started < 20
    assert shop.judgments.height == 20_000
    assert "image" not in shop.documents.columns
    assert not (tmp_path / "shop" / "images").exists()
    assert shop.queries["query"].n_unique() == 200


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"documents": 0}, "documents ≥ 1, found 0"),
        ({"queries": -1}, "queries ≥ 1, found -1"),
        ({"per_query": 0}, "per_query ≥ 1"),
        ({"image_size": 8}, "image_size from 16 to 1024"),
        ({"workers": 0}, "workers ≥ 1"),
        ({"seed": -1}, "seed ≥ 0"),
        ({"popularity": -0.1}, "popularity ≥ 0, found -0.1"),
        ({"noise": float("nan")}, "noise ≥ 0, found nan"),
    ],
)
def test_numbers_out_of_range(wrong: dict[str, float], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        sample_shop(tmp_path / "shop", **wrong)  # type: ignore[arg-type]
    assert not any(tmp_path.iterdir())


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        sample_shop(tmp_path, documents=5, queries=1)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_photo_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match="disk is full"):
        sample_shop(tmp_path / "shop", documents=5, queries=1)
    assert not any(tmp_path.iterdir())


def test_a_failing_worker_is_reported(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"draws images failed.*height and width must be > 0"):
        draw_images(tmp_path, 250, seed=0, size=0, workers=2)


def test_command_line(tmp_path: Path) -> None:
    options = ["--documents", "60", "--queries", "5", "--per-query", "10", "--no-images"]
    result = CliRunner().invoke(app, ["sample", str(tmp_path / "shop"), *options])
    assert result.exit_code == 0, result.output
    assert "60 products, 5 queries, 50 judgments" in result.output
    shop = RankingDataset.load(tmp_path / "shop")
    used = f"{WEIGHTS['popularity']:g} × popularity and {WEIGHTS['noise']:g} × chance"
    assert used in shop.provenance.source
    first_word = shop.queries["query"][0].split()[0]
    assert first_word in result.output


def test_popularity_and_noise_are_what_the_lists_are_ranked_by(tmp_path: Path) -> None:
    sizes = {"documents": 400, "queries": 20, "per_query": 50, "images": False}
    for name, weight in (("without", 0.0), ("much", 50.0)):
        shop = sample_shop(tmp_path / name, popularity=weight, noise=0.0, **sizes)  # type: ignore[arg-type]
        assert f"{weight:g} × popularity and 0 × chance" in shop.provenance.source
        joined = shop.judgments.join(shop.documents, on="doc_id")
        agreed = joined.group_by("query_id").agg(
            pl.corr("score", "reviews", method="spearman").alias("rank")
        )
        mean = agreed["rank"].mean()
        assert isinstance(mean, float)
        assert mean > 0.7 if weight else abs(mean) < 0.3


def test_command_line_refuses_an_existing_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["rankfield", "sample", str(tmp_path), "--documents", "5"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "already exists" in capsys.readouterr().err
