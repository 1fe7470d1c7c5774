"""The audit finds each kind of problem at its row, and the fix removes it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from rankfield.errors import DataError
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.validate import Problem, audit, fix, require_valid, summarise


def make(root: Path | None = None) -> RankingDataset:
    """Three queries, four documents, six judgments; two images where there is a root."""
    if root is not None:
        for name in ("a", "b"):
            Image.new("RGB", (8, 8), "red").save(root / f"{name}.png")
    return RankingDataset(
        name="small",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"), Field("image", "image")),
        score_scale=ScoreScale(0, 3, 2),
        queries=pl.DataFrame({"query_id": ["q0", "q1", "q2"], "query": ["mug", "cup", "jug"]}),
        documents=pl.DataFrame(
            {
                "doc_id": ["d0", "d1", "d2", "d3"],
                "title": ["red mug", "blue cup", "jug", "plate"],
                "image": ["a.png", "b.png", "a.png", "b.png"],
            }
        ),
        judgments=pl.DataFrame(
            {
                "query_id": ["q0", "q0", "q1", "q1", "q2", "q2"],
                "doc_id": ["d0", "d1", "d1", "d0", "d2", "d0"],
                "score": [3.0, 1.0, 2.0, 0.0, 2.5, 1.0],
            }
        ),
        root=root,
    )


def edit(data: RankingDataset, table: str, row: int, column: str, value: object) -> RankingDataset:
    frame: pl.DataFrame = getattr(data, table)
    values = frame[column].to_list()
    values[row] = value
    series = pl.Series(column, values, dtype=frame.schema[column])
    return data.with_tables(**{table: frame.with_columns(series)})  # type: ignore[arg-type]


def kinds(problems: list[Problem]) -> set[tuple[str, int | None, str, str, str]]:
    return {(p.table, p.row, p.field, p.kind, p.severity) for p in problems}


def test_a_sound_set_has_no_problem(tmp_path: Path) -> None:
    data = make(tmp_path)
    assert audit(data) == []
    require_valid(data)
    fixed, lines = fix(data, [])
    assert lines == []
    assert fixed.judgments.equals(data.judgments)


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "kind", "message"),
    [
        ("queries", 1, "query_id", "q0", "duplicate id", "'q0' occurs more than once"),
        ("queries", 1, "query_id", None, "missing id", "expected an id"),
        ("documents", 2, "doc_id", "", "missing id", "expected an id"),
        ("documents", 3, "doc_id", "d1", "duplicate id", "'d1'"),
        ("judgments", 4, "query_id", "q9", "unknown id", "'q9' is not among the queries"),
        ("judgments", 4, "doc_id", "d9", "unknown id", "'d9' is not among the documents"),
        ("judgments", 1, "doc_id", "d0", "duplicate pair", "'d0' is judged more than once"),
        ("judgments", 2, "score", float("nan"), "score not finite", "finite number, found nan"),
        ("judgments", 2, "score", float("inf"), "score not finite", "finite number, found inf"),
        ("judgments", 2, "score", None, "score not finite", "finite number, found None"),
    ],
)
def test_structure(
    *, table: str, row: int, column: str, value: object, kind: str, message: str
) -> None:
    data = edit(make(), table, row, column, value)
    found = [p for p in audit(data, images=False) if p.kind == kind]
    at = (table, row, "doc_id" if kind == "duplicate pair" else column)
    assert [(p.table, p.row, p.field) for p in found] == [at]
    assert message in found[0].message
    assert found[0].severity == "error"
    with pytest.raises(DataError, match=rf"{table}, row {row} \(counted from 0\)"):
        require_valid(data)
    fixed, lines = fix(data, audit(data, images=False))
    assert any(kind in line for line in lines)
    require_valid(fixed)
    assert not [p for p in audit(fixed, images=False) if p.severity == "error"]


def test_a_score_off_the_scale_is_refused_before_work_begins() -> None:
    data = edit(make(), "judgments", 2, "score", 7.0)
    with pytest.raises(DataError, match=r"row 2 .*7\.0 is outside the stated scale, 0 to 3"):
        require_valid(data)
    near = edit(make(), "judgments", 2, "score", 3.0 + 1e-12)  # rounding
    require_valid(near)
    assert [p for p in audit(near, images=False) if p.kind == "score outside the scale"] == []


def test_scores_fields_and_queries() -> None:
    data = edit(make(), "judgments", 2, "score", 7.0)
    data = edit(data, "judgments", 4, "score", 1.5)
    data = edit(data, "documents", 1, "title", "")
    data = edit(data, "documents", 2, "image", None)
    data = edit(data, "documents", 3, "title", None)
    data = edit(data, "documents", 3, "image", "")
    data = edit(data, "queries", 0, "query", "")
    assert kinds(audit(data, images=False)) == {
        ("judgments", 2, "score", "score outside the scale", "error"),
        ("queries", 0, "query", "no field", "error"),
        ("documents", 3, "title, image", "no field", "error"),
        ("documents", 1, "title", "empty field", "warning"),
        ("documents", 2, "image", "empty field", "warning"),
        ("queries", 2, "query_id", "query without a relevant document", "warning"),
    }
    fixed, lines = fix(data, [])
    assert fixed.queries["query_id"].to_list() == ["q1", "q2"]
    assert fixed.documents["doc_id"].to_list() == ["d0", "d1", "d2"]
    assert fixed.judgments.height == 3
    assert len(lines) == 4


def test_a_query_without_judgments_is_a_warning() -> None:
    data = make()
    data = data.with_tables(judgments=data.judgments.filter(pl.col("query_id") != "q1"))
    assert kinds(audit(data, images=False)) == {
        ("queries", 1, "query_id", "query without judgments", "warning")
    }


@pytest.mark.parametrize("table", ["queries", "documents", "judgments"])
def test_empty_tables(table: str) -> None:
    data = make()
    empty = getattr(data, table).clear()
    data = data.with_tables(**{table: empty})
    assert (table, None, "", "empty table", "error") in kinds(audit(data, images=False))
    with pytest.raises(DataError, match=f"{table}: expected at least one row"):
        require_valid(data)
    with pytest.raises(DataError, match="nothing is left"):
        fix(data, [])


def test_images(tmp_path: Path) -> None:
    data = make(tmp_path)
    (tmp_path / "text.png").write_text("not an image")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.new("CMYK", (8, 8)).save(tmp_path / "cmyk.jpg")
    for row, value in enumerate(["text.png", "cut.png", "missing.png", "cmyk.jpg"]):
        data = edit(data, "documents", row, "image", value)
    data = edit(data, "documents", 2, "title", "")
    problems = audit(data)
    assert {p for p in kinds(problems) if "image" in p[3]} == {
        ("documents", 0, "image", "bad image", "error"),
        ("documents", 1, "image", "bad image", "error"),
        ("documents", 2, "image", "bad image", "error"),
        ("documents", 3, "image", "converted image", "warning"),
    }
    assert "missing.png: no such image" in {p.message for p in problems}
    fixed, lines = fix(data, problems)
    assert "documents, image: cleared 3 bad image(s)" in lines
    assert fixed.documents.select("doc_id", "image").rows() == [
        ("d0", None),
        ("d1", None),
        ("d3", "cmyk.jpg"),
    ]
    assert fixed.judgments.height == 5
    assert not [p for p in audit(fixed) if p.severity == "error"]


def test_a_limit_on_pixels_and_paths_that_lead_out(tmp_path: Path) -> None:
    data = edit(make(tmp_path), "documents", 0, "image", "../a.png")
    data = edit(data, "documents", 1, "image", "/etc/passwd")
    problems = audit(data, max_pixels=63)
    assert [p.row for p in problems] == [0, 1, 2, 3]
    assert all("leads out" in p.message for p in problems[:2])
    assert all("8 × 8 pixels" in p.message for p in problems[2:])


def test_images_as_bytes(tmp_path: Path) -> None:
    data = make(tmp_path)
    good = (tmp_path / "a.png").read_bytes()
    column = pl.Series("image", [good, b"junk", None, b""], dtype=pl.Binary)
    data = data.with_tables(documents=data.documents.with_columns(column))
    assert kinds(audit(data)) == {
        ("documents", 1, "image", "bad image", "error"),
        ("documents", 2, "image", "empty field", "warning"),
        ("documents", 3, "image", "empty field", "warning"),
    }


@pytest.mark.parametrize("by_path", [True, False])
def test_lists_of_images(tmp_path: Path, by_path: bool) -> None:
    data = make(tmp_path)
    (tmp_path / "junk.png").write_text("not an image")
    photos: list[list[str | None]] = [["a.png", "junk.png", "b.png"], ["a.png"], ["junk.png"], []]
    column = pl.Series("image", photos, dtype=pl.List(pl.String))
    expected: list[list[str | bytes] | None] = [["a.png", "b.png"], ["a.png"], None]
    if not by_path:
        content = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
        column = pl.Series("image", [[content[str(p)] for p in row] for row in photos])
        expected = [None if row is None else [content[str(p)] for p in row] for row in expected]
    data = data.with_tables(documents=data.documents.with_columns(column))
    data = edit(data, "documents", 3, "title", "")
    problems = audit(data)
    assert kinds(problems) == {
        ("documents", 0, "image", "bad image", "error"),
        ("documents", 2, "image", "bad image", "error"),
        ("documents", 3, "title, image", "no field", "error"),
    }
    bad = [p for p in problems if p.kind == "bad image"]
    assert [(p.row, p.item) for p in bad] == [(0, 1), (2, 0)]
    name = "junk.png" if by_path else "the image"
    assert str(bad[0]) == (
        f"documents, row 0, field 'image', item 1: {name}: not an image in a known format"
    )
    fixed, lines = fix(data, problems)
    assert "documents, image: cleared 2 bad image(s)" in lines
    assert fixed.documents["image"].to_list() == expected
    assert fixed.documents["doc_id"].to_list() == ["d0", "d1", "d2"]
    assert not [p for p in audit(fixed) if p.severity == "error"]


def test_long_lists_are_cut_and_counted() -> None:
    data = make()
    many = pl.DataFrame(
        {"query_id": ["q0"] * 2500, "doc_id": [f"x{i}" for i in range(2500)], "score": [1.0] * 2500}
    )
    data = data.with_tables(judgments=pl.concat([data.judgments, many]))
    found = [p for p in audit(data, images=False) if p.kind == "unknown id"]
    assert len(found) == 1001
    assert (found[0].row, found[-1].row) == (6, None)
    assert found[-1].message == "1,500 more rows"
    with pytest.raises(DataError, match=r"'x0' is not among the documents \(and 2,499 more rows\)"):
        require_valid(data)
    fixed, _ = fix(data, found)
    assert fixed.judgments.equals(make().judgments)


def test_summary() -> None:
    summary = summarise(make())
    assert (summary.queries, summary.documents, summary.judgments) == (3, 4, 6)
    assert summary.never_judged == 1
    assert summary.judgments_per_query == 2
    assert list(summary.scores) == [(0, 0, 1), (1, 1, 2), (2, 2, 1), (2.5, 2.5, 1), (3, 3, 1)]
    many = make().with_tables(
        judgments=pl.DataFrame(
            {
                "query_id": ["q0"] * 101,
                "doc_id": ["d0"] * 101,
                "score": [i / 10 for i in range(101)],
            }
        )
    )
    bins = summarise(many).scores
    assert len(bins) == 10
    assert sum(count for _, _, count in bins) == 101
    assert bins[-1][:2] == pytest.approx((9, 10))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("https://shop.example/p/1.jpg", "a web address, not a file: download the images"),
        ("//cdn.example/1.jpg", "a web address"),
        ("data:image/png;base64,AAAA", "a data URI, not a file"),
        ("photos\\1.png", "written with backslashes: write it with /"),
        ("C:\\photos\\1.png", "written with backslashes"),
        ("photos/1.png", "no such image"),
    ],
)
def test_what_is_no_path_says_what_it_is(tmp_path: Path, path: str, message: str) -> None:
    data = make(tmp_path)
    documents = data.documents.with_columns(
        image=pl.when(pl.col("doc_id") == "d0").then(pl.lit(path)).otherwise("image")
    )
    problems = audit(data.with_tables(documents=documents))
    (found,) = (p for p in problems if p.kind == "bad image" and p.row == 0)
    assert message in found.message
    assert found.message.startswith(path)
