"""Judgment lists without texts: Quepid's CSV, and judgments alone as a table."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from format_miniatures import LTR, OPENSEARCH, QUEPID, RANK_EVAL, write_files
from rankfield.cli.main import app
from rankfield.errors import DataError, InputError, OutputError
from rankfield.formats import guess_layout, read_quepid, write_quepid
from rankfield.formats.rankings import read_judged_pairs


def run(*words: str | Path) -> object:
    return CliRunner().invoke(app, list(map(str, words)))


def test_quepid_is_read_guessed_and_written(tmp_path: Path) -> None:
    src = write_files(tmp_path, QUEPID)
    assert guess_layout(src / "ratings.csv")[0].name == "quepid"
    data, notes = read_quepid(src / "ratings.csv", documents=src / "products.jsonl")
    assert data.queries.rows() == [("q1", "red mug"), ("q2", "oak desk")]
    judged = [("q1", "d1", 3.0), ("q1", "d2", 1.0), ("q2", "d3", 2.0)]
    assert data.judgments.rows() == judged
    assert "judgments: 1 without a rating are left out" in notes
    out = tmp_path / "out.csv"
    write_quepid(data, out)
    text = "query,docid,rating\nred mug,d1,3\nred mug,d2,1\noak desk,d3,2\n"
    assert out.read_text("utf-8") == text
    with pytest.raises(OutputError, match="already exists"):
        write_quepid(data, out)
    twice = data.with_tables(queries=data.queries.with_columns(query=pl.lit("mug")))
    with pytest.raises(DataError, match="two queries have the text 'mug'"):
        write_quepid(twice, tmp_path / "twice.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query,docid\nmug,d1\n", "expected a column 'rating', found 'query', 'docid'"),
        ("query,docid,rating\n\u200b,d1,3\n", "row 2, column 'query': expected a value"),
        ("query,docid,rating\nmug,,3\n", "row 2, column 'doc_id': expected a value"),
        ("query,docid,rating\nmug,d1,good\n", "row 2, column 'score': .*found 'good'"),
        ("query,docid,rating\nmug,d1,\n", "expected at least one rating"),
        ("query,docid,rating\nmug,d1,3\n", "no texts of documents.*--judgments-only"),
    ],
)
def test_quepid_files_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=message):
        read_quepid(path)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_lists_without_ids_take_the_texts(tmp_path: Path, ending: str) -> None:
    write_files(tmp_path, OPENSEARCH | QUEPID)
    expected = [("red mug", "d1", 3.0), ("red mug", "d2", 0.25), ("oak desk", "d3", 2.0)]
    for layout, name in (("elasticsearch", "judgments.json"), ("quepid", "ratings.csv")):
        out = tmp_path / f"{layout}.{ending}"
        done = run("import", layout, tmp_path / name, out, "--judgments-only")
        assert done.exit_code == 0, done.output  # type: ignore[attr-defined]
        rows = read_judged_pairs(out).rows()
        if layout == "quepid":
            assert rows == [("red mug", "d1", 3), ("red mug", "d2", 1), ("oak desk", "d3", 2)]
        else:
            assert rows == expected


@pytest.mark.parametrize(
    ("files", "name", "queries"),
    [
        (RANK_EVAL, "rank_eval.json", ["mugs", "mugs", "desks"]),
        (LTR, "judgments.txt", ["1", "1", "2"]),
    ],
)
def test_lists_with_ids_keep_them(
    tmp_path: Path, files: dict[str, str], name: str, queries: list[str]
) -> None:
    write_files(tmp_path, files)
    out = tmp_path / "judged.csv"
    run("import", "elasticsearch", tmp_path / name, out, "--judgments-only")
    assert read_judged_pairs(out)["query_id"].to_list() == queries


def test_the_ids_of_a_data_set(tmp_path: Path) -> None:
    src = write_files(tmp_path, QUEPID)
    table = {"query_id": ["a", "b"], "query": ["oak desk", "red mug"]}
    data, _ = read_quepid(src / "ratings.csv", documents=src / "products.jsonl")
    queries = pl.DataFrame(table)
    judgments = data.judgments.with_columns(query_id=pl.lit("a")).unique("doc_id")
    data.with_tables(queries=queries, judgments=judgments).save(tmp_path / "shop")
    list_ = src / "ratings.csv"
    options = ("--judgments-only", "--dataset", tmp_path / "shop")
    done = run("import", "quepid", list_, tmp_path / "a.csv", *options)
    assert done.exit_code == 0, done.output  # type: ignore[attr-defined]
    assert read_judged_pairs(tmp_path / "a.csv").rows() == [
        ("b", "d1", 3.0),
        ("b", "d2", 1.0),
        ("a", "d3", 2.0),
    ]
    list_.write_text(list_.read_text() + "blue cup,d1,2\nred mug,d9,1\n")
    failed = run("import", "quepid", list_, tmp_path / "b.csv", *options)
    assert "'blue cup' is not among the queries" in str(failed.exception)  # type: ignore[attr-defined]
    assert "--unknown drop" in str(failed.exception)  # type: ignore[attr-defined]
    assert not (tmp_path / "b.csv").exists()
    done = run("import", "quepid", list_, tmp_path / "b.csv", *options, "--unknown", "drop")
    assert "left out 2 of unknown" in done.output  # type: ignore[attr-defined]
    assert read_judged_pairs(tmp_path / "b.csv").height == 3


def test_a_pair_judged_twice_and_options_that_do_not_go_together(tmp_path: Path) -> None:
    src = write_files(tmp_path, OPENSEARCH)
    path = src / "judgments.json"
    value = json.loads(path.read_text())
    value["judgmentRatings"][0]["ratings"].append({"docId": "d1", "rating": 1})
    path.write_text(json.dumps(value))
    words = ("import", "elasticsearch", path, tmp_path / "j.csv", "--judgments-only")
    failed = run(*words)
    assert r"ratings[2]" in str(failed.exception)  # type: ignore[attr-defined]
    assert "--duplicates highest" in str(failed.exception)  # type: ignore[attr-defined]
    for keep, score in (("highest", 3.0), ("first", 3.0)):
        out = tmp_path / f"{keep}.csv"
        run("import", "elasticsearch", path, out, "--judgments-only", "--duplicates", keep)
        assert read_judged_pairs(out)["score"][0] == score
    for more in (("--documents", src / "products.jsonl"),):
        assert isinstance(run(*words, *more).exception, InputError)  # type: ignore[attr-defined]
    alone = run("import", "elasticsearch", path, tmp_path / "x", "--dataset", tmp_path)
    assert "Add --judgments-only" in str(alone.exception)  # type: ignore[attr-defined]
    folder = run("import", "elasticsearch", path, tmp_path / "x", "--judgments-only")
    assert "expected a file ending in .csv" in str(folder.exception)  # type: ignore[attr-defined]
