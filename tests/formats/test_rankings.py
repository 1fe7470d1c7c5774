"""Judgments and ranked lists in every form hold the same rows, and bad ones are named."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from rankfield.errors import DataError
from rankfield.formats.rankings import has_splits, read_judged_pairs, read_ranked_pairs

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
        ("a.json", '{"q": {"a": 1' + "0" * 5000 + "}}", "a.json: not JSON: Exceeds the limit"),
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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("beir.tsv", "query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\n"),
        ("beir.qrels", "query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\n"),
        ("blanks.txt", "qid docno label\nq1 a 2\nq1 b 0\n"),
        ("camel.csv", "queryId,docId,Score\nq1,a,2\nq1,b,0\n"),
        ("upper.csv", "QUERY_ID,DOC_ID,RELEVANCE,note\nq1,a,2,x\nq1,b,0,\n"),
        ("quepid.csv", "query,docid,rating\nq1,a,2\nq1,b,0\n"),
        ("marco.tsv", "q1\t0\ta\t2\nq1\t0\tb\t0\n"),
        (
            "ranx.jsonl",
            '{"q_id": "q1", "doc_id": "a", "score": 2}\n'
            '{"q_id": "q1", "doc_id": "b", "score": 0}\n',
        ),
    ],
)
def test_judgments_under_other_names(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    assert read_judged_pairs(tmp_path / name).rows() == [("q1", "a", 2.0), ("q1", "b", 0.0)]


def test_runs_under_other_names(tmp_path: Path) -> None:
    found = [("q1", "a", 2.5), ("q1", "b", 1.0)]
    (tmp_path / "a.csv").write_text("qid,docno,rank,Score\nq1,a,0,2.5\nq1,b,1,1\n")
    (tmp_path / "b.txt").write_text("qid\tdocno\tsimilarity\nq1\ta\t2.5\nq1\tb\t1\n")
    (tmp_path / "c.tsv").write_text("q1\tQ0\ta\t1\t2.5\tx\nq1\tQ0\tb\t2\t1\tx\n")
    for name in ("a.csv", "b.txt", "c.tsv"):
        assert read_ranked_pairs(tmp_path / name).rows() == found
    # The score of a judgment is not that of a run.
    (tmp_path / "d.csv").write_text("qid,docno,rank,rating\nq1,a,1,0\nq1,b,2,3\n")
    assert read_ranked_pairs(tmp_path / "d.csv")["score"].to_list() == [-1, -2]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "q1,a,2\nq1,b,0\n", "no header: its first row is 'q1,a,2'. Write a first row"),
        ("a.tsv", "q1\ta\t2\nq1\tb\t0\n", "no header"),
        ("a.tsv", "q1\t0\ta\t2\nq1\t0\tb\tx\n", "a.tsv, row 2, column 'score'"),
        ("a.csv", "queryId,QUERY_ID,docId,score\nq,q,a,1\n", "spellings of the same name"),
        ("a.txt", "query-id corpus-id score\n", "below the header"),
        ("a.txt", "query-id corpus-id score\nq a\n", "a.txt, row 2: expected 3 columns"),
        ("a.json", '{"q": {"d\\ud83d": 1}}', "half of a surrogate pair is no text"),
        ("a.json", '{"q\\ud83d": {"d": 1}}', "half of a surrogate pair is no text"),
        ("a.json", '{"q": {"": 1}}', "query 'q': expected an id, found ''"),
    ],
)
def test_refused_judgments(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(DataError) as caught:
        read_judged_pairs(tmp_path / name)
    assert message in str(caught.value)


RANKINGS = pl.DataFrame(
    {
        "split": ["in_domain"] * 2 + ["zero_shot"] * 2 + ["novel_document"],
        "query_id": ["q1", "q1", "q2", "q2", "q1"],
        "rank": [1, 2, 1, 2, 1],
        "doc_id": ["a", "b", "c", "d", "e"],
        "similarity": [0.5, 0.5, 0.25, 0.125, 0.0],
        "judged_score": [None, 3.0, 0.0, 2.0, 1.0],
    }
)


@pytest.mark.parametrize("name", ["judged_score", "score"])
def test_our_own_rankings_go_by_rank(tmp_path: Path, name: str) -> None:
    path = tmp_path / "r.rankings.parquet"
    RANKINGS.rename({"judged_score": name}).write_parquet(path)
    found = read_ranked_pairs(path, split="zero_shot")
    assert found.rows() == [("q2", "c", -1.0), ("q2", "d", -2.0)]
    with pytest.raises(DataError, match=r"'q1' has lists in .*'in_domain'.*--split in_domain"):
        read_ranked_pairs(path)
    with pytest.raises(DataError, match=r"no row is of the split 'test'; there are 'in_domain'"):
        read_ranked_pairs(path, split="test")
    RANKINGS.rename({"judged_score": name}).head(4).write_parquet(path)
    assert read_ranked_pairs(path)["score"].to_list() == [-1, -2, -1, -2]
    RANKINGS.drop("judged_score", "rank").head(4).write_parquet(path)
    assert read_ranked_pairs(path)["score"].to_list() == [0.5, 0.5, 0.25, 0.125]
    assert has_splits(path)
    assert not has_splits(written(tmp_path, ".csv"))
    assert not has_splits(written(tmp_path, ".txt"))


def test_no_such_file(tmp_path: Path) -> None:
    for name in ("a.json", "a.csv", "a"):
        with pytest.raises(DataError, match="no such file"):
            read_judged_pairs(tmp_path / name)
