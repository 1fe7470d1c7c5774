"""Absurd numbers and nesting in every kind of file that a command reads: done or refused, soon."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from confined import Confined
from hostile import NUMBERS, TEXTS, bounded, tables, write_dataset, write_table
from rankfield.judging.rubric import RUBRIC_TEMPLATE

LIMIT = 30.0
"""Seconds: far more than any of these needs, far less than quadratic time or a wait for ever."""
NESTED = {
    "lists": "[" * 100_000,
    "objects": '{"a":' * 50_000,
    "whole lists": "[" * 9999 + "]" * 9999,
    "whole objects": '{"a":[' * 400 + "]}" * 400,
    "digits": '{"title": ' + "9" * 6000 + "}",
    "infinite": '{"title": 1e400}',
    "NaN": '{"title": NaN}',
    "half a pair": '{"a": "\\ud800"}',
    "twice": '{"a": 1, "a": 2}',
    "mark": "\ufeff{}",
    "null character": "\x00",
    "no name": '{"": {}}',
    "null": "null",
    "nothing": "",
}


@contextmanager
def soon() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < LIMIT


@given(scores=st.lists(NUMBERS, min_size=1, max_size=3), ending=st.sampled_from(("csv", "jsonl")))
@bounded(4)
def test_scores_of_tables(
    tmp_path_factory: pytest.TempPathFactory, scores: list[str], ending: str
) -> None:
    place = Confined(tmp_path_factory.mktemp("scores"))
    for table, columns in tables(scores=scores, texts=scores).items():
        write_table(place.theirs / f"{table}.{ending}", columns)
    with soon():
        place.run("import", "tables", place.theirs, "data", outputs=["data"])
        qrels = "".join(f"q{i} 0 d{i} {score}\n" for i, score in enumerate(scores))
        (place.theirs / "qrels.txt").write_text(qrels)
        (place.theirs / "run.txt").write_text(
            "".join(f"q{i} Q0 d{i} 1 {s} x\n" for i, s in enumerate(scores))
        )
        place.run("metrics", place.theirs / "qrels.txt", place.theirs / "run.txt")
        place.run("import", "trec", place.theirs, "trec", outputs=["trec"])


@given(numbers=st.lists(st.floats() | st.sampled_from((1e308, -1e308)), min_size=1, max_size=3))
@bounded(2)
def test_scores_of_a_data_set(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float]
) -> None:
    place = Confined(tmp_path_factory.mktemp("numbers"))
    theirs = write_dataset(place.theirs, tables(scores=numbers))
    with soon():
        place.run("check", theirs, "--html", "page.html", outputs=["page.html"])
        place.run("split", theirs, "split", outputs=["split"])
        place.run("weights", theirs)
        place.run("dedupe", theirs, "unique", outputs=["unique"])
        outputs = ["r.json", "r.rankings.parquet", "r.queries.parquet"]
        place.run("evaluate", theirs, "--baseline", "random", "--out", "r.json", outputs=outputs)
        for layout in ("tables", "trec", "elasticsearch", "quepid", "beir"):
            place.run("export", layout, theirs, layout, outputs=[layout])


@given(kind=st.sampled_from(sorted(NESTED)))
@bounded(5)
def test_files_of_one_json_or_toml(tmp_path_factory: pytest.TempPathFactory, kind: str) -> None:
    text = NESTED[kind]
    place = Confined(tmp_path_factory.mktemp("nested"))
    write_dataset(place.theirs / "data", tables())
    for name in (
        *("documents.jsonl", "queries.jsonl", "corpus.jsonl", "ratings.json", "r.json", "e.jsonl"),
        *("dataset_dict.json", "run.json", "qrels.json"),
    ):
        (place.theirs / name).write_text(text + "\n")
    for name in ("recipe.toml", "job.toml", "rubric.toml", "dataset.toml"):
        (place.theirs / name).write_text(f"a = {text}\n")
    (place.theirs / "judgments.csv").write_text("query_id,doc_id,score\nq,d,1\n")
    here = place.theirs
    with soon():
        place.run("import", "tables", here, "t", outputs=["t"])
        place.run("import", here, "guessed", outputs=["guessed"])
        place.run("import", "beir", here, "b", outputs=["b"])
        place.run("import", "huggingface", here, "h", outputs=["h"])
        documents = ("--documents", here / "documents.jsonl")
        place.run("import", "elasticsearch", here / "ratings.json", "e", *documents, outputs=["e"])
        place.run("labels", here / "e.jsonl", "l", outputs=["l"])
        place.run("metrics", here / "qrels.json", here / "run.json")
        place.run("compare", here / "r.json")
        place.run("report", here / "r.json", "--out", "r.html", outputs=["r.html"])
        place.run("train", here / "recipe.toml", "--out", "run", outputs=["run"])
        place.run("collect", here / "job.toml", "c", outputs=["c"])
        words = ("--rubric", here / "rubric.toml", "--endpoint", "http://127.0.0.1:9/v1")
        place.run("judge", here / "data", "j", *words, "--model", "m", outputs=["j"])
        place.run("check", here)


def _leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*at, key)
        if isinstance(inner, dict | list):
            yield from _leaves(inner, (*at, key))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = Confined(tmp_path_factory.mktemp("measured"))
    write_dataset(place.here / "data", tables())
    words = ("evaluate", "data", "--baseline", "random", "--out", "r.json")
    assert (
        place.run(*words, outputs=["r.json", "r.rankings.parquet", "r.queries.parquet"]).code == 0
    )
    return place.here


@given(
    which=st.lists(st.integers(0, 10_000), min_size=1, max_size=2),
    value=st.one_of(
        st.sampled_from((None, True, -1, 10**400, 1e308, [], {}, [[1]], {"a": 1}, "../private")),
        TEXTS,
    ),
)
@bounded(5)
def test_results_of_others(
    tmp_path_factory: pytest.TempPathFactory, measured: Path, which: list[int], value: Any
) -> None:
    place = Confined(tmp_path_factory.mktemp("results"))
    results = json.loads((measured / "r.json").read_text())
    for number in which:
        places = list(_leaves(results))
        *way, last = places[number % len(places)]
        inner = results
        for key in way:
            inner = inner[key]
        inner[last] = value
    (place.theirs / "r.json").write_text(json.dumps(results))
    for table in ("rankings", "queries"):
        shutil.copy(measured / f"r.{table}.parquet", place.theirs)
    theirs = place.theirs / "r.json"
    with soon():
        place.run("compare", theirs, measured / "r.json", "--details")
        words = ("--out", "r.html", "--out", "r.md", "--out", "j.json", "--model-card", "card.md")
        outputs = ["r.html", "r.md", "j.json", "card.md"]
        place.run("report", theirs, *words, "--data", measured / "data", outputs=outputs)
        (place.theirs / "rubric.toml").write_text(RUBRIC_TEMPLATE)
        asked = ("--rubric", place.theirs / "rubric.toml", "--endpoint", "http://127.0.0.1:9/v1")
        place.run(
            *("judge", measured / "data", "j", *asked, "--model", "m", "--dry-run"),
            *("--results", theirs),
            outputs=["j"],
        )


def test_tables_beside_results_are_measured_before_they_are_read(
    tmp_path: Path, measured: Path
) -> None:
    place = Confined(tmp_path)
    for name in ("r.json", "r.rankings.parquet", "r.queries.parquet"):
        shutil.copy(measured / name, place.theirs)
    path = place.theirs / "r.queries.parquet"
    more = pl.lit("a" * 200_000).alias("more")
    pl.read_parquet(path).with_columns(more).write_parquet(path)
    env = {"RANKFIELD_EXPAND_GIB": "0.001"}
    said = place.run("compare", place.theirs / "r.json", measured / "r.json", env=env)
    assert said.code == 2
    assert "hold more than" in said.err
