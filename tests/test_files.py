"""Writing whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rankfield.errors import InputError, OutputError
from rankfield.files import link_or_copy, new_file, new_folder, read_json, write_json
from rankfield.outputs import OR_OVERWRITE, require_new
from rankfield.paths import stays_inside


def fail_in_folder(out: Path, error: BaseException, *, overwrite: bool = False) -> None:
    with new_folder(out, overwrite=overwrite) as folder:
        (folder / "a").write_text("1")
        raise error


def fail_in_file(out: Path, error: BaseException) -> None:
    with new_file(out) as path:
        path.write_text("1")
        raise error


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "deep" / "out") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "deep" / "out").exists()
    assert (tmp_path / "deep" / "out" / "a").read_text() == "1"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        fail_in_folder(tmp_path / "out", error)
    with pytest.raises(type(error)):
        fail_in_file(tmp_path / "file", error)
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_refused_or_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("old")
    with pytest.raises(OutputError, match="out: already exists"), new_folder(out):
        pass
    with pytest.raises(ValueError, match="no"):
        fail_in_folder(out, ValueError("no"), overwrite=True)
    assert [p.name for p in out.iterdir()] == ["old"]
    with new_folder(out, overwrite=True) as folder:
        (folder / "new").write_text("new")
    assert [p.name for p in out.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_dangling_link_counts_as_there(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="already exists"), new_folder(tmp_path / "out"):
        pass


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("parquet: underlying IO error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(OutputError, match="out: the disk is full; nothing was written"):
        fail_in_folder(tmp_path / "out", error)
    assert list(tmp_path.iterdir()) == []


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"), new_file(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(OSError, match="odd"), new_file(tmp_path / "a"):
        raise OSError(errno.EIO, "odd")


def test_modes_follow_the_umask(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out"):
        pass
    with new_file(tmp_path / "file"):
        pass
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o777 & ~mask
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~mask


def test_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"é": [1.5, None]})
    assert read_json(tmp_path / "a.json") == {"é": [1.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json") == {"é": [1.5, None]}
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match=r"bad\.json: not valid JSON"):
        read_json(tmp_path / "bad.json")
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path)


def test_link_or_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("1")
    link_or_copy(tmp_path / "a", tmp_path / "x" / "b")
    assert (tmp_path / "x" / "b").samefile(tmp_path / "a")

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(tmp_path / "a", tmp_path / "c")
    assert (tmp_path / "c").read_text() == "1"
    assert not (tmp_path / "c").samefile(tmp_path / "a")
    os.utime(tmp_path / "a", ns=(5, 7_000_000_000))
    link_or_copy(tmp_path / "a", tmp_path / "d")
    assert (tmp_path / "d").stat().st_mtime_ns == 7_000_000_000


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").symlink_to("a")
    link_or_copy(tmp_path / "b", tmp_path / "x" / "c")
    assert (tmp_path / "x" / "c").read_text() == "1"
    assert not (tmp_path / "x" / "c").is_symlink()


@pytest.mark.parametrize("path", ["a.png", "x/a.png", "x/../a.png", "./a", "..a/b", "...", ""])
def test_paths_inside(path: str) -> None:
    assert stays_inside(path)


@pytest.mark.parametrize("path", ["/a", "..", "../a", "x/../../a", "./../a"])
def test_paths_outside(path: str) -> None:
    assert not stays_inside(path)


def test_places_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file" / "out", tmp_path / "file" / "in" / "out"):
        for write in (new_file, new_folder):
            with pytest.raises(OutputError, match=r"out: cannot be written \(Not a directory\)"):
                write(place).__enter__()
    with pytest.raises(OutputError, match="cannot be written"):
        new_folder(tmp_path / ("n" * 300)).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from rankfield.files import new_folder, new_file\n"
        "with new_folder(sys.argv[1]) as a, new_file(sys.argv[2]) as b:\n"
        "    (a / 'x').touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    folder, file = tmp_path / "out", tmp_path / "out.json"
    subprocess.run([sys.executable, "-c", script, str(folder), str(file)], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    with new_folder(folder) as first:
        assert {p.name for p in tmp_path.iterdir() if p.name.startswith(".out.")} > {first.name}
        # one that is being written by a process that lives stays
        with new_folder(folder) as second:
            assert first.is_dir()
        assert second != first
        folder.rmdir()
    write_json(file, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "out.json"]


def test_parents_go_with_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), new_folder(tmp_path / "a" / "b" / "out"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_of_another_container_writes_stays(tmp_path: Path) -> None:
    """Its host's name may be the same, and its process number unknown here."""
    with new_folder(tmp_path / "out") as mine, new_file(tmp_path / "out.json") as file:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        theirs = [
            path.with_name(path.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-"))
            for path in (mine, file)
        ]
        for path, other in zip((mine, file), theirs, strict=True):
            path.rename(other)
        with pytest.raises(ValueError, match="no"):
            fail_in_folder(tmp_path / "out", ValueError("no"))
        write_json(tmp_path / "out.json", {})
        assert all(path.exists() for path in theirs)
        for path, other in zip((mine, file), theirs, strict=True):
            other.rename(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "out.json"]


def test_links_with_the_name_of_something_half_written_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "a").write_text("precious")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with new_folder(tmp_path / "out") as mine:
        name = mine.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    (tmp_path / "out").rmdir()
    (tmp_path / name).symlink_to("victim")
    with new_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "victim" / "a").read_text() == "precious"


def test_overwriting_a_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "a").write_text("precious")
    (tmp_path / "out").symlink_to("victim")
    with new_folder(tmp_path / "out", overwrite=True) as folder:
        (folder / "new").write_text("new")
    assert (tmp_path / "victim" / "a").read_text() == "precious"
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]
    (tmp_path / "file").symlink_to("victim/a")
    write_json(tmp_path / "file", {})
    assert (tmp_path / "victim" / "a").read_text() == "precious"


def test_an_output_that_exists_is_refused_a_dead_link_too(tmp_path: Path) -> None:
    require_new(None, tmp_path / "new")
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match=r"dead: already exists. Name another output, or remove"):
        require_new(tmp_path / "new", tmp_path / "dead")
    with pytest.raises(OutputError, match="--overwrite"):
        require_new(tmp_path, remedy=OR_OVERWRITE)
