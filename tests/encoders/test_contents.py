"""Records with equal contents share a number, whatever their files are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.encoders import contents as contents_module
from rankfield.encoders.columns import field_columns
from rankfield.encoders.contents import content_ids
from rankfield.schema import Field, RankingDataset, ScoreScale

FIELDS = (Field("title", "text"), Field("photos", "image"))


def dataset(
    titles: list[str | None],
    photos: list[list[str | bytes | None] | None],
    kind: pl.DataType,
    root: Path | None = None,
) -> RankingDataset:
    ids = [f"d{i}" for i in range(len(titles))]
    return RankingDataset(
        name="made",
        query_fields=(Field("query", "text"),),
        document_fields=FIELDS,
        score_scale=ScoreScale(0, 1, 1),
        queries=pl.DataFrame({"query_id": ["q"], "query": ["q"]}),
        documents=pl.DataFrame(
            {"doc_id": ids, "title": titles, "photos": photos},
            schema={"doc_id": pl.String, "title": pl.String, "photos": kind},
        ),
        judgments=pl.DataFrame(
            schema={"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64}
        ),
        root=root,
    )


def numbers(data: RankingDataset, rows: list[int] | None = None) -> list[int]:
    columns = field_columns(data.documents, FIELDS)
    chosen = None if rows is None else np.array(rows, dtype=np.int64)
    return [int(number) for number in content_ids(columns, data, chosen)]


RECORDS = st.tuples(
    st.sampled_from([None, "", "a", "b"]),
    st.none() | st.lists(st.sampled_from([None, b"", b"x", b"y", b"z"]), max_size=3),
)


@given(st.lists(RECORDS))
def test_the_same_number_exactly_for_the_same_contents(
    records: list[tuple[str | None, list[bytes | None] | None]],
) -> None:
    data = dataset([t for t, _ in records], [list(p or []) for _, p in records], pl.List(pl.Binary))
    found = numbers(data)
    keys = []
    for row, (title, photos) in enumerate(records):
        held = tuple(sorted(p for p in photos or [] if p))
        keys.append((title or "", held) if title or held else row)
    for i, one in enumerate(keys):
        for j, other in enumerate(keys):
            assert (found[i] == found[j]) == (one == other), (i, j)
    assert sorted(set(found)) == list(range(len(set(keys))))


def test_files_count_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a.png": b"same", "b.png": b"same", "c.png": b"SAME", "d.png": b"a longer one"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    photos: list[list[str | bytes | None] | None] = [
        ["a.png"],
        ["b.png"],
        ["c.png"],
        ["d.png"],
        ["a.png", "d.png"],
        ["d.png", "", "b.png"],
        ["none.png"],
        ["none.png"],
        ["gone.png"],
    ]
    data = dataset(["t"] * len(photos), photos, pl.List(pl.String), tmp_path)
    read: list[str] = []
    original = contents_module._sha256

    def sha256(path: Path) -> str | None:
        read.append(path.name)
        return original(path)

    monkeypatch.setattr(contents_module, "_sha256", sha256)
    found = numbers(data)
    assert sorted(read) == ["a.png", "b.png", "c.png"]  # once each, and not the only one of a size
    assert found[0] == found[1]
    assert found[4] == found[5]
    assert found[6] == found[7]
    assert len(set(found)) == len(found) - 3
    read.clear()
    some = numbers(data, [3, 2, 3, 6])
    assert some[0] == some[2]
    assert len(set(some)) == 3
    assert read == []  # no two of these have the same size


def test_some_rows_alone_and_repeated() -> None:
    data = dataset(["a", None, "b", "a", ""], [None] * 5, pl.List(pl.String))
    one, two, three, four, five, six = numbers(data, [0, 1, 3, 1, 4, 2])
    assert one == three
    assert two == four
    assert len({one, two, five, six}) == 4
    assert numbers(data, []) == []
