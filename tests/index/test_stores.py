"""What every store does: a new one is added to `STORES`, and passes these."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import polars as pl
import pytest

from indexed_documents import DOCUMENTS, METADATA, VECTORS, D, N, chunks, documents_of, vectors_of
from milvus_server import milvus_server
from rankfield.errors import DataError, InputError, OutputError
from rankfield.index import STORES, Index, IndexMetadata, candidates, open_index
from rankfield.index.base import Vectors
from rankfield.search import SearchOptions, exact_search

RNG = np.random.default_rng(5)


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    # so that what the stores propose is looked at, not all documents
    monkeypatch.setattr(candidates, "_EXACT", 0)
    if name == "lancedb":
        pytest.importorskip("lancedb")
    return name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with milvus_server(tmp_path_factory.mktemp("milvus") / "data") as address:
        yield address


@pytest.fixture
def metadata(store: str, request: pytest.FixtureRequest) -> IndexMetadata:
    place = request.getfixturevalue("server") if store == "milvus" else ""
    name = uuid4().hex if place else ""
    return METADATA.model_copy(update={"store_place": place, "store_name": name})


@pytest.fixture
def index(store: str, metadata: IndexMetadata, tmp_path: Path) -> Index:
    return STORES[store].build(tmp_path / "index", metadata, DOCUMENTS, chunks)


class Model:
    """A dictionary that behaves as an index should."""

    def __init__(self) -> None:
        self.rows = dict(
            zip(DOCUMENTS["doc_id"], zip(VECTORS, DOCUMENTS.rows(), strict=True), strict=True)
        )

    def upsert(self, documents: pl.DataFrame, vectors: Vectors) -> None:
        for row, vector in zip(documents.rows(), vectors, strict=True):
            self.rows.pop(row[0], None)  # what is written again comes last
            self.rows[row[0]] = (vector, row)

    def delete(self, ids: list[str]) -> None:
        for one in ids:
            self.rows.pop(one, None)

    def search(self, queries: Vectors, k: int) -> list[tuple[int, int, str, float]]:
        ids = list(self.rows)
        hits = exact_search(queries, np.stack([self.rows[i][0] for i in ids]), k)
        return [
            (query, rank + 1, ids[row], float(similarity))
            for query, (rows, found) in enumerate(zip(hits.indices, hits.similarities, strict=True))
            for rank, (row, similarity) in enumerate(zip(rows, found, strict=True))
        ]


def test_it_finds_what_exact_search_finds(index: Index) -> None:
    queries = np.concatenate([vectors_of(5), VECTORS[[7]]])
    found = index.search(queries, 9)
    assert found.schema == {
        "query": pl.Int64, "rank": pl.Int64, "doc_id": pl.String, "similarity": pl.Float32,
    }  # fmt: skip
    assert found.rows() == Model().search(queries, 9)
    assert found.filter(query=5)["doc_id"][:3].to_list() == ["d07", "d20", "d41"]
    assert len(index) == N
    assert index.search(queries, 1000).height == 6 * N
    assert index.search(queries[:0], 3).height == 0
    assert index.search(queries, 9, options=SearchOptions(memory_mib=1)).equals(found)


def test_it_is_opened_again(index: Index, metadata: IndexMetadata) -> None:
    again = open_index(index.folder)
    assert type(again) is type(index)
    assert again.metadata == index.metadata == metadata
    assert not again.changed
    assert again.documents().equals(DOCUMENTS)
    np.testing.assert_array_equal(again.vectors(["d03", "d00"]), VECTORS[[3, 0]])
    assert again.documents(["d03", "d00"])["title"].to_list() == ["title d03", "title d00"]
    for look in (again.vectors, again.documents):
        with pytest.raises(DataError, match="no document 'x'"):
            look(["d03", "x"])


def test_writes_are_seen_as_a_dictionary_would_show_them(index: Index) -> None:
    model, queries = Model(), vectors_of(4)
    for round_ in range(30):
        ids = [str(i) for i in RNG.choice([f"d{i:02d}" for i in range(70)], 5, replace=False)]
        documents = documents_of(ids).with_columns(price=pl.lit(round_, dtype=pl.Int64))
        vectors = vectors_of(5)
        model.upsert(documents, vectors)
        index.upsert(documents, vectors)
        gone = [str(i) for i in RNG.choice([f"d{i:02d}" for i in range(70)], 3, replace=False)]
        held = sum(one in model.rows for one in gone)
        model.delete(gone)
        assert index.delete(gone) == held
        for one in (index, open_index(index.folder)):
            assert one.changed
            assert len(one) == len(model.rows)
            assert one.search(queries, 12).rows() == model.search(queries, 12)
    assert index.documents().rows() == [row for _, row in model.rows.values()]
    np.testing.assert_array_equal(
        index.vectors(model.rows), np.stack([vector for vector, _ in model.rows.values()])
    )
    index.delete(list(model.rows))
    assert (len(index), index.search(queries, 3).height) == (0, 0)
    index.upsert(DOCUMENTS, VECTORS)
    assert index.search(queries, 3).rows() == Model().search(queries, 3)


def test_what_is_frozen_shows_one_state(index: Index) -> None:
    queries, version = vectors_of(2), index.version
    before, found = index.frozen(), index.search(queries, 5)
    assert before.version == version == open_index(index.folder).version
    versions = {version}
    for write in (
        lambda: index.delete(found["doc_id"]),
        lambda: index.upsert(documents_of(["new"]), queries[:1]),
    ):
        write()
        versions.add(index.version)
    assert len(versions) == 3
    assert before.version == version
    assert before.search(queries, 5).equals(found)
    assert before.documents().equals(DOCUMENTS)
    np.testing.assert_array_equal(before.vectors(DOCUMENTS["doc_id"]), VECTORS)
    assert index.search(queries, 1)["doc_id"][0] == "new"


def test_filters(index: Index) -> None:
    queries = vectors_of(3)
    index.delete(["d05"])
    everything = index.search(queries, N)
    some = {"d05", "d07", "d10", "d41", "unknown"}
    found = index.search(queries, 3, some)
    expected = everything.filter(pl.col("doc_id").is_in(list(some)))
    expected = expected.with_columns(rank=pl.int_range(1, pl.len() + 1).over("query"))
    assert found.rows() == expected.filter(pl.col("rank") <= 3).rows()
    cheap = index.search(queries, 4, lambda documents: documents["price"] < 10)
    assert set(cheap["doc_id"]) <= {f"d{i:02d}" for i in range(10)} - {"d05"}
    assert cheap.height == 12
    nothing = index.search(queries, 4, lambda documents: documents["price"] > 1000)
    assert nothing.height == 0
    absent = pl.Series([None] * (N - 1), dtype=pl.Boolean)
    assert index.search(queries, 4, lambda _: absent).height == 0
    unfit: list[Any] = [lambda documents: documents["price"], lambda _: pl.Series([True]), len]
    for wrong in unfit:
        with pytest.raises(InputError, match="expected a boolean for each of 59 documents"):
            index.search(queries, 4, wrong)


def test_a_zero_vector_is_kept_and_never_found(index: Index) -> None:
    index.upsert(documents_of(["nothing", "d01"]), np.zeros((2, D), np.float32))
    assert len(index) == N + 1
    queries = np.concatenate([vectors_of(2), np.zeros((1, D), np.float32)])
    found = index.search(queries, 100)
    assert not {"nothing", "d01"} & set(found["doc_id"])
    assert found["query"].unique().to_list() == [0, 1]
    assert not index.vectors(["nothing"]).any()


@pytest.mark.parametrize(
    ("documents", "vectors", "message"),
    [
        (documents_of(["a", "b", "a"]), np.ones((3, D)), "'a' occurs twice"),
        (documents_of(["a", "b"]).with_columns(doc_id=pl.lit(None, pl.String)), np.ones((2, D)),
         "no doc_id in row 0"),
        (documents_of(["a"]).drop("doc_id"), np.ones((1, D)), "expected a text column doc_id"),
        (documents_of(["a"]).drop("title"), np.ones((1, D)), "a column 'title' of type String"),
        (documents_of(["a"]).with_columns(price=pl.lit("much")), np.ones((1, D)), "'price'"),
        (documents_of(["a"]).with_columns(price=pl.lit(1e30)), np.ones((1, D)), "'price'"),
        (documents_of(["a"]), np.ones((1, D + 1)), r"of shape \(1, 8\), found \(1, 9\)"),
        (documents_of(["a"]), np.ones((2, D)), r"of shape \(1, 8\), found \(2, 8\)"),
        (documents_of(["a"]), np.full((1, D), np.nan), "vector 0 is not finite"),
    ],
)  # fmt: skip
def test_a_bad_write_leaves_everything_as_it_was(
    index: Index, documents: pl.DataFrame, vectors: Any, message: str
) -> None:
    before = index.documents()
    with pytest.raises(DataError, match=message):
        index.upsert(documents, vectors.astype(np.float32))
    assert not index.changed
    assert open_index(index.folder).documents().equals(before)


def test_bad_searches(index: Index) -> None:
    with pytest.raises(DataError, match="k of at least 1"):
        index.search(vectors_of(1), 0)
    with pytest.raises(DataError, match="Encode with the model that the index was built with"):
        index.search(np.ones((1, D - 1), np.float32), 3)
    with pytest.raises(DataError, match="not finite"):
        index.search(np.full((1, D), np.inf, np.float32), 3)
    text: Any = "red mug"
    for use in (lambda: index.search(text, 3), lambda: index.upsert(documents_of(["a"]), text)):
        with pytest.raises(DataError, match=r"found str. Encode first: model.encode_queries\("):
            use()


def test_a_killed_build_goes_on(store: str, metadata: IndexMetadata, tmp_path: Path) -> None:
    made: list[int] = []

    def counted(done: int) -> Iterator[tuple[int, Vectors]]:
        for start, part in chunks(done):
            made.append(start)
            yield start, part

    def killed(done: int) -> Iterator[tuple[int, Vectors]]:
        for start, part in counted(done):
            if start == 32:
                raise KeyboardInterrupt
            yield start, part

    build, folder = STORES[store].build, tmp_path / "index"
    with pytest.raises(KeyboardInterrupt):
        build(folder, metadata, DOCUMENTS, killed)
    assert not folder.exists()
    index = build(folder, metadata, DOCUMENTS, counted)
    assert made == [0, 16, 32, 32, 48]
    np.testing.assert_array_equal(index.vectors(DOCUMENTS["doc_id"]), VECTORS)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_what_another_model_began_is_not_taken(
    store: str, metadata: IndexMetadata, tmp_path: Path
) -> None:
    def killed(_: int) -> Iterator[tuple[int, Vectors]]:
        yield 0, np.zeros((16, D), np.float32)
        raise KeyboardInterrupt

    build, folder = STORES[store].build, tmp_path / "index"
    with pytest.raises(KeyboardInterrupt):
        build(folder, metadata.model_copy(update={"model_fingerprint": "x"}), DOCUMENTS, killed)
    index = build(folder, metadata, DOCUMENTS, chunks)
    np.testing.assert_array_equal(index.vectors(DOCUMENTS["doc_id"]), VECTORS)


def test_what_is_there_is_replaced_only_when_asked_and_complete(
    index: Index, store: str, metadata: IndexMetadata
) -> None:
    build = STORES[store].build
    with pytest.raises(OutputError, match="already exists"):
        build(index.folder, metadata, DOCUMENTS, chunks)

    def broken(_: int) -> Iterator[tuple[int, Vectors]]:
        yield 0, VECTORS[:16]
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        build(index.folder, metadata, DOCUMENTS, broken, overwrite=True)
    assert open_index(index.folder).documents().equals(DOCUMENTS)
    few = iter([(0, VECTORS[:16])])
    fewer = build(index.folder, metadata, DOCUMENTS.head(16), lambda _: few, overwrite=True)
    assert len(fewer) == len(open_index(index.folder)) == 16


def test_ids_that_occur_twice_are_refused_before_anything_is_embedded(
    store: str, metadata: IndexMetadata, tmp_path: Path
) -> None:
    def never(_: int) -> Iterator[tuple[int, Vectors]]:
        raise AssertionError

    twice = pl.concat([DOCUMENTS, DOCUMENTS.head(1)])
    with pytest.raises(DataError, match="'d00' occurs twice"):
        STORES[store].build(tmp_path / "index", metadata, twice, never)
    assert not list(tmp_path.iterdir())


def test_nothing_to_index(store: str, metadata: IndexMetadata, tmp_path: Path) -> None:
    index = STORES[store].build(tmp_path / "index", metadata, DOCUMENTS.head(0), lambda _: iter(()))
    assert (len(index), index.search(vectors_of(2), 3).height) == (0, 0)
    index.upsert(DOCUMENTS, VECTORS)
    assert open_index(index.folder).search(VECTORS[:1], 1)["doc_id"].to_list() == ["d00"]


def test_float16_vectors_are_rounded(store: str, metadata: IndexMetadata, tmp_path: Path) -> None:
    half = metadata.model_copy(update={"dtype": "float16"})
    index = STORES[store].build(tmp_path / "index", half, DOCUMENTS, chunks)
    index.upsert(documents_of(["new"]), VECTORS[:1])
    rounded = VECTORS.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(index.vectors(["d00", "new"]), rounded[[0, 0]])
    queries = vectors_of(2)
    index.delete(["new"])
    hits = exact_search(queries, rounded, 5)
    assert index.search(queries, 5)["similarity"].to_list() == hits.similarities.ravel().tolist()


def test_acknowledged_writes_survive_kills(index: Index) -> None:
    script = Path(__file__).parents[1] / "index_writer.py"
    wrote, deleted = set[int](), set[int]()
    for kill in range(2):
        first = kill * 1000
        command = [sys.executable, str(script), str(index.folder), str(first)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(20 + kill)]
            process.kill()
            said += process.stdout.readlines()
        for line in said:
            what, number = line.split()
            (wrote if what == "wrote" else deleted).add(int(number))
        found = open_index(index.folder)
        held = set(found.documents()["doc_id"])
        assert {f"new-{i}" for i in wrote - deleted - {max(wrote)}} <= held
        assert not {f"new-{i}" for i in deleted} & held
        # Both documents of a write, or none.
        last = max(int(one.removeprefix("new-")) for one in held if one.startswith("new-"))
        rewritten = found.vectors(["rewritten"])[0, 0]
        assert rewritten in (last, last + 1)
        found.upsert(documents_of(["after"]), vectors_of(1))  # and the index takes writes


@pytest.mark.parametrize(
    "damaged", ["index.json", "vectors-2.npy", "documents-2.parquet", "live-2.npy"]
)
def test_a_damaged_newest_version_is_set_aside(
    index: Index, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    queries = vectors_of(3)
    index.upsert(documents_of(["a"]), vectors_of(1))
    before, found = index.documents(), index.search(queries, 9)
    index.upsert(documents_of(["b", "d03"]), vectors_of(2))
    path = index.folder / damaged
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    capsys.readouterr()
    again = open_index(index.folder)
    assert "its newest version is damaged" in capsys.readouterr().err
    assert again.documents().equals(before)
    assert again.search(queries, 9).equals(found)
    assert open_index(index.folder).documents().equals(before)
    assert not capsys.readouterr().err  # said once
    again.upsert(documents_of(["c"]), vectors_of(1))
    assert set(open_index(index.folder).documents()["doc_id"]) == {*before["doc_id"], "c"}


def test_an_index_of_which_no_version_is_whole_is_refused(index: Index) -> None:
    index.upsert(documents_of(["a"]), vectors_of(1))
    path = index.folder / "vectors-0.npy"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read"):
        open_index(index.folder)
