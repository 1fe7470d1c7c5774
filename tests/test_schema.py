"""The data set: what it accepts, its views, and the folder it writes and reads."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import pytest
from PIL import Image

from rankfield.curation.splits import split
from rankfield.errors import DataError, ImageError, InputError, OutputError, SplitError
from rankfield.schema import SPLITS, Field, Modality, Provenance, RankingDataset, ScoreScale


def make(root: Path | None = None, image: str = "images/a.png") -> RankingDataset:
    count = 20
    if root is not None and not (root / "images").exists():
        (root / "images").mkdir(parents=True)
        Image.new("RGB", (4, 4), "red").save(root / "images" / "a.png")
    return RankingDataset(
        name="made",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text", 0.1), Field("photo", "image", 0.9)),
        score_scale=ScoreScale(0, 3, 2, "grades"),
        queries=pl.DataFrame(
            {
                "query_id": [f"q{i}" for i in range(count)],
                "query": [f"query {i}" for i in range(count)],
            }
        ),
        documents=pl.DataFrame(
            {
                "doc_id": [f"d{i}" for i in range(count)],
                "title": [f"title {i}" for i in range(count)],
                "photo": [image, None, ""] + [image] * (count - 3),
                "price": [float(i) for i in range(count)],
            }
        ),
        judgments=pl.DataFrame(
            {
                "query_id": [f"q{q}" for q in range(count) for _ in range(count)],
                "doc_id": [f"d{d}" for _ in range(count) for d in range(count)],
                "score": [(q + d) % 4 * 1.0 for q in range(count) for d in range(count)],
            }
        ),
        provenance=Provenance("here", "CC0-1.0", "a test", 3, ("one", "two")),
        root=root,
    )


def test_round_trip(tmp_path: Path) -> None:
    data = make(tmp_path / "src")
    saved = data.save(tmp_path / "out")
    loaded = RankingDataset.load(tmp_path / "out")
    for one in (saved, loaded):
        assert one.fingerprint() == data.fingerprint()
        assert one.query_fields == data.query_fields
        assert one.document_fields == data.document_fields
        assert one.score_scale == data.score_scale
        assert one.provenance == data.provenance
        for table in ("queries", "documents", "judgments"):
            assert getattr(one, table).equals(getattr(data, table))
    assert loaded.image_source("images/a.png") == tmp_path / "out" / "images" / "a.png"
    assert (tmp_path / "out" / "images" / "a.png").is_file()
    # any Parquet reader opens it, and a copy of a copy is the same
    assert pl.read_parquet(tmp_path / "out" / "judgments.parquet").height == 400
    assert loaded.save(tmp_path / "again").fingerprint() == data.fingerprint()


def test_where_gains_begin_is_kept_and_stated_once(tmp_path: Path) -> None:
    zero = ScoreScale(-2, 3, 1, gain_floor=0)
    assert (zero.floor, zero.span, zero.judges_wrong) == (0, 3, True)
    assert str(zero) == "-2 to 3, scores up to 0 gain nothing, relevant from 1"
    stated = ScoreScale(-2, 3, 1, gain_floor=-2)
    assert stated == ScoreScale(-2, 3, 1)
    assert (stated.floor, stated.span, stated.judges_wrong) == (-2, 5, False)
    assert str(ScoreScale(1, 5, 3, gain_floor=0)) == "1 to 5, relevant from 3"
    for scale in (zero, stated):
        data = replace(make(tmp_path / "src"), score_scale=scale)
        saved = data.save(tmp_path / f"{scale.floor:g}")
        assert RankingDataset.load(tmp_path / f"{scale.floor:g}").score_scale == scale
        assert saved.score_scale == scale
        written = (tmp_path / f"{scale.floor:g}" / "dataset.toml").read_text("utf-8")
        assert ("gain_floor" in written) == (scale is zero)
    scores = np.array([-2.0, 0.0, 1.5, 3.0])
    np.testing.assert_allclose(zero.place(scores), [0, 0, 0.5, 1])
    np.testing.assert_allclose(stated.place(scores), [0, 0.4, 0.7, 1])
    assert ScoreScale(0, 0, 1).place(np.zeros(1)).tolist() == [0]
    assert ScoreScale(1, 5, 3).place(np.array([1.0, 2.0, 5.0])).tolist() == [0, 0.25, 1]
    with pytest.raises(InputError, match="finite"):
        ScoreScale(-2, 3, 1, gain_floor=float("nan"))


def test_fingerprints_tell_contents_apart() -> None:
    data = make()
    other = data.with_tables(judgments=data.judgments.with_columns(score=pl.col("score") + 1))
    assert data.fingerprint() == make().fingerprint()
    assert data.fingerprint() != other.fingerprint()


def test_saving_refuses_what_exists_and_what_is_missing(tmp_path: Path) -> None:
    data = make(tmp_path / "src")
    data.save(tmp_path / "out")
    with pytest.raises(OutputError, match="already exists"):
        data.save(tmp_path / "out")
    data.save(tmp_path / "out", overwrite=True)
    for image, error, message in (
        ("images/none.png", ImageError, "no such image"),
        ("../src/images/a.png", DataError, "leads out"),
        ("images/../../src/images/a.png", DataError, "leads out"),
        (str(tmp_path / "src" / "images" / "a.png"), DataError, "leads out"),
    ):
        with pytest.raises(error, match=message):
            make(tmp_path / "src", image).save(tmp_path / "bad")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "src"]


def test_views() -> None:
    data = make()
    assert data.view("all").documents.height == 20
    assert data.training_judgments().height == 400
    with pytest.raises(SplitError, match="has no splits"):
        data.view("zero_shot")
    with pytest.raises(SplitError, match="unknown split 'zero-shot'"):
        data.view("zero-shot")
    with pytest.raises(SplitError, match="no dev and test"):
        data.view("all", "dev")
    done = split(data)
    assert done.training_judgments()["split"].unique().to_list() == ["in_domain"]
    for name in SPLITS:
        for subset in ("dev", "test"):
            view = done.view(name, subset)
            assert set(view.judgments["split"]) == {name}
            assert set(view.judgments["query_id"]) == set(view.queries["query_id"])
            assert set(view.judgments["doc_id"]) <= set(view.documents["doc_id"])
            assert view.documents.height == 10
    with pytest.raises(SplitError, match="unknown subset 'train'"):
        done.view("all", "train")
    with pytest.raises(SplitError, match="no judged query"):
        done.with_tables(judgments=done.judgments.clear()).view("zero_shot")


def test_columns_and_types_are_checked() -> None:
    data = make()
    with pytest.raises(DataError, match=r"documents: column 'title' is missing; found doc_id"):
        replace(data, documents=data.documents.drop("title"))
    with pytest.raises(DataError, match=r"judgments, column 'score': expected a float"):
        replace(data, judgments=data.judgments.with_columns(pl.col("score").cast(pl.String)))
    with pytest.raises(DataError, match=r"queries, column 'query_id': expected text"):
        replace(data, queries=data.queries.with_columns(query_id=pl.lit(1)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Field("a", cast(Modality, "sound")),
            "expected the modality 'text' or 'image', found 'sound'",
        ),
        (lambda: Field("a", "text", 0), "weight above 0"),
        (lambda: Field("a", "text", float("nan")), "weight above 0"),
        (lambda: Field("a", "text", float("inf")), "weight above 0"),
        (lambda: ScoreScale(3, 0, 1), "minimum ≤ maximum"),
        (lambda: ScoreScale(float("nan"), 0, 1), "minimum ≤ maximum"),
        (lambda: ScoreScale(0, 1, float("nan")), "finite numbers"),
        (lambda: ScoreScale(0, float("inf"), 1), "finite numbers"),
    ],
)
def test_fields_and_scales(build: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("dataset.toml", b"not = = toml", "not valid TOML"),
        ("dataset.toml", b"\xff", "not valid TOML"),
        ("dataset.toml", b"format = 99", "expected format 1, found 99"),
        ("dataset.toml", b"format = 1", "malformed header"),
        ("dataset.toml", None, "not a ranking data set"),
        ("judgments.parquet", None, "no such table"),
        ("judgments.parquet", b"PAR1 cut off", "not a readable Parquet file"),
    ],
)
def test_broken_folders(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    make(tmp_path / "src").save(tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    if content is not None:
        (tmp_path / "out" / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        RankingDataset.load(tmp_path / "out")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        RankingDataset.load(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="expected a folder, found a file"):
        RankingDataset.load(tmp_path / "file")


def test_a_header_with_a_wrong_field_is_named(tmp_path: Path) -> None:
    make(tmp_path / "src").save(tmp_path / "out")
    header = tmp_path / "out" / "dataset.toml"
    text = header.read_text("utf-8")
    header.write_text(text.replace('"text"', '"sound"'), "utf-8")
    with pytest.raises(DataError, match=r"dataset.toml, field 'query': expected the modality"):
        RankingDataset.load(tmp_path / "out")
    header.write_text(text.replace("name = ", "title = ", 1), "utf-8")
    with pytest.raises(DataError, match=r"dataset.toml: malformed header \('name' is missing"):
        RankingDataset.load(tmp_path / "out")


def with_lists(root: Path, photos: list[list[str | None] | None]) -> RankingDataset:
    data = make(root)
    rest = [["images/a.png"]] * (data.documents.height - len(photos))
    column = pl.Series("photo", [*photos, *rest], dtype=pl.List(pl.String))
    return data.with_tables(documents=data.documents.with_columns(column))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r'name = "\w+"', "name = 1979-05-27", "name: expected a text, found '1979-05-27'"),
        (r"weight = [\d.]+", "weight = true", "weight: expected a number, found 'True'"),
        (
            r"maximum = .*",
            f"maximum = {'9' * 400}",
            "score, maximum: expected a number, found '999",
        ),
        ("maximum = .*", "maximum = 07:32:00", "score, maximum: expected a number"),
    ],
)
def test_a_header_with_a_value_of_another_kind(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    make(tmp_path / "src").save(tmp_path / "data")
    path = tmp_path / "data" / "dataset.toml"
    text, count = re.subn(old, new, path.read_text("utf-8"), count=1)
    assert count == 1
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=re.escape(message)):
        RankingDataset.load(tmp_path / "data")


def test_lists_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "src" / "images").mkdir(parents=True)
    for name in ("a", "b", "c"):
        Image.new("RGB", (4, 4), "red").save(tmp_path / "src" / "images" / f"{name}.png")
    photos: list[list[str | None] | None] = [["images/b.png", None, "images/a.png", ""], [], None]
    data = with_lists(tmp_path / "src", photos)
    saved = data.save(tmp_path / "out")
    assert saved.documents.equals(data.documents)
    assert saved.documents["photo"].dtype == pl.List(pl.String)
    assert saved.fingerprint() == data.fingerprint()
    found = sorted(p.name for p in (tmp_path / "out" / "images").iterdir())
    assert found == ["a.png", "b.png"]
    for other in ([["images/a.png", None, "images/b.png", ""], [], None], [photos[0], None, []]):
        assert with_lists(tmp_path / "src", other).fingerprint() != data.fingerprint()
    with pytest.raises(ImageError, match="no such image"):
        with_lists(tmp_path / "src", [["images/a.png", "images/no.png"]]).save(tmp_path / "bad")
    encoded = pl.col("photo").cast(pl.List(pl.Binary))
    by_bytes = data.with_tables(documents=data.documents.with_columns(encoded))
    assert by_bytes.save(tmp_path / "bytes").fingerprint() == by_bytes.fingerprint()
    assert not (tmp_path / "bytes" / "images").exists()
    with pytest.raises(DataError, match=r"'photo': expected a path, bytes, or a list of them"):
        data.with_tables(documents=data.documents.with_columns(photo=pl.lit([1])))
    with pytest.raises(DataError, match=r"column 'title': expected text, found List"):
        data.with_tables(documents=data.documents.with_columns(title=pl.col("photo")))


def test_numbers_of_the_header_that_no_column_holds(tmp_path: Path) -> None:
    data = make(tmp_path).save(tmp_path / "data")
    header = tmp_path / "data" / "dataset.toml"
    text = header.read_text()
    for number, problem in (
        ("1" * 40, None),
        ("1" * 400, "toml, score, relevant: expected a number, found '1{40}'"),
    ):
        old = f"relevant = {data.score_scale.relevant}"
        header.write_text(text.replace(old, f"relevant = {number}"))
        assert number in header.read_text()
        if problem is None:
            scale = RankingDataset.load(tmp_path / "data").score_scale
            assert scale.relevant == pytest.approx(1.1e39, rel=0.1)
            assert isinstance(scale.relevant, float)
        else:
            with pytest.raises(DataError, match=problem):
                RankingDataset.load(tmp_path / "data")
    with pytest.raises(InputError, match="expected a weight above 0"):
        Field("title", "text", 10**400)
