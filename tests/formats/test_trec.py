"""Qrels and runs: against pytrec_eval's and ir_measures' readers, and every malformed line."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import ir_measures
import polars as pl
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from rankfield.errors import DataError
from rankfield.formats import read_qrels, read_run, write_qrels, write_run

QRELS = "301 0 FBIS3-1 2\n301\t0\tFBIS3-2  0\n302 Q0 LA1-1 -1\n"
RUN = "301 Q0 FBIS3-2 1 12.75 bm25\n301 Q0 FBIS3-1 2 -3e-1 bm25\n302 Q0 LA1-1 1 7 my run\n"

words = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=8)
scores = st.floats(allow_nan=False, allow_infinity=False)


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_qrels_as_pytrec_eval_and_ir_measures_read_them(tmp_path: Path) -> None:
    path = write(tmp_path / "qrels", QRELS)
    found = read_qrels(path)
    assert found.schema == {"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64}
    with path.open() as file:
        theirs = pytrec_eval.parse_qrel(file)
    assert {(q, d): s for q, d, s in found.rows()} == {
        (q, d): s for q, docs in theirs.items() for d, s in docs.items()
    }
    others = [(q.query_id, q.doc_id, q.relevance) for q in ir_measures.read_trec_qrels(str(path))]
    assert others == found.rows()


def test_runs_as_pytrec_eval_reads_them(tmp_path: Path) -> None:
    path = write(tmp_path / "run", RUN.replace("my run", "myrun"))
    with path.open() as file:
        theirs = pytrec_eval.parse_run(file)
    found = read_run(path)
    assert found.columns == ["query_id", "doc_id", "rank", "score", "tag"]
    assert {(q, d): s for q, d, _, s, _ in found.rows()} == {
        (q, d): s for q, docs in theirs.items() for d, s in docs.items()
    }
    assert found["rank"].to_list() == [1, 2, 1]
    assert read_run(write(path, RUN))["tag"].to_list() == ["bm25", "bm25", "my run"]


@given(st.dictionaries(st.tuples(words, words), scores, min_size=1, max_size=20))
def test_qrels_come_back(tmp_path_factory: Any, pairs: dict[tuple[str, str], float]) -> None:
    path = tmp_path_factory.mktemp("qrels") / "qrels"
    frame = pl.DataFrame(
        {
            "query_id": [query for query, _ in pairs],
            "doc_id": [document for _, document in pairs],
            "score": list(pairs.values()),
        }
    )
    write_qrels(frame, path)
    assert read_qrels(path).equals(frame)


@given(st.dictionaries(st.tuples(words, words), scores, min_size=1, max_size=20))
def test_runs_come_back(tmp_path_factory: Any, pairs: dict[tuple[str, str], float]) -> None:
    path = tmp_path_factory.mktemp("run") / "run"
    frame = pl.DataFrame(
        {
            "query_id": [query for query, _ in pairs],
            "doc_id": [document for _, document in pairs],
            "rank": list(range(len(pairs))),
            "score": list(pairs.values()),
            "tag": ["x"] * len(pairs),
        }
    )
    write_run(frame, path)
    assert read_run(path).equals(frame)


def test_whole_grades_are_written_as_integers_for_trec_eval(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"query_id": ["1"] * 3, "doc_id": ["a", "b", "c"], "score": [3.0, 0.5, -1.0]}
    )
    write_qrels(frame, tmp_path / "qrels")
    assert (tmp_path / "qrels").read_text() == "1 0 a 3\n1 0 b 0.5\n1 0 c -1\n"


def test_packed_files_marks_and_line_ends(tmp_path: Path) -> None:
    expected = read_qrels(write(tmp_path / "plain", QRELS))
    with gzip.open(tmp_path / "qrels.gz", "wb") as file:
        file.write(QRELS.encode())
    assert read_qrels(tmp_path / "qrels.gz").equals(expected)
    windows = b"\xef\xbb\xbf" + QRELS.replace("\n", "\r\n\r\n").encode()
    (tmp_path / "windows").write_bytes(windows)
    assert read_qrels(tmp_path / "windows").equals(expected)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"1 0 a\n", r"row 1: expected 4 columns .*, found 3: '1 0 a'\. Write 4 columns"),
        (b"\n1 0 a 1 x\n", r"row 2: expected 4 columns .*, found 5"),
        (b"1;0;a;1\n", r"row 1: .*delimited by semicolons: delimit it by blanks or tabs"),
        (b"1 0 a x\n1 0 b y\n", r"row 1, column 'score': .*'x' \(and 1 more line\)\. Fix"),
        (
            b"1 0 a 1\n\n1 0 b NaN\n",
            r"row 3, column 'score': expected a finite number, found 'NaN'",
        ),
        (b"1 0 a inf\n", r"row 1, column 'score': expected a finite number, found 'inf'"),
        (b"1 0 a 1e400\n", r"row 1, column 'score': expected a finite number"),
        (b"1 0 a 1,5\n", r"row 1, column 'score': expected a finite number, found '1,5'"),
        (
            b"1 0 a 1\n2 0 a 1\n1 0 a 2\n",
            r"row 3, column 'doc_id': .*first in row 1\. Keep",
        ),
        (b"1 0 a 1\n1 0 \xe9 1\n", r"row 2: not UTF-8: byte 0xe9 at position 5\. Save"),
        (b"\xff\xfe1\x00 \x000\x00", r"row 1: not UTF-8"),
        (b"", r"expected at least one line, found none"),
        (b" \n\n", r"expected at least one line, found none"),
    ],
)
def test_bad_qrels(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "bad.txt").write_bytes(raw)
    with pytest.raises(DataError, match=rf"bad\.txt.*{message}"):
        read_qrels(tmp_path / "bad.txt")


def test_bad_packed_files(tmp_path: Path) -> None:
    packed = gzip.compress(QRELS.encode() * 100)
    (tmp_path / "cut.gz").write_bytes(packed[:-30])
    with pytest.raises(DataError, match=r"cut\.gz: cannot be read, it may be cut off.*Fetch"):
        read_qrels(tmp_path / "cut.gz")
    (tmp_path / "latin.gz").write_bytes(gzip.compress(b"1 0 a 1\n1 0 \xe9 1\n"))
    with pytest.raises(DataError, match=r"latin\.gz, row 2: not UTF-8"):
        read_qrels(tmp_path / "latin.gz")
    with pytest.raises(DataError, match="there is no such file"):
        read_qrels(tmp_path / "nothing")
    with pytest.raises(DataError, match="found a folder"):
        read_qrels(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 Q0 a 1 2", r"row 1: expected 6 columns .*found 5"),
        ("1 Q0 a first 2 x", r"row 1, column 'rank': .*found 'first'"),
        (
            "1 Q0 a 1.5 2 x",
            r"row 1, column 'rank': expected a whole number .*found '1.5'",
        ),
        ("1 Q0 a -1 2 x", r"row 1, column 'rank': expected a whole number"),
        ("1 Q0 a 1 nan x", r"row 1, column 'score': expected a finite number, found 'nan'"),
        ("1 Q0 a 1 2 x\n1 Q0 a 2 1 x", r"row 2, column 'doc_id': .*twice"),
    ],
)
def test_bad_runs(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_run(write(tmp_path / "run", line + "\n"))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("query_id", "a b", r"row 1 .*'query_id': 'a b' cannot stand .*Give it a name"),
        ("doc_id", "", r"row 1 .*'doc_id': '' cannot stand"),
        ("score", float("nan"), r"row 1 .*'score': expected a finite number, found nan"),
    ],
)
def test_nothing_is_written_that_would_not_come_back(
    tmp_path: Path, column: str, value: object, message: str
) -> None:
    row = {"query_id": "q", "doc_id": "d", "score": 1.0}
    frame = pl.DataFrame([row, row | {column: value}])
    with pytest.raises(DataError, match=message):
        write_qrels(frame, tmp_path / "qrels")
    assert not list(tmp_path.iterdir())
