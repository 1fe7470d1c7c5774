"""Paths of pictures that lead elsewhere, and files that are no pictures, through every command."""

from __future__ import annotations

import runpy
import subprocess
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from confined import Confined
from hostile import LINKS, bounded, picture, pictures, tables, write_dataset, write_table
from misbehaving_server import Handler, serving
from rankfield.judging.rubric import RUBRIC_TEMPLATE

FAST = ("--requests-per-second", "1000")

EXPORTS = ("tables", "beir", "marqo-gs", "marqo-gs-parquet", "huggingface", "sentence-transformers")
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "ICO", "PPM", "TGA", "PCX", "PDF", "EPS")
_paths = st.lists(LINKS, min_size=1, max_size=2)


def _grade(handler: Handler, _: int) -> None:
    handler.json({"choices": [{"message": {"content": '{"grade": 1}'}}]})


@given(paths=_paths, ending=st.sampled_from(("csv", "jsonl", "parquet")))
@bounded(4)
def test_imports_take_no_other_files(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str], ending: str
) -> None:
    place = Confined(tmp_path_factory.mktemp("links"))
    pictures(place.theirs, place.private)
    named = ["images/own.png", *(path.replace("{private}", str(place.private)) for path in paths)]
    for table, columns in tables(paths=named).items():
        write_table(place.theirs / f"{table}.{ending}", columns)
    words = ("--document-field", "title:text", "--document-field", "pic:image")
    place.run("import", "tables", place.theirs, "data", *words, outputs=["data"])


@given(paths=_paths)
@bounded(4)
def test_no_command_reads_outside_a_data_set(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str]
) -> None:
    with serving({"/v1/chat/completions": _grade}) as server:
        place = Confined(tmp_path_factory.mktemp("links"), [server.server_address[1]])
        named = ["images/own.png", *(p.replace("{private}", str(place.private)) for p in paths)]
        fields = (("title", "text"), ("pic", "image"))
        theirs = write_dataset(place.theirs, tables(paths=named), fields=fields)
        pictures(theirs, place.private)
        place.run("check", theirs, "--html", "page.html", outputs=["page.html"])
        place.run("check", theirs, "--card", "card.md", outputs=["card.md"])
        place.run("check", theirs, "--fix", "fixed", outputs=["fixed"])
        place.run("split", theirs, "split", outputs=["split"])
        place.run("dedupe", theirs, "unique", "--near", "pic=4", outputs=["unique"])
        for layout in EXPORTS:
            place.run("export", layout, theirs, f"as-{layout}", outputs=[f"as-{layout}"])
        (place.here / "rubric.toml").write_text(RUBRIC_TEMPLATE)
        words = (
            "--endpoint",
            f"{server.url}/v1",
            "--model",
            "m",
            "--votes",
            "1",
            "--per-query",
            "2",
        )
        outputs = ["judged", "judged.partial"]
        place.run("judge", theirs, "judged", "--rubric", "rubric.toml", *words, outputs=outputs)
        results = ("--baseline", "random", "--out", "r.json")
        place.run(
            "evaluate",
            theirs,
            *results,
            outputs=["r.json", "r.rankings.parquet", "r.queries.parquet"],
        )
        if (place.here / "r.json").exists():
            place.run("report", "r.json", "--out", "r.html", outputs=["r.html"])


@given(
    form=st.sampled_from(FORMATS),
    cut=st.integers(0, 200),
    junk=st.binary(max_size=20),
    at=st.integers(0, 60),
)
@bounded(6)
def test_pictures_are_decoded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, form: str, cut: int, junk: bytes, at: int
) -> None:
    place = Confined(tmp_path_factory.mktemp("images"))
    whole = picture(form=form, size=24)
    bad = whole[:at] + junk + whole[at + len(junk) : len(whole) - cut]
    images = [picture(), bad, whole, junk]
    theirs = write_dataset(
        place.theirs / "data", tables(paths=images), fields=(("title", "text"), ("pic", "image"))
    )
    place.run("check", theirs, "--html", "page.html", outputs=["page.html"])
    place.run("dedupe", theirs, "unique", outputs=["unique"])
    for table, columns in tables(paths=images).items():
        write_table(place.theirs / "tables" / f"{table}.parquet", columns)
    place.run("import", "tables", place.theirs / "tables", "data", outputs=["data"])


def test_the_instruments_tell(tmp_path: Path) -> None:
    place = Confined(tmp_path)
    write_dataset(place.theirs / "data", tables())
    (place.theirs / "link.csv").symlink_to(place.private / "secret.csv")
    with place.watched() as seen:
        pl.read_csv(place.theirs / "link.csv")  # no audit hook sees native code
    assert seen == ["a private file was opened"]
    with pytest.raises(AssertionError, match="page"):
        place.run("check", place.theirs / "data", "--html", "page.html")
    (place.here / "theirs.py").write_text("x = 1")
    with place.watched() as seen:
        runpy.run_path(str(place.here / "theirs.py"))
        subprocess.run(["/bin/true"], check=True)
    assert any("code of" in line for line in seen)
    assert any("subprocess.Popen" in line for line in seen)
