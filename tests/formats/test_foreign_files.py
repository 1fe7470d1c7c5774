"""Files that other systems leave beside data change no import and no guess."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from every_layout import SOURCES
from rankfield.foreign_files import is_foreign
from rankfield.formats import guess_layout
from rankfield.labels.event_files import find_event_files

LEFT = (
    *(".DS_Store", "Thumbs.db", "desktop.ini", "_SUCCESS", "__MACOSX", ".ipynb_checkpoints"),
    *("._documents.csv", "~$judgments.csv", ".part.csv.crc", "part-0.csv.crc", "ehthumbs.db"),
)


@pytest.mark.parametrize("name", LEFT)
def test_names_that_other_systems_use(name: str) -> None:
    assert is_foreign(name)


@pytest.mark.parametrize(
    "name", ["documents.csv", "_documents.csv", "thumbs.db.csv", "SUCCESS", "success.csv", "crc"]
)
def test_names_of_data(name: str) -> None:
    assert not is_foreign(name)


@pytest.mark.parametrize("name", SOURCES)
def test_every_layout_passes_them_over(tmp_path: Path, name: str) -> None:
    source = SOURCES[name]
    plain, _ = source.read(tmp_path / "plain", source.write(tmp_path / "plain"), name="x")
    folder = tmp_path / "foreign"
    src = source.write(folder)
    garbage = b"\0\5\x16\7\0\2\0\0Mac OS X"
    for inside in [p for p in [folder, *folder.rglob("*")] if p.is_dir()]:
        files = [p for p in inside.iterdir() if p.is_file()]
        for path in files:
            (inside / f"._{path.name}").write_bytes(garbage)
            (inside / f".{path.name}.crc").write_bytes(garbage)
            for other in ("__MACOSX", ".ipynb_checkpoints"):
                (inside / other).mkdir(exist_ok=True)
                (inside / other / f"._{path.name}").write_bytes(garbage)
                (inside / other / path.name).write_bytes(path.read_bytes())
        for left in (".DS_Store", "Thumbs.db", "desktop.ini", "_SUCCESS", "~$a.csv"):
            (inside / left).write_bytes(garbage)
    data, _ = source.read(folder, src, name="x")
    assert data.fingerprint() == plain.fingerprint()
    if name != "hub-pairs":  # which has no sign of its own
        assert guess_layout(src)[0].name == source.layout


def test_a_folder_of_events_passes_them_over(tmp_path: Path) -> None:
    pl.DataFrame({"query": ["a"], "item": ["b"]}).write_csv(tmp_path / "part-0.csv")
    for name in ("._part-0.csv", "~$part-0.csv", ".part-0.csv.crc", ".DS_Store", "_SUCCESS"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    assert find_event_files(tmp_path).paths == (tmp_path / "part-0.csv",)
