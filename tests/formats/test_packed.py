"""Text files compressed with gzip are read in a stream, and what is wrong is named by row."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from format_miniatures import BEIR, TABLES, TREC_XML, write_files
from rankfield.errors import DataError
from rankfield.formats import guess_layout
from rankfield.formats.registry import LAYOUTS
from rankfield.io.json_lines import _blocks, text_frame_of_json
from rankfield.io.tables import read_table, read_text_records
from rankfield.io.text import table_suffix


def packed(folder: Path, files: dict[str, str]) -> Path:
    """Write the files, each compressed with gzip under its name and .gz."""
    write_files(folder, files)
    for path in (folder / name for name in files):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    return folder


@pytest.mark.parametrize(
    ("layout", "files"), [("tables", TABLES), ("beir", BEIR), ("trec", TREC_XML)]
)
def test_packed_files_are_the_same(tmp_path: Path, layout: str, files: dict[str, str]) -> None:
    src = packed(tmp_path / "packed", files)
    assert guess_layout(src)[0].name == layout
    plain = write_files(tmp_path / "plain", files)
    data, again = (LAYOUTS[layout].read(each, name="mini")[0] for each in (plain, src))
    assert data.fingerprint() == again.fingerprint()


@pytest.mark.parametrize("name", ["documents.csv", "documents.jsonl"])
def test_what_is_wrong_is_named_by_row(tmp_path: Path, name: str) -> None:
    rows = {
        "documents.csv": ["doc_id,title", *(f"{i},mug" for i in range(3000))],
        "documents.jsonl": [json.dumps({"doc_id": str(i), "title": "mug"}) for i in range(3000)],
    }[name]
    whole = "\n".join(rows).encode()
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(whole))
    assert read_table(path).frame.height == 3000
    path.write_bytes(gzip.compress(whole)[:-30])
    with pytest.raises(DataError, match=r"\.gz: cannot be read, it may be cut off .*Fetch"):
        read_table(path)
    damaged = bytearray(gzip.compress(whole))
    damaged[len(damaged) // 2] ^= 255
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"\.gz"):
        read_table(path)
    path.write_bytes(gzip.compress(whole.replace(b"mug", b"m\xfcg", 1)))
    with pytest.raises(DataError, match=r"\.gz, row [12]: not UTF-8: byte 0xfc.*Save"):
        read_table(path)
    path.write_bytes(gzip.compress(whole.replace(b"mug", b'm"g', 1) + b'\n"'))
    with pytest.raises(DataError, match=r"\.gz, row"):
        read_table(path)


def test_only_texts_are_packed() -> None:
    ends = {"a.CSV": ".csv", "a.b.tsv.gz": ".tsv", "a.gz": "", "a.parquet.gz": ".gz", "a": ""}
    assert {name: table_suffix(Path(name)) for name in ends} == ends


def test_json_lines_over_several_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankfield.io.json_lines._BLOCK", 64)
    rows = [
        {"_id": f"d{i}", **({"title": None} if i < 5 else {"text": "x" * (i % 90)})}
        for i in range(40)
    ]
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\n\n".join(map(json.dumps, rows)).encode())
    frame = text_frame_of_json(path, ["_id", "title", "text"])
    exact = read_table(path)
    assert frame is not None
    assert frame.select(exact.columns).equals(exact.frame)
    table = read_text_records(path, ["_id", "title", "text"])
    assert [table.where(row) for row in range(40)] == [
        f"{path}, row {line}" for line in range(1, 80, 2)
    ]
    with path.open("rb") as file:
        assert b"".join(_blocks(path, file)) == path.read_bytes()[3:]
    path.write_bytes(path.read_bytes() + b'\n{"_id": 1}')
    assert text_frame_of_json(path, ["_id", "title", "text"]) is None
    assert read_text_records(path, ["_id"]).frame["_id"][-1] == "1"
