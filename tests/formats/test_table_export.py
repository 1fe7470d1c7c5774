"""Plain tables out and in again: texts of every kind, images, the three real sets."""

from __future__ import annotations

import shlex
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from rankfield.cli.main import app
from rankfield.curation.splits import split
from rankfield.errors import DataError, ImageError, OutputError
from rankfield.formats import read_tables, read_trec, write_tables, write_trec
from rankfield.formats.registry import LAYOUTS
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.validate import audit

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ENDINGS = ("csv", "tsv", "jsonl", "parquet")


def dataset(**changes: Any) -> RankingDataset:
    data = RankingDataset(
        name="mugs",
        query_fields=(Field("query", "text", 2.0),),
        document_fields=(Field("title", "text", 0.3), Field("details", "text", 0.7)),
        score_scale=ScoreScale(0, 4, 2),
        queries=pl.DataFrame({"query_id": ["007", "1e3"], "query": ["red mug", 'a "big", mug']}),
        documents=pl.DataFrame(
            {
                "doc_id": ["d1", "d 2"],
                "title": ["mug\nof clay\r\nand more", "blue|mug; tab\there"],
                "details": [None, "café \u2028 ☕"],
                "price": [2.5, 3.0],
            }
        ),
        judgments=pl.DataFrame(
            {"query_id": ["007", "1e3"], "doc_id": ["d1", "d 2"], "score": [0.1 + 0.2, 1e-7]}
        ),
    )
    return replace(data, **changes)


def again(out: Path, notes: list[str], target: Path) -> RankingDataset:
    """Run the command that the export names, and return its data set."""
    (note,) = (note for note in notes if note.startswith("to read it again: "))
    words = shlex.split(note.removeprefix("to read it again: "))
    assert words[:5] == ["rankfield", "import", "tables", str(out), f"{out}-data"]
    done = CliRunner().invoke(app, ["import", "tables", str(out), str(target), *words[5:]])
    assert done.exit_code == 0, (done.output, done.exception)
    return RankingDataset.load(target)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_command_that_is_named_gives_the_same_data_set(tmp_path: Path, ending: Any) -> None:
    data = dataset()
    notes = write_tables(data, tmp_path / "out", ending=ending)
    back = again(tmp_path / "out", notes, tmp_path / "back")
    assert back.fingerprint() == data.fingerprint()
    assert (back.name, back.score_scale) == (data.name, data.score_scale)
    with pytest.raises(OutputError, match="already exists"):
        write_tables(data, tmp_path / "out", ending=ending)


@pytest.mark.parametrize("gain_floor", [None, 0.0])
def test_what_negative_scores_are_worth_comes_back(
    tmp_path: Path, gain_floor: float | None
) -> None:
    rows = {"query_id": ["007", "1e3"], "doc_id": ["d1", "d 2"], "score": [-1.0, 3.0]}
    scale = ScoreScale(-1, 4, 2, gain_floor=gain_floor)
    data = dataset(judgments=pl.DataFrame(rows), score_scale=scale)
    notes = write_tables(data, tmp_path / "out")
    assert again(tmp_path / "out", notes, tmp_path / "back").score_scale == scale


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(st.lists(texts, min_size=1, max_size=5), st.sampled_from(ENDINGS))
def test_every_text_comes_back(tmp_path_factory: Any, values: list[str], ending: Any) -> None:
    folder = tmp_path_factory.mktemp("texts")
    ids = [f"d{i}" for i in range(len(values))]
    documents = pl.DataFrame({"doc_id": ids, "title": [f"x{v}" for v in values], "details": values})
    judged = pl.DataFrame({"query_id": ["007"], "doc_id": ["d0"], "score": [1.0]})
    data = dataset(documents=documents, judgments=judged)
    write_tables(data, folder / "out", ending=ending)
    fields = ["title:text", "details:text"]
    back, _ = read_tables(folder / "out", document_fields=fields)
    assert back.documents["title"].to_list() == documents["title"].to_list()
    # "" and null both mean that the field is absent
    details = back.documents["details"].fill_null("").to_list()
    assert details == values


def images(folder: Path) -> RankingDataset:
    for name, colour in (("a", "red"), ("b", "tan"), ("sub/c", "blue")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 6), colour).save(folder / f"{name}.png")
    documents = pl.DataFrame(
        {
            "doc_id": ["d1", "d 2"],
            "title": ["a mug", None],
            "photo": ["a.png", None],
            "photos": [["a.png", "sub/c.png"], ["b.png"]],
        }
    )
    fields = (Field("title", "text"), Field("photo", "image"), Field("photos", "image", 2.0))
    return dataset(documents=documents, document_fields=fields, root=folder)


@pytest.mark.parametrize("ending", ENDINGS)
def test_pictures_and_lists_of_them(tmp_path: Path, ending: Any) -> None:
    data = images(tmp_path / "src")
    notes = write_tables(data, tmp_path / "out", ending=ending)
    back = again(tmp_path / "out", notes, tmp_path / "back")
    assert back.fingerprint() == data.fingerprint()
    assert (tmp_path / "back" / "sub" / "c.png").read_bytes() == (
        tmp_path / "src" / "sub" / "c.png"
    ).read_bytes()
    assert not audit(back, images=True) or all(p.severity == "warning" for p in audit(back))
    (tmp_path / "src" / "b.png").unlink()
    with pytest.raises(ImageError, match="no such image"):
        write_tables(data, tmp_path / "other", ending=ending)
    assert not (tmp_path / "other").exists()


def test_what_text_files_cannot_hold(tmp_path: Path) -> None:
    data = images(tmp_path / "src")
    barred = data.documents.with_columns(photos=pl.Series([["a|b.png"], ["b.png"]]))
    with pytest.raises(DataError, match=r"'photos': .*row 0 .*'\|'.*ending=jsonl"):
        write_tables(data.with_tables(documents=barred), tmp_path / "out")
    buffer = BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    stored = data.documents.with_columns(photo=pl.Series([buffer.getvalue()] * 2))
    bytes_data = data.with_tables(documents=stored)
    for ending in ("csv", "jsonl"):
        with pytest.raises(DataError, match=r"'photo': images as bytes.*ending=parquet"):
            write_tables(bytes_data, tmp_path / "out", ending=ending)
    notes = write_tables(bytes_data, tmp_path / "out", ending="parquet")
    assert again(tmp_path / "out", notes, tmp_path / "back").fingerprint() == (
        bytes_data.fingerprint()
    )
    nested = data.documents.with_columns(tags=pl.Series([{"a": 1}, {"a": 2}]))
    with pytest.raises(DataError, match=r"'tags': a value of type Struct.*ending=jsonl"):
        write_tables(data.with_tables(documents=nested), tmp_path / "x")


@pytest.mark.data
@pytest.mark.parametrize("name", ["luma", "grocery", "icecat"])
def test_real_sets_come_back(tmp_path: Path, name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip("the real data sets are not here")
    data, _ = read_tables(DATA / name)
    for ending in ("csv", "jsonl"):
        notes = write_tables(data, tmp_path / ending, ending=ending)
        assert any("to read it again" in note for note in notes)
        back, _ = read_tables(
            tmp_path / ending,
            name=data.name,
            query_fields=data.query_fields,
            document_fields=data.document_fields,
        )
        assert back.fingerprint() == data.fingerprint()
        assert back.score_scale == data.score_scale
    assert not [p for p in audit(back, images=False) if p.severity == "error"]
    # as a TREC collection: the texts and the float scores
    write_trec(data, tmp_path / "trec")
    texts, _ = read_trec(tmp_path / "trec", document_fields=["title"])
    keys = ["query_id", "doc_id", "score"]
    assert texts.judgments.select(keys).equals(data.judgments.select(keys))
    assert texts.queries.equals(data.queries.select(texts.queries.columns))
    assert texts.documents["title"].equals(data.documents["title"])


@pytest.mark.data
@pytest.mark.parametrize(
    ("layout", "out", "options"),
    [
        ("beir", "beir", {}),
        ("wands", "wands", {"grades": {"Good": 3, "Fair": 2, "Poor": 1, "Bad": 0}}),
        ("elasticsearch", "list.json", {"kind": "rank-eval"}),
        ("elasticsearch", "list.json", {"kind": "opensearch"}),
        ("elasticsearch", "list.txt", {"kind": "ltr"}),
    ],
)
def test_a_real_set_in_every_layout(
    tmp_path: Path, layout: str, out: str, options: dict[str, Any]
) -> None:
    """icecat: ids of digits alone, 766 titles that occur twice, queries like "aa"."""
    if not (DATA / "icecat").is_dir():
        pytest.skip("the real data sets are not here")
    data, _ = read_tables(DATA / "icecat")
    LAYOUTS[layout].write(data, tmp_path / out, **options)
    reading: dict[str, Any] = {k: v for k, v in options.items() if k == "grades"}
    if layout == "elasticsearch":
        write_tables(data, tmp_path / "tables")
        reading["documents"] = tmp_path / "tables" / "documents.csv"
    back, _ = LAYOUTS[layout].read(tmp_path / out, **reading)
    assert not [p for p in audit(back) if p.severity == "error"]
    assert back.documents["doc_id"].equals(data.documents["doc_id"])

    def by_text(of: RankingDataset) -> pl.DataFrame:
        joined = of.judgments.join(of.queries.select("query_id", "query"), on="query_id")
        return joined.select("query", "doc_id", "score").sort("query", "doc_id")

    assert by_text(back).equals(by_text(data))


@pytest.mark.data
def test_a_split_set_goes_out_with_its_columns_noted(tmp_path: Path) -> None:
    if not (DATA / "luma").is_dir():
        pytest.skip("the real data sets are not here")
    data = split(read_tables(DATA / "luma")[0], group_documents_by="style_id")
    notes = write_tables(data, tmp_path / "out")
    assert any(note.startswith("columns seen, subset, split: ") for note in notes)
    back, _ = read_tables(tmp_path / "out")
    assert back.judgments["source_split"].to_list() == data.judgments["split"].to_list()
