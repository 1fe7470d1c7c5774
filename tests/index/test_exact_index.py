"""The files of the exact index."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexed_documents import DOCUMENTS, METADATA, VECTORS, chunks, documents_of, vectors_of
from rankfield.errors import InputError, OutputError
from rankfield.index import ExactIndex, open_index
from rankfield.index import exact as module


@pytest.fixture
def index(tmp_path: Path) -> ExactIndex:
    return ExactIndex.build(tmp_path / "index", METADATA, DOCUMENTS, chunks)


def test_the_vectors_are_mapped_and_read_only(index: ExactIndex) -> None:
    assert isinstance(index.matrix, np.memmap)
    assert not index.matrix.flags.writeable


def test_a_second_writer_is_refused(index: ExactIndex) -> None:
    index.delete(["d00"])
    other = os.open(index.folder / "lock", os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        for write in (
            lambda: index.delete(["d01"]),
            lambda: index.upsert(documents_of(["x"]), vectors_of(1)),
        ):
            with pytest.raises(OutputError, match="another run is writing it"):
                write()
    finally:
        os.close(other)
    assert len(open_index(index.folder)) == 59


def test_a_write_begins_with_what_others_wrote(index: ExactIndex) -> None:
    other = ExactIndex.open(index.folder)
    other.upsert(documents_of(["theirs"]), vectors_of(1))
    index.upsert(documents_of(["ours"]), vectors_of(1))
    assert {"ours", "theirs"} <= set(index.documents()["doc_id"])
    assert "ours" not in other.documents()["doc_id"].to_list()  # it reads what it opened
    assert open_index(index.folder).documents().equals(index.documents())


@pytest.mark.parametrize("step", range(12))
@pytest.mark.parametrize("write", ["upsert", "compact", "delete"])
def test_a_stop_at_any_step_leaves_a_whole_write_or_none(
    index: ExactIndex, step: int, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = index.documents().rows()
    if write == "compact":
        monkeypatch.setattr(module, "_MOST_SEGMENTS", 1)
    steps = 0

    def stopping(work: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == step:
                raise KeyboardInterrupt
            found = work(*arguments, **options)
            if steps + 6 == step:
                raise KeyboardInterrupt
            return found

        return call

    with monkeypatch.context() as patch:
        for name in ("sync", "write_segment", "write_header", "open_memmap"):
            patch.setattr(module, name, stopping(getattr(module, name)))
        patch.setattr(np, "save", stopping(np.save))
        try:
            if write == "delete":
                index.delete(["d00", "d01"])
            else:
                index.upsert(documents_of(["d00", "new"]), vectors_of(2))
        except KeyboardInterrupt:
            pass
    found = open_index(index.folder).documents().rows()
    new = documents_of(["d00", "new"]).rows()
    after = before[2:] if write == "delete" else [*before[1:], *new]
    assert found in (before, after)
    index.upsert(documents_of(["later"]), vectors_of(1))
    assert open_index(index.folder).documents().rows() == [*found, *documents_of(["later"]).rows()]


def test_files_that_count_no_longer_are_removed(index: ExactIndex) -> None:
    for number in range(40):
        index.upsert(documents_of([f"new-{number % 3}"]), vectors_of(1))
    names = {path.name.split("-")[0] for path in index.folder.iterdir()}
    assert names == {"index.json", "previous.json", "vectors", "documents", "live", "lock"}
    assert len(list(index.folder.iterdir())) < 45
    assert len(index) == 63


def test_it_is_searched_while_it_is_written(index: ExactIndex) -> None:
    wrong: list[Exception] = []
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                assert index.search(VECTORS[:2], 3).height == 6
        except Exception as error:
            wrong.append(error)

    reader = threading.Thread(target=search)
    reader.start()
    for number in range(25):
        index.upsert(documents_of([f"new-{number}"]), vectors_of(1))
    done.set()
    reader.join()
    assert not wrong


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("index.json", b"{", "not valid JSON"),
        ("index.json", b"{}", "expected format 1"),
        ("index.json", b'{"format": 1}', "store: Field required"),
        ("vectors-0.npy", b"short", "cannot be read"),
        ("vectors-0.npy", None, "cannot be read"),
        ("documents-0.parquet", b"PAR1", "not a readable Parquet file"),
    ],
)
def test_damage_is_said(index: ExactIndex, name: str, content: bytes | None, message: str) -> None:
    path = index.folder / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_index(index.folder).documents()


def test_links_are_not_followed(index: ExactIndex, tmp_path: Path) -> None:
    for name in ("vectors-0.npy", "documents-0.parquet"):
        path = index.folder / name
        path.rename(tmp_path / name)
        path.symlink_to(tmp_path / name)
        with pytest.raises(InputError, match="is a link"):
            open_index(index.folder).documents()
        path.unlink()
        (tmp_path / name).rename(path)
    assert open_index(index.folder).documents().equals(DOCUMENTS)


def test_other_folders_and_stores_are_refused(index: ExactIndex, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such folder"):
        open_index(tmp_path / "none")
    with pytest.raises(InputError, match="not an index"):
        open_index(tmp_path)
    header = index.folder / "index.json"
    header.write_text(header.read_text().replace('"exact"', '"exakt"'))
    with pytest.raises(InputError, match="Did you mean 'exact'"):
        open_index(index.folder)
    with pytest.raises(InputError, match="found exakt"):
        ExactIndex.open(index.folder)
