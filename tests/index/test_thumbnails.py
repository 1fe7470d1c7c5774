"""Small images in an index: kept through writes, compaction, reopening and going back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexed_documents import DOCUMENTS, METADATA, chunks, documents_of, vectors_of
from rankfield.errors import DataError, InputError
from rankfield.index import STORES, Index, open_index, roll_back
from rankfield.index import exact as module
from rankfield.index.previous import keep_previous

IDS = DOCUMENTS["doc_id"].to_list()
IMAGES = [b"" if i == 3 else f"image {i}".encode() * (i + 1) for i in range(len(IDS))]


@pytest.fixture(params=["exact", "lancedb"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Index:
    if request.param == "lancedb":
        pytest.importorskip("lancedb")

    def images() -> Iterator[bytes | None]:
        yield from IMAGES

    return STORES[request.param].build(
        tmp_path / "index", METADATA, DOCUMENTS, chunks, thumbnails=images
    )


def both(index: Index) -> Iterator[Index]:
    yield index
    yield open_index(index.folder)


def test_they_are_kept_by_document(index: Index) -> None:
    for one in both(index):
        assert one.thumbnails(IDS) == IMAGES
        assert one.thumbnails(["d07", "d03", "d00"]) == [IMAGES[7], b"", IMAGES[0]]
        assert one.frozen().thumbnails(["d07"]) == [IMAGES[7]]
        with pytest.raises(DataError, match="absent"):
            one.thumbnails(["absent"])


def test_a_write_replaces_them(index: Index) -> None:
    index.upsert(documents_of(["d01", "new", "d02"]), vectors_of(3), [b"other", b"", None])
    index.upsert(documents_of(["d04"]), vectors_of(1))
    for one in both(index):
        found = one.thumbnails(["d01", "new", "d02", "d04", "d05"])
        assert found == [b"other", b"", None, None, IMAGES[5]]
    with pytest.raises(DataError, match="expected 1 thumbnails, found 2"):
        index.upsert(documents_of(["d01"]), vectors_of(1), [b"one", b"two"])


def test_they_outlast_compaction(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_SEGMENTS", 2)
    index.delete(["d00", "d09"])
    for number in range(3):
        index.upsert(documents_of([f"d1{number}"]), vectors_of(1), [f"new {number}".encode()])
    index.upsert(documents_of(["plain"]), vectors_of(1))
    for one in both(index):
        kept = dict(
            zip(one.documents()["doc_id"], one.thumbnails(one.documents()["doc_id"]), strict=True)
        )
        expected = dict(zip(IDS, IMAGES, strict=True)) | {"plain": None}
        expected |= {f"d1{number}": f"new {number}".encode() for number in range(3)}
        assert kept == {name: expected[name] for name in kept}
        assert len(kept) == len(IDS) - 1
    state = json.loads((index.folder / "index.json").read_text("utf-8"))["state"]
    numbers = {one["number"] for one in state["segments"]}
    before = json.loads((index.folder / "previous.json").read_text("utf-8"))["state"]
    numbers |= {one["number"] for one in before["segments"]}
    files = {path.name for path in index.folder.glob("thumbnail*")}
    assert files <= {
        f"{name}-{number}.npy" for name in ("thumbnails", "thumbnail-places") for number in numbers
    }


def test_they_come_back_with_the_index_that_was_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    first = STORES["exact"].build(folder, METADATA, DOCUMENTS, chunks, thumbnails=lambda: IMAGES)
    keep_previous(folder)
    STORES["exact"].build(folder, METADATA, DOCUMENTS, chunks, overwrite=True)
    assert open_index(folder).thumbnails(["d01"]) == [None]
    roll_back(folder)
    assert open_index(folder).thumbnails(IDS) == IMAGES == first.thumbnails(IDS)


def test_an_index_without_any_is_as_it_was(tmp_path: Path) -> None:
    index = STORES["exact"].build(tmp_path / "index", METADATA, DOCUMENTS, chunks)
    assert index.thumbnails(["d01"]) == [None]
    state = json.loads((tmp_path / "index" / "index.json").read_text("utf-8"))["state"]
    assert state["segments"] == [{"number": 0, "rows": len(IDS)}]
    assert not list((tmp_path / "index").glob("thumbnail*"))
    index.upsert(documents_of(["d01"]), vectors_of(1), [b"image"])
    assert open_index(tmp_path / "index").thumbnails(["d01", "d02"]) == [b"image", None]


@pytest.mark.parametrize("name", ["thumbnails-1.npy", "thumbnail-places-1.npy"])
def test_damage_sets_the_write_aside(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "index"
    index = STORES["exact"].build(folder, METADATA, DOCUMENTS, chunks, thumbnails=lambda: IMAGES)
    index.upsert(documents_of(["d01"]), vectors_of(1), [b"image"])
    (folder / name).write_bytes(b"")
    assert open_index(folder).thumbnails(["d01"]) == [IMAGES[1]]
    (folder / name.replace("1", "0")).unlink()
    with pytest.raises(InputError):
        open_index(folder)
