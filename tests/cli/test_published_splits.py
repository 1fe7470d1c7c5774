"""Data sets published in parts: from import over training to comparison, all by default."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankfield.cli.main import main
from rankfield.schema import RankingDataset

Run = Callable[..., str]

_SMALL = (
    "optimizer.steps=4",
    "batch.size=8",
    "encoder.dimension=16",
    "encoder.text_width=32",
    "dev.every=2",
    "trackers=[]",
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`rankfield …` in this process, which must end well: what it prints."""

    def command(*words: str | Path) -> str:
        monkeypatch.setattr("sys.argv", ["rankfield", *map(str, words)])
        with pytest.raises(SystemExit) as status:
            main()
        shown = capsys.readouterr()
        assert not status.value.code, shown.err
        return shown.out + shown.err

    return command


def pairs(part: str, count: int = 12) -> pl.DataFrame:
    rng = np.random.default_rng(sum(part.encode()))
    rows = [
        (f"{part} query {q}", f"document {d}", int(rng.integers(0, 4)), f"{part}{q}", f"d{d}")
        for q in range(count)
        for d in rng.choice(15, 5, replace=False)
    ]
    return pl.DataFrame(rows, ["query", "title", "score", "qid", "did"], orient="row")


def hugging_face(src: Path, parts: list[str]) -> None:
    (src / "data").mkdir(parents=True)
    for part in parts:
        frame = pairs(part).select("query", "title", "score")
        frame.write_parquet(src / "data" / f"{part}-00000-of-00001.parquet")


def sentence_transformers(src: Path, parts: list[str]) -> None:
    src.mkdir()
    for part in parts:
        frame = pairs(part).select(anchor="query", positive="title", label=pl.col("score") / 3)
        frame.write_csv(src / f"{part}.csv")


def beir(src: Path, parts: list[str]) -> None:
    (src / "qrels").mkdir(parents=True)
    every = pl.concat(pairs(part) for part in parts)
    queries = every.select(_id="qid", text="query").unique("_id", maintain_order=True)
    queries.write_ndjson(src / "queries.jsonl")
    documents = every.select(_id="did", text="title").unique("_id", maintain_order=True)
    documents.write_ndjson(src / "corpus.jsonl")
    for part in parts:
        rows = pairs(part).select(
            pl.col("qid").alias("query-id"), pl.col("did").alias("corpus-id"), "score"
        )
        rows.write_csv(src / "qrels" / f"{part}.tsv", separator="\t")


def esci(src: Path, parts: list[str]) -> None:
    src.mkdir()
    every = pl.concat(pairs(part).with_columns(split=pl.lit(part)) for part in parts)
    grades = pl.Series(["I", "C", "S", "E"])
    every.with_row_index("example_id").select(
        "example_id",
        "query",
        query_id=pl.col("qid").rank("dense"),
        product_id="did",
        product_locale=pl.lit("us"),
        esci_label=grades.gather(every["score"]),
        small_version=pl.lit(1),
        large_version=pl.lit(1),
        split="split",
    ).write_parquet(src / "shopping_queries_dataset_examples.parquet")
    every.unique("did", maintain_order=True).select(
        product_id="did", product_title="title", product_locale=pl.lit("us")
    ).write_parquet(src / "shopping_queries_dataset_products.parquet")


LAYOUTS: dict[str, Callable[[Path, list[str]], None]] = {
    "huggingface": hugging_face,
    "sentence-transformers": sentence_transformers,
    "beir": beir,
    "esci": esci,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_train_and_test(tmp_path: Path, run: Run, layout: str) -> None:
    LAYOUTS[layout](tmp_path / "src", ["train", "test"])
    said = run("import", layout, tmp_path / "src", tmp_path / "data")
    assert f"rankfield train RECIPE --set data.dataset={tmp_path / 'data'}" in said
    data = RankingDataset.load(tmp_path / "data")
    held_out = data.queries.filter(pl.col("query").str.starts_with("test"))
    assert held_out.height == 12
    assert data.training_judgments().join(held_out, on="query_id", how="semi").is_empty()
    (tmp_path / "recipe.toml").write_text(run("recipe", tmp_path / "data"), "utf-8")
    options = [word for value in _SMALL for word in ("--set", value)]
    said = run("train", tmp_path / "recipe.toml", "--out", tmp_path / "run", *options)
    expected = ["all"] if layout == "beir" else ["in_domain", "novel_query"]
    if layout == "esci":  # a tenth of the train queries becomes dev
        assert "trained on" not in said
    elif layout == "beir":
        assert "There are no dev queries: the last model is kept." in said
        assert "12 test queries are held out" in said
    else:
        assert "There are no dev queries in novel_query" in said
    model, random, trained = tmp_path / "run" / "model", tmp_path / "r.json", tmp_path / "t.json"
    run("evaluate", tmp_path / "data", "--baseline", "random", "--out", random)
    run("evaluate", model, tmp_path / "data", "--out", trained)
    for path in (random, trained):
        found = json.loads(path.read_text("utf-8"))
        assert list(found["splits"]) == expected
        assert found["sizes"][expected[-1]]["queries"] == 12
    assert expected[-1] in run("compare", random, trained)


@pytest.mark.parametrize("layout", ["huggingface", "sentence-transformers", "beir"])
def test_train_and_dev(tmp_path: Path, run: Run, layout: str) -> None:
    LAYOUTS[layout](tmp_path / "src", ["train", "validation"])
    run("import", layout, tmp_path / "src", tmp_path / "data")
    (tmp_path / "recipe.toml").write_text(run("recipe", tmp_path / "data"), "utf-8")
    options = [word for value in _SMALL for word in ("--set", value)]
    said = run("train", tmp_path / "recipe.toml", "--out", tmp_path / "run", *options)
    assert "dev nDCG@10" in said
    log = (tmp_path / "run" / "log.jsonl").read_text("utf-8").splitlines()
    dev = [json.loads(line) for line in log if '"event": "dev"' in line]
    split = "all" if layout == "beir" else "novel_query"
    assert [list(line["splits"])[-1] for line in dev] == [split] * 3
    out = tmp_path / "dev.json"
    run("evaluate", tmp_path / "run" / "model", tmp_path / "data", "--subset", "dev", "--out", out)
    found = json.loads(out.read_text("utf-8"))
    assert found["sizes"][split]["queries"] == 12


def test_a_data_set_without_parts_says_that_all_is_trained_on(tmp_path: Path, run: Run) -> None:
    beir(tmp_path / "src", ["train", "test"])
    (tmp_path / "src" / "qrels" / "dev.tsv").write_text("train1\td0\t1\n", "utf-8")
    run("import", "beir", tmp_path / "src", tmp_path / "data", "--duplicates", "first")
    assert "subset" not in RankingDataset.load(tmp_path / "data").queries.columns
    (tmp_path / "recipe.toml").write_text(run("recipe", tmp_path / "data"), "utf-8")
    options = [word for value in _SMALL for word in ("--set", value)]
    said = run("train", tmp_path / "recipe.toml", "--out", tmp_path / "run", *options)
    assert "has no splits: all" in said
    assert "does not follow the column 'source_subset' of the judgments" in said


def test_a_test_part_alone_has_nothing_to_train_on(
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    beir(tmp_path / "src", ["test"])
    said = run("import", "beir", tmp_path / "src", tmp_path / "data")
    assert "rankfield split" in said
    run("evaluate", tmp_path / "data", "--baseline", "random")
    monkeypatch.setattr("sys.argv", ["rankfield", "recipe", str(tmp_path / "data")])
    with pytest.raises(SystemExit) as status:
        main()
    shown = capsys.readouterr()
    assert status.value.code == 2
    assert "every judgment is held out" in shown.err
    assert "rankfield split" in shown.err
