"""`rankfield index`, and what searches and evaluates an index."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import torch

from rankfield.cli.main import main
from rankfield.encoders import RankingModel, small_encoder
from rankfield.evaluation import Results
from rankfield.index import STORES, open_index, previous, roll_back
from rankfield.schema import RankingDataset
from ranking_shop import ranking_shop

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        shown = capsys.readouterr()
        return int(caught.value.code or 0), shown.out, shown.err

    monkeypatch.setenv("COLUMNS", "200")
    return call


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, a model and another model."""
    root = tmp_path_factory.mktemp("made")
    data = ranking_shop()
    data.with_tables(
        documents=data.documents.with_columns(price=pl.int_range(pl.len()), photo=pl.lit(b"x"))
    ).save(root / "data")
    for name, seed in (("model", 0), ("other", 1)):
        torch.manual_seed(seed)
        encoder = small_encoder(data.documents["title"], ["text"], dimension=16, width=32)
        RankingModel(encoder, data.query_fields, data.document_fields, name=name).save(root / name)
    return root


@pytest.fixture
def places(made: Path, tmp_path: Path, run: Run) -> Path:
    """The same folder, with an index."""
    shutil.copytree(made, tmp_path / "here")
    here = tmp_path / "here"
    status, shown, _ = run("index", here / "model", here / "data", "--out", here / "index")
    assert (status, "80 documents in 16 dimensions" in shown) == (0, True)
    return here


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """(side, rows) of what is embedded of tables."""
    found: list[tuple[str, int]] = []
    chunks = RankingModel.embed_chunks

    def spied(self, dataset, frame, side, **options):  # type: ignore[no-untyped-def]
        found.append((side, frame.height - options.get("done", 0)))
        return chunks(self, dataset, frame, side, **options)

    monkeypatch.setattr(RankingModel, "embed_chunks", spied)
    return found


def test_searching_it_shows_what_searching_the_data_shows(
    places: Path, run: Run, embedded: list[tuple[str, int]]
) -> None:
    status, found, _ = run("search", places / "index", "red mug", "-k", 5)
    assert (status, embedded) == (0, [])
    assert found == run("search", places / "model", places / "data", "red mug", "-k", 5)[1]
    assert found.splitlines()[0].split() == ["rank", "similarity", "doc_id", "title"]
    index = open_index(places / "index")
    assert index.metadata.model == "model"
    assert index.documents().columns == ["doc_id", "title", "seen", "price"]


def test_it_is_evaluated_as_its_model_is(
    places: Path, run: Run, embedded: list[tuple[str, int]]
) -> None:
    for name, what in (("a", "model"), ("b", "index")):
        out = places / f"{name}.json"
        assert run("evaluate", places / what, places / "data", "--out", out)[0] == 0
        if name == "a":
            embedded.clear()
    assert {side for side, _ in embedded} == {"query"}
    first, second = (Results.load(places / f"{name}.json") for name in "ab")
    assert second.splits == first.splits
    assert second.rankings.equals(first.rankings)
    assert second.metadata["index"] == "index"
    assert second.metadata["fingerprint"] == first.metadata["fingerprint"]


def test_the_index_of_a_data_set_serves_its_splits(
    places: Path, run: Run, embedded: list[tuple[str, int]]
) -> None:
    ranking_shop(split=False).save(places / "shop")
    model, index, split = places / "model", places / "shop-index", places / "shop-split"
    assert run("index", model, places / "shop", "--out", index)[0] == 0
    assert run("split", places / "shop", split, "--queries", 0.5)[0] == 0
    assert "seen" in RankingDataset.load(split).documents.columns
    embedded.clear()
    status, _, told = run("evaluate", index, split, "--out", places / "index.json")
    assert (status, {side for side, _ in embedded}) == (0, {"query"}), told
    assert run("evaluate", model, split, "--out", places / "model.json")[0] == 0
    found, expected = (Results.load(places / f"{name}.json") for name in ("index", "model"))
    assert found.splits == expected.splits
    assert found.rankings.equals(expected.rankings)


def test_stored_columns_that_changed_are_noticed(places: Path, run: Run) -> None:
    data, index = RankingDataset.load(places / "data"), places / "index"
    dearer = data.documents.with_columns(price=pl.col("price") + 1)
    data.with_tables(documents=dearer).save(places / "data", overwrite=True)
    built = (index / "index.json").stat().st_mtime
    os.utime(index / "index.json", (built - 10, built - 10))
    status, _, told = run("search", index, "red mug")
    assert (status, "the columns that the index stores are not those of" in told) == (2, True)
    assert "--stale" in told
    assert run("evaluate", index, places / "data")[0] == 0  # the vectors are those of its documents
    build = ["index", places / "model", places / "data", "--out", index]
    status, _, told = run(*build)
    assert (status, "the columns that it stores are not those" in told) == (2, True)
    assert run(*build, "--overwrite")[0] == 0
    assert open_index(index).documents()["price"].equals(dearer["price"])


def test_the_help_lists_the_stores(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORES, "another", STORES["exact"])
    assert "if it has one: exact, lancedb, milvus, another." in run("index", "--help")[1]


def test_a_run_file_is_evaluated(places: Path, run: Run) -> None:
    lines = [f"q1 Q0 d{i:03d} {i} {-i} x" for i in range(80)]
    (places / "their.run").write_text("\n".join(lines))
    out = places / "r.json"
    assert run("evaluate", places / "their.run", places / "data", "--out", out)[0] == 0
    assert Results.load(out).model == "their"
    status, _, told = run("evaluate", places / "their.run", places / "data", "--dimension", 3)
    assert (status, "--dimension: is for a model, found run" in told) == (2, True)


def test_what_is_up_to_date_is_left(
    places: Path, run: Run, embedded: list[tuple[str, int]]
) -> None:
    before = (places / "index" / "index.json").read_bytes()
    assert run("index", places / "model", places / "data", "--out", places / "index")[0] == 0
    assert embedded == []
    assert (places / "index" / "index.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (["--dimension", "4"], "its dimension is 16, expected 4"),
        (["--dtype", "float16"], "its dtype is float32, expected float16"),
    ],
)
def test_another_index_is_replaced_only_when_asked(
    places: Path, run: Run, change: list[str], problem: str
) -> None:
    build = ["index", places / "model", places / "data", "--out", places / "index", *change]
    status, _, told = run(*build)
    assert (status, problem in told) == (2, True)
    assert open_index(places / "index").metadata.dimension == 16
    assert run(*build, "--overwrite")[0] == 0
    assert run("search", places / "index", "red mug")[0] == 0


def test_another_model_is_refused(places: Path, run: Run) -> None:
    status, _, told = run("index", places / "other", places / "data", "--out", places / "index")
    assert (status, "holds another index: its model is" in told) == (2, True)
    status, _, told = run("search", places / "index", "mug", "--model", places / "other")
    assert (status, "the index is of model" in told) == (2, True)
    expected = run("search", places / "index", "mug")[1]
    (places / "model").rename(places / "moved")
    status, _, told = run("search", places / "index", "mug")
    assert (status, "Name its folder (--model FOLDER)" in told) == (2, True)
    assert run("search", places / "index", "mug", "--model", places / "moved")[1] == expected
    status, _, told = run("evaluate", places / "index", places / "data")
    assert (status, "for another command move it back" in told) == (2, True)
    (places / "moved").rename(places / "model")
    assert run("evaluate", places / "index", places / "data")[0] == 0


def test_changed_data_is_refused(places: Path, run: Run) -> None:
    data, index = RankingDataset.load(places / "data"), places / "index"
    expected = run("search", index, "red mug")[1]
    built = (index / "index.json").stat().st_mtime
    data.save(places / "data", overwrite=True)  # written again, and the same
    os.utime(index / "index.json", (built - 10, built - 10))
    assert run("search", index, "red mug")[:2] == (0, expected)
    changed = data.documents.with_columns(title=pl.col("title").str.replace("red", "dark"))
    data.with_tables(documents=changed).save(places / "data", overwrite=True)
    for command in (("search", index, "red mug"), ("evaluate", index, places / "data")):
        status, _, told = run(*command)
        assert (status, "the index is of data" in told) == (2, True)
        assert "--overwrite" in told
        assert ("--stale" in told) == (command[0] == "search")
    assert "or evaluate the model itself (rankfield evaluate MODEL DATASET)" in told
    assert run("evaluate", places / "model", places / "data")[0] == 0
    assert run("search", index, "red mug", "--stale")[:2] == (0, expected)
    assert run("index", places / "model", places / "data", "--out", index, "--overwrite")[0] == 0
    assert run("search", index, "red mug")[1] != expected
    opened = open_index(index)
    opened.delete(["d000"])  # from here on its documents are its own
    assert run("search", index, "red mug")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["search", "index", "data", "red mug"], "expected an index and a query"),
        (["search", "model"], "expected a model, a data set and a query"),
        (["search", "index"], "give a query text, an image, or both"),
        (["search", "index", "mug", "--image", "none.png"], "none.png: no such image"),
        (["search", "index", "mug", "--image", "data"], "cannot be read"),
        (["search", "index", "mug", "--image", "data.png"], "takes no images"),
        (["index", "model", "data", "--out", "new", "--store", "exakt"], "Did you mean 'exact'"),
        (["index", "model", "data", "--out", "new", "--dtype", "int8"], "float32 or float16"),
        (["index", "model", "data", "--out", "new", "--store", "exact:there"], "expected no place"),
        (["index", "model", "data", "--out", "new", "--store", "milvus"], "address of a server"),
        (["index", "model", "data", "--out", "new", "--first-pass", "int4"], "none, int8, binary"),
        (["index", "model", "data", "--out", "new", "--first-pass", "dimensions:16"], "N below 16"),
        (["index", "data", "data", "--out", "new"], "not a rankfield model"),
        (["index", "model", "data", "--out", "data"], "already exists"),
        (["evaluate", "index", "data", "--robustness"], "is for a model, found index"),
    ],
)
def test_bad_input(places: Path, run: Run, arguments: list[str], problem: str) -> None:
    known = {"index", "model", "data", "new"}
    (places / "data.png").write_bytes(b"no image")
    known.add("data.png")
    words = [places / w if w in known and i else w for i, w in enumerate(arguments)]
    status, _, told = run(*words)
    assert (status, problem in told) == (2, True), told
    assert not (places / "new").exists()


def test_an_index_says_in_what_its_vectors_were_computed(places: Path, run: Run) -> None:
    arguments = ["index", places / "model", places / "data", "--out"]
    assert open_index(places / "index").metadata.precision == "float32"
    half = ["--embedding-precision", "bfloat16"]
    status, _, _ = run(*arguments, places / "half", *half)
    assert (status, open_index(places / "half").metadata.precision) == (0, "bfloat16")
    assert run(*arguments, places / "half", *half)[0] == 0
    status, _, error = run(*arguments, places / "half")
    assert status == 2
    assert "its precision is bfloat16, expected float32" in error
    status, shown, _ = run(*arguments, places / "auto", "--embedding-precision", "auto")
    assert (status, f"embedded in {open_index(places / 'auto').metadata.precision}" in shown) == (
        0,
        True,
    )


def test_results_say_in_what_embeddings_were_computed(places: Path, run: Run) -> None:
    for name, options in (
        ("plain", []),
        ("half", ["--embedding-precision", "bfloat16"]),
    ):
        out = places / f"{name}.json"
        status, _, _ = run("evaluate", places / "model", places / "data", "--out", out, *options)
        assert status == 0
    assert "embedding_precision" not in Results.load(places / "plain.json").metadata
    assert Results.load(places / "half.json").metadata["embedding_precision"] == "bfloat16"
    for command in (["evaluate", places / "index", places / "data"], ["search", places / "index"]):
        words = [*command, *(["mug"] if command[0] == "search" else [])]
        status, _, error = run(*words, "--embedding-precision", "bfloat16")
        assert (status, "--embedding-precision" in error) == (2, True)


@pytest.mark.parametrize("first_pass", ["int8", "binary", "dimensions:8"])
def test_an_index_with_a_first_pass_finds_the_same_and_says_its_recall(
    places: Path, run: Run, first_pass: str
) -> None:
    quick = places / "quick"
    status, shown, _ = run(
        *("index", places / "model", places / "data", "--out", quick, "--first-pass", first_pass)
    )
    assert status == 0
    assert ("recall@10: 1.000" in shown) == (first_pass != "int8")
    assert ("keeps 0.001: " in shown) == (first_pass != "int8")
    assert open_index(quick).metadata.first_pass == first_pass
    expected = run("search", places / "index", "red mug")[1]
    assert run("search", quick, "red mug")[1] == expected
    again = ("index", places / "model", places / "data", "--out", quick)
    assert run(*again, "--first-pass", first_pass)[0] == 0
    status, _, told = run(*again)
    assert (status, "its first pass is" in told) == (2, True)


def test_a_store_with_a_place(places: Path, run: Run) -> None:
    pytest.importorskip("lancedb")
    out, store = places / "lance", f"lancedb:{places / 'store'}"
    words = ("index", places / "model", places / "data", "--out", out, "--store", store)
    status, shown, _ = run(*words)
    assert (status, "recall@10: 1.000" in shown) == (0, True)
    assert list((places / "store").iterdir())
    assert not (out / "lancedb").exists()
    expected = run("search", places / "index", "red mug")[1]
    assert run("search", out, "red mug")[1] == expected
    assert run(*words)[0] == 0
    for copies in (2, 2):  # of the index and of the previous one
        assert run(*words, "--overwrite")[0] == 0
        assert len(list((places / "store").iterdir())) == copies
    assert run("rollback", out)[0] == 0
    assert run("search", out, "red mug")[1] == expected
    assert run("evaluate", out, places / "data")[0] == 0


def test_a_rebuilt_index_can_be_taken_back(places: Path, run: Run) -> None:
    index, other = places / "index", places / "other"
    status, _, told = run("rollback", index)
    assert (status, "no index that this one replaced" in told) == (2, True)
    first = open_index(index).metadata
    assert run("index", other, places / "data", "--out", index, "--overwrite")[0] == 0
    second = open_index(index).metadata
    assert second.model_fingerprint != first.model_fingerprint
    before = {path.name for path in places.iterdir()}
    for expected in (first, second, first):
        status, shown, _ = run("rollback", index)
        assert (status, "80 documents, built" in shown) == (0, True)
        assert open_index(index).metadata == expected
    # Writes to one of them leave the other as it is, though they share files.
    open_index(index).delete(["d000"])
    assert len(open_index(index)) == 79
    assert run("rollback", index)[0] == 0
    assert (len(open_index(index)), open_index(index).metadata) == (80, second)
    assert {path.name for path in places.iterdir()} == before
    assert run("rollback", places / "data")[0] == 2


def test_a_rollback_that_was_interrupted_is_finished(
    places: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = places / "index"
    first = open_index(index).metadata
    assert run("index", places / "other", places / "data", "--out", index, "--overwrite")[0] == 0
    second = open_index(index).metadata
    whole = previous._copy
    for last in (1, 2):
        done: list[Path] = []

        def copy(source: Path, target: Path, last: int = last, done: list[Path] = done) -> None:
            if len(done) == last:
                raise KeyboardInterrupt
            done.append(target)
            whole(source, target)

        monkeypatch.setattr(previous, "_copy", copy)
        with pytest.raises(KeyboardInterrupt):
            roll_back(index)
        monkeypatch.setattr(previous, "_copy", whole)
        roll_back(index)
        kept = previous.previous_of(index)
        assert {open_index(p).metadata.model for p in (index, kept)} == {first.model, second.model}
        assert not index.with_name("index.newer").exists()
