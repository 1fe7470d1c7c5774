"""Bad data on the command line: a clear message, exit code 2, and nothing half-written."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from rankfield.cli.main import main
from rankfield.schema import RankingDataset

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line: exit code, output, errors."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rankfield", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return call


def listing(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b""
        for p in sorted(folder.rglob("*"))
    }


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Twelve queries, twelve documents with pictures, all pairs judged."""
    folder = tmp_path / "in" / "shop"
    (folder / "images").mkdir(parents=True)
    nouns = [
        "mug",
        "cup",
        "jug",
        "pot",
        "pan",
        "lid",
        "fork",
        "bowl",
        "tray",
        "vase",
        "lamp",
        "rug",
    ]
    lines = ["doc_id,title,image,style_id"]
    for i, noun in enumerate(nouns):
        Image.new("RGB", (8, 8), (20 * i, 0, 0)).save(folder / "images" / f"{i}.png")
        lines.append(f"d{i},a fine {noun},images/{i}.png,s{i // 2}")
    (folder / "documents.csv").write_text("\n".join(lines) + "\n")
    queries = [f"q{i},{noun}" for i, noun in enumerate(nouns)]
    (folder / "queries.csv").write_text("query_id,query\n" + "\n".join(queries) + "\n")
    pairs = [f"q{q},d{d},{(q + d) % 4}" for q in range(12) for d in range(12)]
    (folder / "judgments.csv").write_text("query_id,doc_id,score\n" + "\n".join(pairs) + "\n")
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def bomb(path: Path) -> None:
    """A PNG of 70 bytes that claims 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def test_import_check_split(shop: Path, tmp_path: Path, run: Run) -> None:
    code, out, err = run("import", "tables", shop, tmp_path / "a", "--relevant", 2)
    assert (code, err) == (0, "")
    assert "fields title (text, weight 0.5), image (image, weight 0.5)" in out
    assert "12 queries, 12 documents, 144 judgments" in out
    code, out, err = run("check", tmp_path / "a")
    assert (code, err) == (0, "")
    assert "no errors, 0 warning(s)" in out
    assert "█" in out
    code, out, err = run(
        "split",
        tmp_path / "a",
        tmp_path / "b",
        "--queries",
        0.5,
        "--group-documents-by",
        "style_id",
    )
    assert (code, err) == (0, "")
    assert "zero_shot" in out
    assert "identical image" in out
    assert RankingDataset.load(tmp_path / "b").is_split
    assert (tmp_path / "b" / "images" / "11.png").is_file()


@pytest.mark.parametrize(
    ("spoil", "messages"),
    [
        (shutil.rmtree, ["shop: there is no such folder"]),
        (
            lambda s: (s / "queries.csv").unlink(),
            ["expected one of queries", "found documents.csv"],
        ),
        (lambda s: (s / "judgments.csv").write_text(""), ["judgments.csv: the file is empty"]),
        (
            lambda s: (s / "documents.csv").write_text("doc_id,title\n"),
            ["documents.csv: expected at least one row"],
        ),
        (
            lambda s: edit(s / "judgments.csv", "query_id,doc_id,score", "query_id,doc_id,scor"),
            ["expected a column 'score'", "Did you mean 'scor'?", "--score"],
        ),
        (
            lambda s: edit(s / "judgments.csv", "q0,d3,3", "q0,d3,nan"),
            ["judgments.csv, row 5, column 'score': expected a finite number, found 'nan'"],
        ),
        (
            lambda s: edit(s / "judgments.csv", "q0,d3,3", "q0,d3,inf"),
            ["judgments.csv, row 5, column 'score': expected a finite number, found 'inf'"],
        ),
        (
            lambda s: edit(s / "judgments.csv", "q0,d3,3", "q0,d3,good"),
            ["judgments.csv, row 5, column 'score': expected a finite number, found 'good'"],
        ),
        (
            lambda s: edit(s / "judgments.csv", "q0,d3,3", "q0,d99,3"),
            ["judgments.csv, row 5, column 'doc_id': 'd99' is not among the documents"],
        ),
        (
            lambda s: edit(s / "queries.csv", "q1,", "q0,"),
            ["queries.csv, row 3, column 'query_id': the id 'q0' occurs more than once"],
        ),
        (
            lambda s: (s / "images" / "3.png").unlink(),
            ["documents.csv, row 5, column 'image': images/3.png: no such image"],
        ),
        (
            lambda s: (s / "images" / "3.png").write_text("this is text"),
            ["documents.csv, row 5, column 'image': images/3.png: not an image"],
        ),
        (
            lambda s: (s / "images" / "3.png").write_bytes(
                (s / "images" / "3.png").read_bytes()[:48]
            ),
            ["documents.csv, row 5, column 'image': images/3.png: ", "truncated"],
        ),
        (
            lambda s: bomb(s / "images" / "3.png"),
            ["documents.csv, row 5, column 'image': images/3.png: ", "3600000000 pixels"],
        ),
        (
            lambda s: edit(s / "documents.csv", "images/3.png", "../secret.png"),
            ["documents.csv, row 5, column 'image': ../secret.png: ", "leads out"],
        ),
    ],
)
def test_bad_tables(
    shop: Path, tmp_path: Path, run: Run, *, spoil: Callable[[Path], object], messages: list[str]
) -> None:
    spoil(shop)
    before = listing(tmp_path)
    code, out, err = run("import", "tables", shop, tmp_path / "out")
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for message in messages:
        assert message in err
    assert listing(tmp_path) == before


def test_unusual_pictures_are_converted_and_named(shop: Path, tmp_path: Path, run: Run) -> None:
    images = shop / "images"
    Image.new("CMYK", (8, 8)).save(images / "cmyk.jpg")
    Image.new("I;16", (8, 8), 40_000).save(images / "0.png")
    palette = Image.new("P", (8, 8))
    palette.putpalette([0] * 768)
    palette.save(images / "1.png", transparency=0)
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(images / "2.gif", save_all=True, append_images=frames[1:])
    edit(shop / "documents.csv", "images/2.png", "images/2.gif")
    edit(shop / "documents.csv", "images/3.png", "images/cmyk.jpg")
    assert run("import", "tables", shop, tmp_path / "a")[0] == 0
    code, out, _ = run("check", tmp_path / "a", "--out", tmp_path / "problems.csv")
    assert code == 0
    assert "warning documents, image: converted image, 4 ×" in out
    found = pl.read_csv(tmp_path / "problems.csv")
    assert found["row"].to_list() == [0, 1, 2, 3]
    for message, part in zip(
        found["message"], ["more than 8 bits", "transparent", "animated", "CMYK"], strict=True
    ):
        assert part in message
    code, _, err = run("check", tmp_path / "a", "--strict")
    assert code == 2
    assert "0 error(s) and 4 warning(s)" in err


def test_check_names_errors_and_fixes_them(shop: Path, tmp_path: Path, run: Run) -> None:
    run("import", "tables", shop, tmp_path / "a")
    judgments = tmp_path / "a" / "judgments.parquet"
    frame = pl.read_parquet(judgments)
    nan = pl.when(pl.int_range(pl.len()) == 7).then(float("nan")).otherwise(pl.col("score"))
    pl.concat([frame.with_columns(score=nan), frame.head(1)]).write_parquet(judgments)
    (tmp_path / "a" / "images" / "5.png").unlink()
    before = listing(tmp_path)
    code, out, err = run("check", tmp_path / "a")
    assert code == 2
    assert "row 7: expected a finite number, found nan" in out
    assert "row 144: the document 'd0' is judged more than once" in out
    assert "row 5: images/5.png: no such image" in out
    assert "3 error(s)" in err
    assert "--fix OUT" in err
    assert listing(tmp_path) == before
    code, out, _ = run("check", tmp_path / "a", "--fix", tmp_path / "b")
    assert code == 0
    assert "judgments, score: dropped 1 row(s), score not finite" in out
    assert "documents, image: cleared 1 bad image(s)" in out
    assert run("check", tmp_path / "b")[0] == 0
    assert RankingDataset.load(tmp_path / "b").judgments.height == 143
    for option in ("--fix", "--out"):
        code, _, err = run("check", tmp_path / "a", option, tmp_path / "b")
        assert (code, "already exists" in err) == (2, True)


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (["--queries", "1.5"], ["queries: expected a fraction above 0 and below 1, found 1.5"]),
        (["--documents", "0"], ["documents: expected a fraction"]),
        (["--dev", "nan"], ["dev: expected a fraction"]),
        (["--group-documents-by", "stile"], ["no column 'stile'", "style_id"]),
        (["--queries", "0.99"], ["cannot divide 1 unseen queries (1 group) in two", "Add more"]),
    ],
)
def test_bad_splits(
    shop: Path, tmp_path: Path, run: Run, options: list[str], messages: list[str]
) -> None:
    run("import", "tables", shop, tmp_path / "a")
    before = listing(tmp_path)
    code, _, err = run("split", tmp_path / "a", tmp_path / "b", *options)
    assert code == 2
    for message in messages:
        assert message in err
    assert listing(tmp_path) == before


def test_a_split_too_small_names_the_cell(shop: Path, tmp_path: Path, run: Run) -> None:
    (shop / "judgments.csv").write_text("query_id,doc_id,score\nq0,d0,1\nq1,d1,2\n")
    run("import", "tables", shop, tmp_path / "a")
    before = listing(tmp_path)
    code, _, err = run("split", tmp_path / "a", tmp_path / "b")
    assert code == 2
    assert "no judged query in " in err
    assert "zero_shot × " in err or "novel_query × " in err
    assert listing(tmp_path) == before


def test_what_exists_is_left_alone(shop: Path, tmp_path: Path, run: Run) -> None:
    run("import", "tables", shop, tmp_path / "a")
    before = listing(tmp_path)
    for words in (["import", "tables", shop], ["split", tmp_path / "a"]):
        code, _, err = run(*words, tmp_path / "a")
        assert code == 2
        assert "a: already exists" in err
    assert listing(tmp_path) == before
    for words in (["check", tmp_path / "no"], ["split", tmp_path / "no", tmp_path / "b"]):
        code, _, err = run(*words)
        assert code == 2
        assert "no: there is no such folder" in err


def test_a_full_disk(shop: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("import", "tables", shop, tmp_path / "a")
    before = listing(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    for words in (["import", "tables", shop], ["split", tmp_path / "a"]):
        code, _, err = run(
            *words, tmp_path / "b", *(["--queries", "0.5"] if len(words) == 2 else [])
        )
        assert code == 2
        assert "b: the disk is full; nothing was written" in err
        assert listing(tmp_path) == before
    code, _, err = run("check", tmp_path / "a", "--fix", tmp_path / "b")
    assert code == 2
    assert listing(tmp_path) == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs tmpfs")
def test_a_disk_that_is_really_full(shop: Path, tmp_path: Path, run: Run) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = shutil.which("mount")
    umount = shutil.which("umount")
    if mount is None or umount is None or os.geteuid() != 0:
        pytest.skip("only root may mount")
    options = ["-t", "tmpfs", "-o", "size=16k", "tmpfs", str(small)]
    if subprocess.run([mount, *options], check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        code, _, err = run("import", "tables", shop, small / "out")
        assert code == 2
        assert "out: the disk is full; nothing was written" in err
        assert list(small.iterdir()) == []
    finally:
        subprocess.run([umount, str(small)], check=True)
