"""A data set in its folder answers as one in memory, and is written as it, to the byte."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from rankfield.curation import leak_report, split, split_sizes
from rankfield.errors import DataError
from rankfield.schema import DatasetFolder, Field, RankingDataset, ScoreScale, Tables
from rankfield.validate import audit, fix, require_valid, summarise

FILES = ("documents.parquet", "queries.parquet", "judgments.parquet", "dataset.toml")


def make(root: Path, photos: str, *, broken: bool = False) -> RankingDataset:
    """60 documents, 20 queries, every third pair judged; photos as "path", "list" or "bytes"."""
    (root / "p").mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (8, 8), (60 * i, 0, 0)).save(root / "p" / f"{i}.png")
    (root / "p" / "bad.png").write_bytes(b"no picture")
    paths = [f"p/{i % 3}.png" if i % 4 else None for i in range(60)]
    if broken:
        paths[5] = paths[9] = "p/bad.png"
    values: list[object] = list(paths)
    if photos == "list":
        values = [None if p is None else [p, "p/0.png"] for p in paths]
    elif photos == "bytes":
        values = [None if p is None else (root / p).read_bytes() for p in paths]
    pairs = [(q, d) for q in range(20) for d in range(q % 3, 60, 3)]
    queries = [f"q{q}" for q, _ in pairs]
    documents = [f"d{d}" for _, d in pairs]
    scores = [d % 5 / 4 for _, d in pairs]
    if broken:
        documents[3], queries[5], scores[7] = "gone", "", float("nan")
        queries += queries[:1]
        documents += documents[:1]
        scores.append(1.0)
    titles = [f"Mug {i % 50}" if i % 10 else "" for i in range(60)]
    kind = pl.Binary if photos == "bytes" else pl.String
    return RankingDataset(
        name="made",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"), Field("photo", "image")),
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame({"query_id": [f"q{i}" for i in range(20)], "query": titles[1:21]}),
        documents=pl.DataFrame(
            {
                "doc_id": [f"d{i}" for i in range(60)],
                "title": titles,
                "photo": pl.Series(
                    values, dtype=pl.List(pl.String) if photos == "list" else kind, strict=False
                ),
                "style": [f"s{i % 25}" for i in range(60)],
            }
        ),
        judgments=pl.DataFrame({"query_id": queries, "doc_id": documents, "score": scores}),
        root=root,
    )


def same_bytes(first: Path, second: Path) -> None:
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    pictures = sorted(p.relative_to(first) for p in first.rglob("*.png"))
    assert pictures == sorted(p.relative_to(second) for p in second.rglob("*.png"))


@pytest.mark.parametrize("photos", ["path", "list", "bytes"])
def test_it_answers_as_in_memory(tmp_path: Path, photos: str) -> None:
    memory = make(tmp_path / "src", photos).save(tmp_path / "in")
    folder = DatasetFolder.load(tmp_path / "in")
    assert folder.fingerprint() == memory.fingerprint()
    assert audit(folder) == audit(memory)
    assert summarise(folder) == summarise(memory)
    both: list[Tables] = [
        split(memory, group_documents_by="style"),
        split(folder, group_documents_by="style"),
    ]
    first, second = both
    assert split_sizes(first).equals(split_sizes(second))
    assert leak_report(first, group_documents_by="style", max_images=None) == leak_report(
        second, group_documents_by="style", max_images=None
    )
    assert isinstance(first, RankingDataset)
    assert isinstance(second, DatasetFolder)
    assert second.read().judgments.equals(first.judgments)
    first.save(tmp_path / "memory")
    second.save(tmp_path / "folder")
    same_bytes(tmp_path / "memory", tmp_path / "folder")
    again = split(DatasetFolder.load(tmp_path / "folder"), group_documents_by="style")
    again.save(tmp_path / "again")
    same_bytes(tmp_path / "folder", tmp_path / "again")


@pytest.mark.parametrize("photos", ["path", "list", "bytes"])
def test_it_is_repaired_as_in_memory(tmp_path: Path, photos: str) -> None:
    memory = make(tmp_path / "src", photos, broken=True).save(tmp_path / "in")
    folder = DatasetFolder.load(tmp_path / "in")
    problems = audit(folder)
    assert problems == audit(memory)
    assert {p.kind for p in problems if p.severity == "error"} >= {"bad image", "unknown id"}
    with pytest.raises(DataError) as found:
        require_valid(folder)
    with pytest.raises(DataError) as expected:
        require_valid(memory)
    assert str(found.value) == str(expected.value)
    first, lines = fix(memory, problems)
    second, same_lines = fix(folder, problems)
    assert lines == same_lines
    first.save(tmp_path / "memory")
    second.save(tmp_path / "folder")
    same_bytes(tmp_path / "memory", tmp_path / "folder")
    assert not [p for p in audit(DatasetFolder.load(tmp_path / "folder")) if p.severity == "error"]


def test_parts_are_the_rows_in_order(tmp_path: Path) -> None:
    memory = make(tmp_path / "src", "path").save(tmp_path / "in")
    folder = DatasetFolder.load(tmp_path / "in")
    for data in (folder, folder.with_columns("documents", pl.DataFrame({"n": range(60)}))):
        parts = data.parts("documents", ["doc_id", "title"], rows=7)
        assert len(parts) == 9
        whole = pl.concat([part.read() for part in parts])
        assert whole.equals(memory.documents.select("doc_id", "title"))
    kept = pl.Series([i % 3 == 0 for i in range(60)])
    some = folder.with_columns("documents", pl.DataFrame({"n": range(60)}))
    some = some.with_rows("documents", kept)
    parts = some.parts("documents", ["doc_id", "n"], rows=7)
    assert pl.concat([part.read() for part in parts])["n"].to_list() == list(range(0, 60, 3))


def test_a_broken_table_is_named(tmp_path: Path) -> None:
    make(tmp_path / "src", "path").save(tmp_path / "in")
    path = tmp_path / "in" / "judgments.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"judgments\.parquet: not a readable Parquet file"):
        DatasetFolder.load(tmp_path / "in")
    path.unlink()
    with pytest.raises(DataError, match=r"judgments\.parquet: there is no such table"):
        DatasetFolder.load(tmp_path / "in")
