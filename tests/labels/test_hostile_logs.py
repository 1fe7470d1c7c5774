"""Names, texts, numbers and nesting that nobody means well: refused with file and row, or inert."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import polars as pl
import pytest

from rankfield.errors import DataError
from rankfield.labels import make_labels

GOOD = b'{"query_id":"q","doc_id":"d","clicks":1,"impressions":5}\n'
LATE = GOOD * 1500
"""More rows than are looked at for names."""

DEEP = b"[" * 100_000 + b"]" * 100_000

HOSTILE: dict[str, tuple[str, bytes, list[str]]] = {
    "half a surrogate": (
        "e.jsonl", GOOD + b'{"query_id":"\\ud83d","doc_id":"d","clicks":1}\n',
        ["row 2", "half of a surrogate pair"],
    ),
    "half a surrogate, late": (
        "e.jsonl", LATE + b'{"query_id":"\\ude00","doc_id":"d","clicks":1}\n',
        ["row 1501", "half of a surrogate pair"],
    ),
    "half a surrogate as a name": (
        "e.jsonl", GOOD + b'{"\\ud83d":"q","doc_id":"d"}\n', ["row 2", "expected a JSON object"],
    ),
    "half a surrogate as a late name": (
        "e.jsonl", LATE + b'{"\\ud83d":"q","doc_id":"d"}\n', ["row 1501", "half of a surrogate"],
    ),
    "deep nesting": (
        "e.jsonl", GOOD + b'{"query_id":"q","doc_id":' + DEEP + b'}\n', ["row 2"],
    ),
    "a number of many digits": (
        "e.jsonl", LATE + b'{"query_id":"q","doc_id":"d","clicks":' + b"9" * 9000 + b"}\n",
        ["row 1501", "'clicks'", "999…"],
    ),
    "a number that no float holds": (
        "e.jsonl", LATE + b'{"query_id":"q","doc_id":"d","clicks":1e999}\n', ["row 1501", "1e999"],
    ),
    "no number": (
        "e.jsonl", LATE + b'{"query_id":"q","doc_id":"d","clicks":NaN}\n', ["row 1501", "NaN"],
    ),
    "a list for an object": ("e.jsonl", LATE + b"[1]\n", ["row 1501", "expected an object"]),
    "a name for each row": (
        "e.jsonl", b"".join(b'{"query_id":"q","doc_id":"d","clicks":1,"k%d":1}\n' % i
                            for i in range(11_000)), ["more than 10,000 names"],
    ),
    "many columns": (
        "e.csv", b"query_id,doc_id,clicks," + b",".join(b"c%d" % i for i in range(20_000)),
        ["expected 10,000 columns at most"],
    ),
    "a line without an end": ("e.jsonl", GOOD + b'{"a":"' + b"x" * (17 << 20), ["row 2", "a line"]),
    "a header that never closes": (
        "e.csv", b'query_id,doc_id,"' + b"c\n" * 200_000, ["row 1", "close every quote"],
    ),
    "a long value before a wrong one": (
        "e.csv", b"query_id,doc_id,clicks,z\nq,d,1," + b"z" * 300_000 + b"\nq,d,-1,a\n",
        ["row 3", "'clicks'", "'-1'"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_logs(case: str, tmp_path: Path) -> None:
    name, content, messages = HOSTILE[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as raised:
        make_labels(tmp_path / name, tmp_path / "out")
    for message in (name, *messages):
        assert message in str(raised.value)
    assert len(str(raised.value)) < 1000
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_path_is_no_pattern(tmp_path: Path) -> None:
    """Only the named file is read, wherever the signs of a pattern are in its path."""
    for folder in ("a[12]", "a1", "x*", "xy", "z?"):
        (tmp_path / folder).mkdir()
        for name in ("e[12].csv", "e1.csv", "e2.csv", "e?.csv", "e*.csv", "e{1}.csv"):
            row = {"query_id": [f"{folder}/{name}"], "doc_id": ["d"], "clicks": [1]}
            pl.DataFrame(row).write_csv(tmp_path / folder / name)
            pl.DataFrame(row).write_ndjson(tmp_path / folder / name.replace("csv", "jsonl"))
            pl.DataFrame(row).write_parquet(tmp_path / folder / name.replace("csv", "parquet"))
    number = 0
    for folder in ("a[12]", "x*", "z?"):
        for name in ("e[12].csv", "e?.jsonl", "e*.parquet", "e{1}.csv"):
            number += 1
            out = tmp_path / folder / f"out[{number}]*"
            make_labels(tmp_path / folder / name, out)
            found = pl.read_parquet(out / "judgments.parquet", glob=False)["query_id"].to_list()
            assert found == [f"{folder}/{Path(name).with_suffix('.csv').name}"]


def test_a_folder_of_parts_is_no_pattern(tmp_path: Path) -> None:
    for folder in ("p[12]", "p1"):
        (tmp_path / folder).mkdir()
        for part in ("a*.csv", "ab.csv"):
            row = {"query_id": [folder], "doc_id": [part], "clicks": [1]}
            pl.DataFrame(row).write_csv(tmp_path / folder / part)
    make_labels(tmp_path / "p[12]", tmp_path / "out")
    found = pl.read_parquet(tmp_path / "out" / "judgments.parquet")
    assert found.select("query_id", "doc_id", "impressions").rows() == [
        ("p[12]", "a*.csv", 1), ("p[12]", "ab.csv", 1),
    ]  # fmt: skip


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "e.csv")
    with pytest.raises(DataError, match="not a regular file"):
        make_labels(tmp_path / "e.csv", tmp_path / "out")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    row = {"query_id": ["q"], "doc_id": ["d"], "clicks": [1]}
    (tmp_path / "logs").mkdir()
    pl.DataFrame(row).write_csv(tmp_path / "logs" / "a.csv")
    (tmp_path / "logs" / "b.csv").symlink_to("a.csv")
    assert make_labels(tmp_path / "logs", tmp_path / "within").record["log"]["rows"] == 2
    pl.DataFrame(row).write_csv(tmp_path / "secret.csv")
    (tmp_path / "logs" / "c.csv").symlink_to("../secret.csv")
    with pytest.raises(DataError, match=r"c\.csv: a link that leads out of the folder"):
        make_labels(tmp_path / "logs", tmp_path / "out")
    named = tmp_path / "logs" / "c.csv"  # what the user names is the user's
    assert make_labels(named, tmp_path / "named").record["log"]["rows"] == 1


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_gzip_file_may_not_hold_far_more_than_its_size(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKFIELD_EXPAND_GIB", "0.001")
    header, row = "query,doc_id,clicks,impressions\n", "a,b,1,2\n"
    if kind == "ndjson":
        header, row = "", '{"query": "a", "doc_id": "b", "clicks": 1, "impressions": 2}\n'
    log = tmp_path / f"log.{kind}.gz"
    log.write_bytes(gzip.compress((header + row * (3_000_000 // len(row))).encode()))
    with pytest.raises(DataError, match=r"log\..*hold more than .*RANKFIELD_EXPAND_GIB"):
        make_labels(log, tmp_path / "out")
    monkeypatch.setenv("RANKFIELD_EXPAND_GIB", "1")
    assert make_labels(log, tmp_path / "out").record["pairs"] == 1


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(b"query,doc_id,event,position\n" + b"a,b,click,1\n" * 50)
    log = tmp_path / "log.csv.gz"
    for damaged in (whole[:20], whole[:12] + b"\xff" * 20 + whole[32:]):
        log.write_bytes(damaged)
        with pytest.raises(DataError, match=r"log\.csv\.gz.*cannot be read"):
            make_labels(log, tmp_path / "out")


def test_a_column_name_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    pl.DataFrame({"query_id": ["q"], "doc_id": ["d"], "clicked": [1]}).write_parquet(path)
    path.write_bytes(path.read_bytes().replace(b"clicked", b"\xfflicked"))
    with pytest.raises(DataError, match=r"e\.parquet: not a whole Parquet file .*utf-8"):
        make_labels(path, tmp_path / "out")
