"""`rankfield embed`: the file holds the model's own vectors, by whichever form it is read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import torch

from rankfield.cli.main import main
from rankfield.encoders import RankingModel, pipeline, small_encoder
from rankfield.schema import RankingDataset
from ranking_shop import ranking_shop
from tiny_models import tiny_clip

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    monkeypatch.setenv("COLUMNS", "200")
    return call


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, one of whose documents has no title, and a model."""
    root = tmp_path_factory.mktemp("made")
    data = ranking_shop()
    title = pl.when(pl.int_range(pl.len()) == 3).then(None).otherwise(pl.col("title"))
    price, day = pl.int_range(pl.len()) / 4, pl.datetime(2026, 1, 2, 3)
    data = data.with_tables(
        documents=data.documents.with_columns(title=title, price=price, day=day)
    )
    data.save(root / "data")
    torch.manual_seed(0)
    encoder = small_encoder(data.documents["title"].drop_nulls(), ["text"], dimension=16, width=32)
    RankingModel(encoder, data.query_fields, data.document_fields).save(root / "model")
    return root


@pytest.fixture(scope="module")
def expected(made: Path) -> tuple[list[str], np.ndarray]:
    """Ids and vectors of the documents that have one."""
    data = RankingDataset.load(made / "data")
    vectors = RankingModel.load(made / "model").embed_documents(data)
    present = np.flatnonzero(vectors.any(axis=1))
    assert len(present) == len(vectors) - 1
    return data.documents["doc_id"][present].to_list(), vectors[present]


def read(out: Path) -> tuple[list[str], np.ndarray]:
    if out.suffix == ".npy":
        ids = json.loads(out.with_suffix(".ids.json").read_text("utf-8"))
        return ids, np.load(out, allow_pickle=False)
    if out.suffix == ".parquet":
        found = pl.read_parquet(out)
        return found[:, 0].to_list(), np.array(found["vector"].to_list(), np.float32)
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    ids = [head["index"]["_id"] for head in lines[::2]]
    return ids, np.array([line["vector"] for line in lines[1::2]], np.float32)


@pytest.mark.parametrize("name", ["v.parquet", "v.npy", "v.jsonl"])
def test_each_form_holds_the_models_own_vectors(
    made: Path, expected: tuple[list[str], np.ndarray], tmp_path: Path, run: Run, name: str
) -> None:
    status, shown, told = run("embed", made / "model", made / "data", "--out", tmp_path / name)
    assert status == 0, told
    ids, vectors = read(tmp_path / name)
    assert ids == expected[0]
    np.testing.assert_array_equal(vectors, expected[1])
    assert vectors.dtype == np.float32
    assert "note: 1 records have none" in shown
    assert f"{len(ids)} documents in 16 dimensions" in shown
    assert all(not path.name.startswith(".") for path in tmp_path.iterdir())
    assert run("embed", made / "model", made / "data", "--out", tmp_path / name)[0] == 2
    again = run("embed", made / "model", made / "data", "--out", tmp_path / name, "--overwrite")
    assert again[0] == 0


def test_queries_and_fewer_dimensions(made: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "q.npy"
    words = ("--side", "query", "--dimension", 8)
    assert run("embed", made / "model", made / "data", "--out", out, *words)[0] == 0
    data = RankingDataset.load(made / "data")
    model = RankingModel.load(made / "model").truncate_to(8)
    ids, vectors = read(out)
    assert ids == data.queries["query_id"].to_list()
    np.testing.assert_array_equal(vectors, model.embed_queries(data))


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_table_gives_what_the_data_set_gives(
    made: Path, expected: tuple[list[str], np.ndarray], tmp_path: Path, run: Run, form: str
) -> None:
    """Its columns are spelt as a shop spells them, with columns that the model does not read."""
    frame = pl.read_parquet(made / "data" / "documents.parquet").select(
        pl.col("doc_id").alias("productId"), pl.col("title").alias("Title"), "price"
    )
    table = tmp_path / f"shop.{form}"
    if form == "csv":
        frame.write_csv(table)
    elif form == "jsonl":
        frame.write_ndjson(table)
    else:
        frame.write_parquet(table)
    out = tmp_path / "v.parquet"
    status, _, told = run("embed", made / "model", table, "--out", out, "--column", "price")
    assert status == 0, told
    ids, vectors = read(out)
    assert ids == expected[0]
    np.testing.assert_array_equal(vectors, expected[1])
    assert pl.read_parquet(out).columns == ["doc_id", "price", "vector"]
    said = json.loads(pq.read_schema(out).metadata[b"rankfield"])
    assert (said["dimension"], said["side"], said["data"]) == (16, "document", table.name)


def test_bulk_requests_put_or_change_documents(made: Path, tmp_path: Path, run: Run) -> None:
    chosen = ("--column", "price", "--column", "day")
    for action in ("index", "update"):
        out = tmp_path / f"{action}.jsonl"
        words = ("embed", made / "model", made / "data", "--out", out, "--action", action)
        assert run(*words, *chosen)[0] == 0
        head, line = map(json.loads, out.read_text("utf-8").splitlines()[2:4])
        documents = pl.read_parquet(made / "data" / "documents.parquet")
        assert head == {action: {"_id": documents["doc_id"][1]}}
        document = line["doc"] if action == "update" else line
        assert list(document) == ["price", "day", "vector"]
        assert (document["price"], document["day"][:19]) == (0.25, "2026-01-02T03:00:00")


def test_an_interrupted_run_goes_on(
    made: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "CHUNK", 16)
    out, chunks, seen = tmp_path / "v.npy", RankingModel.embed_chunks, []

    def failing(self: RankingModel, *rest: Any, done: int = 0) -> Iterator[Any]:
        seen.append(done)
        for start, chunk in chunks(self, *rest, done=done):
            if len(seen) == 1 and start == 32:
                raise KeyboardInterrupt
            yield start, chunk

    monkeypatch.setattr(RankingModel, "embed_chunks", failing)
    words = ("embed", made / "model", made / "data", "--out", out)
    assert run(*words)[0] == 130
    assert not out.exists()
    assert run(*words)[0] == 0
    assert seen == [0, 32]
    whole = tmp_path / "whole.npy"
    assert run("embed", made / "model", made / "data", "--out", whole)[0] == 0
    np.testing.assert_array_equal(np.load(out), np.load(whole))


def test_a_pretrained_model_gets_the_fields_that_are_named(tmp_path: Path, run: Run) -> None:
    clip, table, out = tiny_clip(tmp_path / "clip"), tmp_path / "t.csv", tmp_path / "v.npy"
    table.write_text("number,name,note\na1,red mug,from spain\na2,blue cup,from oslo\n")
    words = ("embed", clip, table, "--out", out, "--device", "cpu")
    status, _, told = run(*words)
    assert (status, "--id COLUMN" in told) == (2, True)
    status, _, told = run(*words, "--id", "number", "--document-field", "name")
    assert status == 0, told
    model = RankingModel.from_pretrained(clip, device="cpu")
    ids, vectors = read(out)
    assert ids == ["a1", "a2"]
    texts = [{"text": "red mug"}, {"text": "blue cup"}]
    np.testing.assert_allclose(vectors, model.encode_documents(texts), atol=1e-6)


@pytest.mark.parametrize(
    "case",
    [
        ("id,title\na,red mug\na,blue cup\n", (), "the id 'a' occurs twice"),
        ("id,title\n,red mug\nb,blue cup\n", (), "row 2, column 'doc_id': expected an id"),
        ("id,name\na,red mug\n", (), "needs the document field 'title'"),
        ("id,title\na,red mug\n", ("--id", "sku"), "there is no column 'sku'"),
        ("id,title\na,red mug\n", ("--column", "titel"), "title"),
        ("id,title\na,red mug\n", ("--action", "update"), "--action: is for .jsonl"),
        ("docId,DOC_ID,title\na,b,red mug\n", (), "spellings of the same name"),
    ],
)
def test_bad_tables_are_refused(
    made: Path, tmp_path: Path, run: Run, case: tuple[str, tuple[str, ...], str]
) -> None:
    table, words, message = case
    (tmp_path / "t.csv").write_text(table)
    out = tmp_path / "v.parquet"
    status, _, told = run("embed", made / "model", tmp_path / "t.csv", "--out", out, *words)
    assert (status, message in told) == (2, True), told
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_bad_outputs_are_refused_first(made: Path, tmp_path: Path, run: Run) -> None:
    missing = tmp_path / "none"
    for name, words, message in (
        ("v.txt", (), "expected a name ending in .parquet, .npy, .jsonl"),
        ("v.npy", ("--column", "price"), "no place for other columns"),
    ):
        status, _, told = run("embed", missing, missing, "--out", tmp_path / name, *words)
        assert (status, message in told) == (2, True), told
    (tmp_path / "v.ids.json").write_text("[]")
    status, _, told = run("embed", missing, missing, "--out", tmp_path / "v.npy")
    assert (status, "already exists" in told) == (2, True), told
