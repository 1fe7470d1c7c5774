from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rankfield.cache_folder import cache_entry, temporary_entry, user_cache
from rankfield.errors import DataError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("RANKFIELD_CACHE", str(folder))
    return folder


class Maker:
    """Writes one file, and counts how often."""

    def __init__(self, text: str = "kept") -> None:
        self.text, self.times = text, 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "a").write_text(self.text)


def test_an_entry_is_made_once(cache: Path) -> None:
    make = Maker()
    for _ in range(3):
        assert cache_entry("one", make).file("a").read_text() == "kept"
    assert make.times == 1
    assert {path.name for path in cache.iterdir()} == {"one"}


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "link", "list", "no list"])
def test_a_damaged_entry_is_made_again(cache: Path, tmp_path: Path, damage: str) -> None:
    make = Maker()
    file = cache_entry("one", make).file("a")
    if damage == "flipped":
        file.write_text("kepT")
    elif damage == "cut":
        file.write_text("kep")
    elif damage == "gone":
        file.unlink()
    elif damage == "link":
        (tmp_path / "elsewhere").write_text("kept")
        file.unlink()
        file.symlink_to(tmp_path / "elsewhere")
    elif damage == "list":
        (cache / "one" / "entry.json").write_text("{")
    else:
        (cache / "one" / "entry.json").unlink()
    found = cache_entry("one", make).file("a")
    assert found.read_text() == "kept"
    assert not found.is_symlink()
    assert make.times == 2


def test_a_link_in_place_of_an_entry_is_not_followed(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    cache.mkdir()
    (cache / "one").symlink_to(tmp_path / "elsewhere")
    entry = cache_entry("one", Maker())
    assert entry.temporary
    assert entry.file("a").read_text() == "kept"
    assert not list((tmp_path / "elsewhere").iterdir())
    assert "a link is in the place of an entry" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RANKFIELD_CACHE", str(tmp_path / "file" / "cache"))
    entry = cache_entry("one", Maker())
    assert entry.temporary
    assert entry.file("a").read_text() == "kept"
    assert "is not used" in capsys.readouterr().err
    place = entry.path
    del entry
    assert not place.exists()


def test_a_failure_leaves_nothing(cache: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise DataError("broken")

    with pytest.raises(DataError):
        cache_entry("one", fails)
    assert not list(cache.iterdir())


def test_former_states_and_old_siblings_go(cache: Path) -> None:
    cache_entry("t-1", Maker(), family="t-")
    cache_entry("t-1-x", Maker())
    cache_entry("u-1", Maker())
    cache_entry("t-2", Maker(), family="t-")
    assert {path.name for path in cache.iterdir()} == {"t-2", "u-1"}
    for number in range(5):
        cache_entry(f"t-2-{number}", Maker(), siblings=("t-2-", 3))
        os.utime(cache / f"t-2-{number}" / "entry.json", (number, number))
    cache_entry("t-2-5", Maker(), siblings=("t-2-", 3))
    assert {path.name for path in cache.iterdir()} == {"t-2", "u-1", "t-2-3", "t-2-4", "t-2-5"}


def test_two_processes_at_once(cache: Path) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from rankfield.cache_folder import cache_entry\n"
        "def make(folder):\n"
        "    time.sleep(0.3)\n"
        "    (folder / 'a').write_text(sys.argv[1])\n"
        "print(cache_entry('one', make).file('a').read_text())\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, name], stdout=subprocess.PIPE, text=True)
        for name in ("first", "second")
    ]
    found = {process.communicate(timeout=120)[0].strip() for process in processes}
    assert len(found) == 1
    assert found <= {"first", "second"}
    assert {path.name for path in cache.iterdir()} == {"one"}


def test_the_place_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKFIELD_CACHE", "/named")
    assert user_cache() == Path("/named")
    monkeypatch.delenv("RANKFIELD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert user_cache() == Path("/xdg/rankfield")


def test_a_temporary_entry_goes_with_its_object() -> None:
    entry = temporary_entry(Maker())
    place = entry.path
    assert (place / "a").is_file()
    del entry
    assert not place.exists()
