"""Paths and names from data: inside a folder, regular, safe, and no patterns."""

from __future__ import annotations

import os
import random
from pathlib import Path

import polars as pl
import pytest

from rankfield.errors import InputError
from rankfield.paths import inside, literal_pattern, read_bytes, require_regular, safe_name


def test_links_are_resolved(tmp_path: Path) -> None:
    private, data = tmp_path / "private", tmp_path / "data"
    private.mkdir()
    (private / "a.png").write_bytes(b"secret")
    (data / "images").mkdir(parents=True)
    (data / "images" / "own.png").write_bytes(b"own")
    (data / "file.png").symlink_to(private / "a.png")
    (data / "folder").symlink_to(private)
    (data / "again.png").symlink_to("file.png")
    (data / "within.png").symlink_to("images/own.png")
    (data / "up").symlink_to("images/..")
    for path in ("file.png", "folder/a.png", "folder", "again.png", "images/../folder/a.png"):
        assert inside(data, path) is None
    for path in ("images/own.png", "within.png", "up/images/own.png", "missing/a.png", "."):
        assert inside(data, path) == data / path
    # a folder that is reached by a link itself is as good as any
    (tmp_path / "alias").symlink_to(data)
    assert inside(tmp_path / "alias", "images/own.png") == tmp_path / "alias/images/own.png"
    assert inside(tmp_path / "alias", "within.png") is not None
    assert inside(tmp_path / "alias", "file.png") is None
    assert inside(data, "folder/../images/own.png") is None
    assert inside(data, "a\0b") is None


def test_special_files_and_large_ones(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "environ").symlink_to("/proc/self/environ")
    for name in ("fifo", "zero", "environ"):
        with pytest.raises(InputError, match=f"{name}: not a regular file"):
            read_bytes(tmp_path / name, 10)
    (tmp_path / "a").write_bytes(b"0123456789")
    assert require_regular(tmp_path / "a") == 10
    assert read_bytes(tmp_path / "a", 10) == b"0123456789"
    with pytest.raises(InputError, match="a: 10 bytes; at most 9 are read"):
        read_bytes(tmp_path / "a", 9)


@pytest.mark.parametrize(
    "name",
    ["image", "front view", "bild_ü", "a.b-c", "../../x", "/x", "..", ".", "", "a\0b", "CON"],
)
def test_names_are_made_safe(name: str, tmp_path: Path) -> None:
    made = safe_name(name)
    (tmp_path / made).mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [made]
    assert (made == name) == (name in ("image", "front view", "bild_ü", "a.b-c"))


def test_two_names_stay_two() -> None:
    signs = "a/\\.\0\n*ü "
    draw = random.Random(0)
    names = {"".join(draw.choices(signs, k=draw.randrange(300))) for _ in range(500)}
    made = {safe_name(name) for name in names}
    assert len(made) == len(names)
    assert all(0 < len(name.encode()) < 120 and "/" not in name for name in made)


def test_patterns_are_not_expanded(tmp_path: Path) -> None:
    import duckdb

    for name in ("a*b", "a?b", "a[1]b", "a1b", "axb", "a]b"):
        pl.DataFrame({"name": [name]}).write_parquet(tmp_path / f"{name}.parquet")
    for name in ("a*b", "a?b", "a[1]b", "a1b", "a]b"):
        path = literal_pattern(tmp_path / f"{name}.parquet")
        found = duckdb.sql("SELECT name FROM read_parquet($path)", params={"path": path})
        assert found.fetchall() == [(name,)]
    with pytest.raises(InputError, match="backslash"):
        literal_pattern(tmp_path / "a\\*b")
