"""Nothing outside a data set's folder is read, sent, shown or copied, by whatever command."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from rankfield.curation import dedupe, split
from rankfield.curation.keys import hash_images
from rankfield.curation.near_images import fingerprint_images
from rankfield.errors import DataError, ImageError
from rankfield.formats import (
    write_beir,
    write_hugging_face,
    write_marqo_gs,
    write_tables,
)
from rankfield.judging.prompt import image_address
from rankfield.report.audit_numbers import image_bars
from rankfield.report.thumbnails import Thumbnails
from rankfield.schema import DatasetFolder, Field, RankingDataset, ScoreScale
from rankfield.synthetic import sample_shop
from rankfield.validate import audit

OUTSIDE = "leads out of the data set's folder"
N = 12


@pytest.fixture(params=["absolute", "climbing", "link", "linked folder", "fifo"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a data set folder whose fourth document names something that is not its own."""
    private = tmp_path / "private"
    private.mkdir()
    Image.new("RGB", (64, 64), "red").save(private / "secret.png")
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    Image.new("RGB", (64, 64), "blue").save(root / "images" / "own.png")
    path = {
        "absolute": str(private / "secret.png"),
        "climbing": "../private/secret.png",
        "link": "images/link.png",
        "linked folder": "images/private/secret.png",
        "fifo": "images/fifo.png",
    }[request.param]
    if request.param == "link":
        (root / path).symlink_to(private / "secret.png")
    elif request.param == "linked folder":
        (root / "images" / "private").symlink_to(private)
    elif request.param == "fifo":
        os.mkfifo(root / path)
    paths = ["images/own.png"] * N
    paths[3] = path
    ids = [f"d{i}" for i in range(N)]
    queries = [f"q{i}" for i in range(N)]
    data = RankingDataset(
        name="shop",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"), Field("pic", "image")),
        score_scale=ScoreScale(0, 3, 1),
        queries=pl.DataFrame({"query_id": queries, "query": [f"mug {i} x{i}" for i in range(N)]}),
        documents=pl.DataFrame(
            {"doc_id": ids, "title": [f"mug {i} w{i}" for i in range(N)], "pic": paths}
        ),
        judgments=pl.DataFrame(
            {
                "query_id": [q for q in queries for _ in ids],
                "doc_id": ids * N,
                "score": [float(i * j % 4) for i in range(N) for j in range(N)],
            }
        ),
    )
    for table in ("queries", "documents", "judgments"):
        data.frame(table, list(data.schema(table))).write_parquet(root / f"{table}.parquet")
    data.write_header(root)
    return root


def test_check_names_the_row_and_reads_nothing(shop: Path) -> None:
    for data in (RankingDataset.load(shop), DatasetFolder.load(shop)):
        (bad,) = [p for p in audit(data) if p.severity == "error"]
        assert (bad.row, bad.field, bad.kind) == (3, "pic", "bad image")
        assert OUTSIDE in bad.message or "not a regular file" in bad.message


@pytest.mark.parametrize(
    "use",
    [
        lambda data, out: split(data).save(out),
        lambda data, out: dedupe(data)[0].save(out),
        lambda data, out: data.save(out),
        write_tables,
        lambda data, out: write_marqo_gs(split(data), out),
        write_hugging_face,
    ],
)
def test_what_writes_names_the_row(
    shop: Path, tmp_path: Path, use: Callable[[RankingDataset, Path], object]
) -> None:
    with pytest.raises((DataError, ImageError)) as caught:
        use(RankingDataset.load(shop), tmp_path / "out")
    assert OUTSIDE in str(caught.value) or "not a regular file" in str(caught.value)
    secret = (tmp_path / "private" / "secret.png").stat()
    assert secret.st_nlink == 1
    assert not (tmp_path / "out").exists()


def test_what_reads_one(shop: Path) -> None:
    data = RankingDataset.load(shop)
    path = data.documents["pic"][3]
    special = path.endswith("fifo.png")
    for read in (
        lambda: image_address(data, path, 64),
        lambda: fingerprint_images(shop, pl.Series([path])),
        lambda: hash_images(shop, pl.Series([path])),
    ):
        if not special:
            with pytest.raises(DataError, match=OUTSIDE):
                read()
    if special:
        with pytest.raises(ImageError, match="not a regular file"):
            image_address(data, path, 64)
        assert fingerprint_images(shop, pl.Series([path]))[3] == 1
        assert hash_images(shop, pl.Series([path]))[1].hashes.to_list() == [None]
    else:
        with pytest.raises(DataError, match=OUTSIDE):
            Thumbnails(data).address(path)
    assert Thumbnails(data, DataError).address(path) == ""
    assert {bars.unit for bars in image_bars(data, "documents", "pic")} == {"of 11 images"}


@pytest.mark.parametrize("name", ["../../OUTSIDE/image", "/OUTSIDE/image", "..", "a/b"])
def test_a_field_is_no_path(name: str, tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    ids, queries = [f"d{i}" for i in range(N)], [f"q{i}" for i in range(N)]
    data = RankingDataset(
        name="shop",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"), Field(name, "image")),
        score_scale=ScoreScale(0, 3, 1),
        queries=pl.DataFrame({"query_id": queries, "query": list("abcdefghijkl")}),
        documents=pl.DataFrame(
            {"doc_id": ids, "title": list("mnopqrstuvwx"), name: [file.getvalue()] * N}
        ),
        judgments=pl.DataFrame(
            {
                "query_id": [q for q in queries for _ in ids],
                "doc_id": ids * N,
                "score": [float(i * j % 4) for i in range(N) for j in range(N)],
            }
        ),
    )
    out = tmp_path / "a" / "b" / "c" / "out"
    write_marqo_gs(split(data), out)
    assert len(list((out / "images").rglob("*.png"))) == N
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_subset_is_no_path(tmp_path: Path) -> None:
    data = sample_shop(tmp_path / "shop", documents=120, queries=10, images=False)
    name = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("test")).otherwise(pl.lit("../x"))
    data = data.with_tables(judgments=data.judgments.with_columns(name.alias("source_subset")))
    write_beir(data, tmp_path / "out")
    assert len(list((tmp_path / "out" / "qrels").iterdir())) == 2
    assert not (tmp_path / "out" / "x.tsv").exists()


def test_a_picture_named_like_a_table_is_not_written_through(tmp_path: Path) -> None:
    root = tmp_path / "data"
    data = split(sample_shop(root, documents=120, queries=20, images=False))
    (root / "corpus_1.json").write_bytes(b"mine")
    column = pl.lit("corpus_1.json").alias("pic")
    data = replace(
        data.with_tables(documents=data.documents.with_columns(column)),
        document_fields=(*data.document_fields, Field("pic", "image")),
    )
    write_marqo_gs(data, tmp_path / "out")
    assert (root / "corpus_1.json").read_bytes() == b"mine"
