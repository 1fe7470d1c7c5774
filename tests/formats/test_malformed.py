"""Malformed sources of every layout: an error with file, row and remedy, and nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from format_miniatures import MINIATURES
from rankfield.cli.main import app
from rankfield.formats.registry import LAYOUTS

Spoil = Callable[[bytes], bytes]


def swap(old: str, new: str) -> Spoil:
    """Replace the first occurrence of a text that must be there."""

    def spoil(raw: bytes) -> bytes:
        assert old.encode() in raw
        return raw.replace(old.encode(), new.encode(), 1)

    return spoil


def broken(after: str) -> Spoil:
    """Put a byte that is no UTF-8 behind a text."""

    def spoil(raw: bytes) -> bytes:
        assert after.encode() in raw
        return raw.replace(after.encode(), after.encode() + b"\xff", 1)

    return spoil


def half(raw: bytes) -> bytes:
    return raw[: len(raw) * 2 // 3]


def nothing(_: bytes) -> bytes:
    return b""


def all_of(old: str, new: str) -> Spoil:
    return lambda raw: raw.replace(old.encode(), new.encode())


CASES: list[tuple[str, str, str, Spoil, str]] = [
    # miniature, what is wrong, file, how, message
    ("tables", "delimiter", "judgments.csv", all_of(",", ";"), r"delimited by semicolons.*commas"),
    ("tables", "encoding", "documents.csv", broken("Blue"), r"documents\.csv, row 3.*not UTF-8"),
    (
        "tables",
        "column",
        "judgments.csv",
        swap("score", "x"),
        r"expected a column 'score'.*--score",
    ),
    (
        "tables",
        "header",
        "documents.csv",
        swap("details", "title"),
        r"row 1: .*'title' occurs more",
    ),
    ("tables", "number", "judgments.csv", swap("0.5", "1e999"), r"row 3, column 'score'.*'1e999'"),
    ("tables", "quote", "documents.csv", swap('red"', "red"), r"row 2: a quote is opened"),
    ("tables", "empty", "queries.csv", nothing, r"queries\.csv: the file is empty"),
    (
        "trec",
        "delimiter",
        "qrels.txt",
        swap("q1 0 d1 3", "q1,0,d1,3"),
        r"row 1: .*by commas: delimit",
    ),
    ("trec", "encoding", "qrels.txt", broken("q1 0 d2"), r"qrels\.txt, row 2: not UTF-8.*Save"),
    ("trec", "column", "qrels.txt", swap("q1 0 d2 1", "q1 d2 1"), r"row 2: expected 4 .*found 3"),
    ("trec", "twice", "qrels.txt", swap("q1 0 d2", "q1 0 d1"), r"row 2, .*twice.*first in row 1"),
    ("trec", "number", "qrels.txt", swap("d1 3", "d1 nan"), r"row 1, column 'score'.*'nan'.*Fix"),
    ("trec", "infinite", "qrels.txt", swap("d1 3", "d1 9e999"), r"row 1, column 'score'.*'9e999'"),
    ("trec", "cut", "qrels.txt", lambda raw: raw[:-5], r"row 4: expected 4 .*found 3"),
    ("trec", "empty", "qrels.txt", nothing, r"qrels\.txt: expected at least one line"),
    ("trec", "unclosed topic", "topics.txt", swap("</top>", ""), r"row 1: <top> is opened.*</top>"),
    ("trec", "no number", "topics.txt", swap("<num> Number: q1", ""), r"row 1: expected <num>"),
    ("trec", "same topic", "topics.txt", swap(": q2", ": q1"), r"topics\.txt, row 11.*'q1' occurs"),
    ("trec", "unclosed", "docs.trec", lambda raw: raw[:-8], r"docs\.trec, row 13: <DOC> is opened"),
    ("trec", "outside", "docs.trec", lambda raw: b"x\n" + raw, r"row 1: expected <DOC>, found 'x'"),
    ("trec", "no id", "docs.trec", swap("<DOCNO>d2</DOCNO>", ""), r"row 9: expected <DOCNO>"),
    ("trec-tsv", "delimiter", "queries.tsv", swap("q2\t", "q2,"), r"row 2: expected 2 .*found 1"),
    ("trec-tsv", "encoding", "collection.tsv", broken("Oak"), r"row 3: not UTF-8.*Save the file"),
    ("trec-tsv", "columns", "collection.tsv", swap("Blue", "a\tb"), r"row 2: expected 2 .*found 3"),
    ("trec-tsv", "same id", "collection.tsv", swap("d3", "d2"), r"row 3, column 'doc_id'.*own id"),
    ("trec-tsv", "no id", "collection.tsv", swap("d3", ""), r"row 3, .*'doc_id'.*Give the record"),
    (
        "trec-tsv",
        "unknown",
        "qrels.tsv",
        swap("d3", "x"),
        r"row 3, column 'doc_id'.*--unknown drop",
    ),
    ("trec-xml", "delimiter", "qrels.txt", all_of(" ", ";"), r"row 1: .*by semicolons: delimit"),
    ("trec-xml", "encoding", "topics-rnd5.xml", broken("saucer"), r"xml, row 8: not UTF-8.*Save"),
    ("trec-xml", "no id", "topics-rnd5.xml", swap(' number="1"', ""), r"row 4: .*an id.*number="),
    ("trec-xml", "empty", "topics-rnd5.xml", nothing, r"topics-rnd5\.xml: expected at least one"),
    ("trec-xml", "cut", "topics-rnd5.xml", lambda raw: raw[:-25], r"row 10: <topic> is opened and"),
    ("trec-xml", "unclosed", "topics-rnd5.xml", swap("</topic>", ""), r"row 4: <topic> is opened"),
    ("trec-xml", "same", "topics-rnd5.xml", swap('"2"', '"1"'), r"row 10, .*'1' occurs.*own id"),
    (
        "beir",
        "delimiter",
        "qrels/test.tsv",
        all_of("\t", ","),
        r"test\.tsv, row 1.*commas: delimit it by tabs",
    ),
    ("beir", "encoding", "corpus.jsonl", broken("blue"), r"corpus\.jsonl, row 2: not UTF-8.*Save"),
    ("beir", "column", "corpus.jsonl", all_of('"_id"', '"id"'), r"expected a column '_id'.*Name"),
    ("beir", "header", "qrels/dev.tsv", swap("corpus-id", "query-id"), r"row 1.*header.*Name and"),
    ("beir", "number", "qrels/test.tsv", swap("0.5", "-inf"), r"test\.tsv, row 3, .*'-inf'.*Fix"),
    (
        "beir",
        "cut",
        "queries.jsonl",
        lambda raw: raw[:-9],
        r"queries\.jsonl, row 4: not valid JSON",
    ),
    ("beir", "twice", "qrels/test.tsv", swap("d2", "d1"), r"test\.tsv, row 3, .*--duplicates"),
    (
        "beir",
        "other subset",
        "qrels/dev.tsv",
        swap("q2", "q7"),
        r"dev\.tsv, row 2, .*'q7'.*--unknown",
    ),
    ("beir", "no judgment", "qrels/dev.tsv", lambda raw: raw[:25], r"below the header, found none"),
    (
        "beir",
        "not an object",
        "corpus.jsonl",
        lambda raw: raw + b"[1]\n",
        r"row 4: expected a JSON ob",
    ),
    ("wands", "delimiter", "label.csv", all_of("\t", ";"), r"label\.csv: .*semicolons.*Save it"),
    ("wands", "encoding", "product.csv", broken("oak"), r"product\.csv, row 4: not UTF-8.*Save"),
    (
        "wands",
        "column",
        "label.csv",
        swap("label", "grade"),
        r"expected a column 'label'.*Name the",
    ),
    ("wands", "header", "label.csv", swap("query_id", "id"), r"row 1: the column 'id' occurs more"),
    ("wands", "label", "label.csv", swap("Partial", "Maybe"), r"row 3, column 'label'.*--grades"),
    ("wands", "quote", "product.csv", swap('mug, red"', "mug, red"), r"row 2: a quote.*twice"),
    ("wands", "width", "query.csv", swap("\tMugs", ""), r"query\.csv, row 2: expected 3 .*found 2"),
    ("rank-eval", "cut", "rank_eval.json", half, r"rank_eval\.json, row \d+, .*cut off.*fetch"),
    ("rank-eval", "encoding", "rank_eval.json", broken("red"), r"row 5: not UTF-8.*Save the file"),
    (
        "rank-eval",
        "key",
        "rank_eval.json",
        swap('"_id"', '"id"'),
        r"requests\[0\]\.ratings\[0\].*Fix",
    ),
    (
        "rank-eval",
        "same key",
        "rank_eval.json",
        swap('"_index"', '"_id"'),
        r"'_id' occurs twice.*Keep",
    ),
    (
        "rank-eval",
        "number",
        "rank_eval.json",
        swap(": 3", ": 1e999"),
        r"ratings\[0\].*'1e999'.*Fix",
    ),
    (
        "rank-eval",
        "not a number",
        "rank_eval.json",
        swap(": 3", ": NaN"),
        r"ratings\[0\].*'NaN'.*Fix",
    ),
    ("rank-eval", "same id", "rank_eval.json", swap('"desks"', '"mugs"'), r"requests\[1\].*own id"),
    (
        "rank-eval",
        "comma",
        "rank_eval.json",
        swap("}},", "}}"),
        r"row 6, position 7.*Fix the file",
    ),
    ("rank-eval", "no list", "rank_eval.json", swap("[", "{}, ["), r"rank_eval\.json, row 2"),
    (
        "rank-eval",
        "twice",
        "rank_eval.json",
        swap("d2", "d1"),
        r"ratings\[1\], .*--duplicates high",
    ),
    (
        "rank-eval",
        "unknown",
        "products.jsonl",
        swap("d2", "d4"),
        r"'d2' is not among.*--unknown drop",
    ),
    ("rank-eval", "documents", "products.jsonl", half, r"products\.jsonl, row 2: not valid JSON"),
    ("opensearch", "cut", "judgments.json", half, r"judgments\.json, row \d+, .*cut off.*fetch"),
    ("opensearch", "encoding", "judgments.json", broken("red"), r"row 5: not UTF-8.*Save the file"),
    (
        "opensearch",
        "key",
        "judgments.json",
        swap("docId", "doc"),
        r"Ratings\[0\]\.ratings\[0\].*Fix",
    ),
    (
        "opensearch",
        "same key",
        "judgments.json",
        swap('"type"', '"name"'),
        r"'name' occurs twice.*Keep",
    ),
    (
        "opensearch",
        "number",
        "judgments.json",
        swap("3.000", "high"),
        r"ratings\[0\].*'high'.*Fix",
    ),
    (
        "opensearch",
        "no query",
        "judgments.json",
        swap('"query"', '"q"'),
        r"Ratings\[0\], 'query'.*Fix",
    ),
    (
        "opensearch",
        "name",
        "judgments.json",
        swap("judgmentRatings", "x"),
        r"'judgmentRatings', found.*See",
    ),
    (
        "opensearch",
        "surrogate",
        "judgments.json",
        swap("red mug", "\\ud800"),
        r"surrogate.*Fix the",
    ),
    (
        "ltr",
        "delimiter",
        "judgments.txt",
        swap("1 qid:1 # d2", "1,qid:1,#,d2"),
        r"row 7: .*delimited by",
    ),
    ("ltr", "encoding", "judgments.txt", broken("Blue"), r"judgments\.txt, row 7: not UTF-8.*Save"),
    (
        "ltr",
        "column",
        "judgments.txt",
        swap("qid:1 # d2", "# d2"),
        r"row 7: expected a line like.*Write",
    ),
    ("ltr", "header", "judgments.txt", swap("# qid:2", "# qid:1"), r"row 4, .*two lines.*Keep one"),
    ("ltr", "no header", "judgments.txt", swap("# qid:2", "# qid:3"), r"row 8, .*qid:2.*Add it"),
    ("ltr", "number", "judgments.txt", swap("3.5", "inf"), r"row 8, column 'score'.*'inf'.*Fix"),
    (
        "ltr",
        "twice",
        "judgments.txt",
        swap("d2", "d1"),
        r"row 7, .*'d1' is judged more.*--duplicates",
    ),
    ("ltr", "empty", "judgments.txt", nothing, r"judgments\.txt: expected at least one line"),
    ("quepid", "encoding", "ratings.csv", broken("oak"), r"ratings\.csv, row 4: not UTF-8.*Save"),
    ("quepid", "column", "ratings.csv", swap("rating", "x"), r"a column 'rating', found.*Quepid's"),
    ("quepid", "number", "ratings.csv", swap("d2,1", "d2,inf"), r"row 3, .*'score'.*'inf'.*Fix"),
    (
        "quepid",
        "id",
        "ratings.csv",
        swap("d2,1", ",1"),
        r"row 3, column 'doc_id': expected a value",
    ),
    (
        "quepid",
        "twice",
        "ratings.csv",
        swap("d2,1", "d1,1"),
        r"row 3, .*'d1' is judged more.*--duplicates",
    ),
    ("quepid", "unknown", "ratings.csv", swap("d2", "d9"), r"row 3, .*'d9' is not.*--unknown drop"),
    ("quepid", "delimiter", "ratings.csv", all_of(",", ";"), r"delimited by semicolons.*as \.csv"),
    ("quepid", "quote", "ratings.csv", swap('desk"', "desk"), r"row 4: a quote is opened.*twice"),
    ("quepid", "empty", "ratings.csv", nothing, r"ratings\.csv: the file is empty"),
]


def spoilt(folder: Path, name: str, file: str, spoil: Spoil) -> list[str]:
    """Write the miniature with one file spoilt, and return the words of its import."""
    layout, write, files = MINIATURES[name]
    src = write(folder)
    (folder / file).write_bytes(spoil((folder / file).read_bytes()))
    options = [w for o, f in files.items() for w in (f"--{o}", str(folder / f))]
    return ["import", layout, str(src), str(folder.parent / "out"), *options]


@pytest.mark.parametrize(
    ("name", "file", "spoil", "message"),
    [(name, file, spoil, message) for name, _, file, spoil, message in CASES],
    ids=[f"{name}: {what}" for name, what, *_ in CASES],
)
def test_the_place_and_the_remedy_are_named(
    tmp_path: Path, *, name: str, file: str, spoil: Spoil, message: str
) -> None:
    words = spoilt(tmp_path / "src", name, file, spoil)
    done = CliRunner().invoke(app, words)
    assert done.exception is not None
    assert getattr(done.exception, "exit_code", None) == 2, done.exception
    with pytest.raises(type(done.exception), match=f"(?s){message}"):
        raise done.exception
    assert [path.name for path in tmp_path.iterdir()] == ["src"]


@pytest.mark.parametrize("name", MINIATURES)
def test_there_are_six_of_every_layout(name: str) -> None:
    assert sum(case[0] == name for case in CASES) >= 6


@pytest.mark.parametrize("name", MINIATURES)
def test_byte_order_marks_and_windows_line_ends_do_no_harm(tmp_path: Path, name: str) -> None:
    layout, write, files = MINIATURES[name]
    found = []
    for variant in ("plain", "marked"):
        folder = tmp_path / variant
        src = write(folder)
        if variant == "marked":
            for path in folder.rglob("*.*"):
                path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
        options = {option: folder / file for option, file in files.items()}
        found.append(LAYOUTS[layout].read(src, **options)[0].fingerprint())
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["rank-eval", "opensearch", "ltr", "trec"])
def test_a_parquet_of_documents_that_is_cut_off(tmp_path: Path, name: str) -> None:
    _, write, _ = MINIATURES[name]
    src = write(tmp_path / "src")
    path = tmp_path / "src" / "documents.parquet"
    documents = pl.DataFrame({"doc_id": ["d1", "d2", "d3"], "title": ["red", "blue", "oak"]})
    documents.write_parquet(path)
    layout = LAYOUTS[MINIATURES[name][0]]
    assert layout.read(src, documents=path)[0].documents.height == 3
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Exception, match=r"documents\.parquet: cannot be read, it may be cut off"):
        layout.read(src, documents=path)


def test_deep_json_is_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    done = CliRunner().invoke(app, ["import", "elasticsearch", str(path), str(tmp_path / "out")])
    assert getattr(done.exception, "exit_code", None) == 2
    path.write_text(json.dumps({"requests": {}}))
    done = CliRunner().invoke(app, ["import", "elasticsearch", str(path), str(tmp_path / "out")])
    assert "expected a list" in str(done.exception)
