"""Judgments and ranked lists in every form hold the same rows, and bad ones are named."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from rankfield.errors import DataError
from rankfield.formats.rankings import read_judged_pairs, read_ranked_pairs

PAIRS = pl.DataFrame(
    {
        "query_id": ["q1", "q1", "Q 2".replace(" ", "")],
        "doc_id": ["ü", "b", "ü"],
        "score": [0.25, -3.0, 1e-7],
    }
)


def written(folder: Path, suffix: str, *, run: bool = False) -> Path:
    path = folder / f"pairs{suffix}"
    if suffix == ".json":
        values: dict[str, dict[str, float]] = {}
        for query, document, score in PAIRS.iter_rows():
            values.setdefault(query, {})[document] = score
        path.write_text(json.dumps(values), "utf-8")
    elif suffix == ".parquet":
        PAIRS.write_parquet(path)
    elif suffix == ".csv":
        PAIRS.write_csv(path)
    elif suffix == ".tsv":
        PAIRS.write_csv(path, separator="\t")
    elif suffix == ".jsonl":
        PAIRS.write_ndjson(path)
    else:
        form = "{} Q0 {} 1 {!r} tag\n" if run else "{} 0 {} {!r}\n"
        path.write_text("".join(form.format(*row) for row in PAIRS.iter_rows()), "utf-8")
    return path


@pytest.mark.parametrize("suffix", [".json", ".parquet", ".csv", ".tsv", ".jsonl", ".txt", ""])
def test_every_form(tmp_path: Path, suffix: str) -> None:
    assert read_judged_pairs(written(tmp_path, suffix)).equals(PAIRS)
    assert read_ranked_pairs(written(tmp_path, suffix, run=True)).equals(PAIRS)


def test_ranks_in_place_of_scores(tmp_path: Path) -> None:
    ranks = PAIRS.drop("score").with_columns(rank=pl.Series([2, 1, 1]))
    ranks.write_parquet(tmp_path / "run.parquet")
    assert read_ranked_pairs(tmp_path / "run.parquet")["score"].to_list() == [-2, -1, -1]
    with pytest.raises(DataError, match="'score' is missing"):
        read_judged_pairs(tmp_path / "run.parquet")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"q": {"a": 1, "a": 2}}', "a.json, query 'q': 'a' occurs twice"),
        ("a.json", '{"q": {"a": 1}, "q": {}}', "top level: 'q' occurs twice"),
        ("a.json", '{"q": {"a": NaN}}', "query 'q', document 'a': expected a finite number"),
        ("a.json", '{"q": {"a": "1"}}', "expected a finite number, found '1'"),
        ("a.json", '{"q": {"a": true}}', "expected a finite number, found True"),
        ("a.json", '{"q": {"a": 1' + "0" * 400 + "}}", "expected a finite number"),
        ("a.json", '{"q": ["a"]}', "expected an object, found list"),
        ("a.json", '{"q": {}}', "at least one query"),
        ("a.json", '{"q": ', "not JSON"),
        ("a.csv", "query_id,doc_id\nq,a\n", "'score or rank' is missing"),
        ("a.csv", "query_id,score\nq,1\n", "'doc_id' is missing"),
        ("a.csv", "query_id,doc_id,score\nq,a,1\nq,b,x\n", "row 3, column 'score'"),
        ("a.csv", "query_id,doc_id,score\nq,a,nan\n", "row 2, column 'score'"),
        ("a.csv", "query_id,doc_id,score\nq,a,1\nq,a,2\n", "occurs twice for the query 'q'"),
        ("a.csv", "query_id,doc_id,score\nq,,1\n", "row 2, column 'doc_id': expected an id"),
        ("a.csv", "query_id,doc_id,rank\nq,a,1\nq,b,1\nq,c,2\n", "row 3, column 'rank'"),
        ("a.run", "q Q0 a 1 0.5 t\nq Q0 b 1 0.4 t\nq Q0 c 2 0.4 t\n", "rank 1 twice"),
        ("a.run", "q Q0 a 1 0.5 t\nq Q0 b 2\n", "a.run, row 2"),
        ("a.run", "q Q0 a 1 nan t\n", "a.run, row 1, column 'score'"),
    ],
)
def test_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(DataError) as caught:
        read_ranked_pairs(tmp_path / name)
    assert message in str(caught.value)


def test_a_table_of_numbers_with_gaps(tmp_path: Path) -> None:
    PAIRS.with_columns(score=pl.Series([1.0, None, 2.0])).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"row 1 .counted from 0., column 'score'"):
        read_judged_pairs(tmp_path / "a.parquet")


def test_no_such_file(tmp_path: Path) -> None:
    for name in ("a.json", "a.csv", "a"):
        with pytest.raises(DataError, match="no such file"):
            read_judged_pairs(tmp_path / name)
