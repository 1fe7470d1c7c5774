"""Work folders: made and marked by rankfield, or refused with nothing touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rankfield.errors import OutputError
from rankfield.files import no_follow
from rankfield.work_folder import work_folder

NAMES = ("journal.jsonl", "images")


def use(path: Path, command: str = "judge", *, remove: bool = False) -> None:
    with work_folder(path, command, names=NAMES) as work:
        with open(path / "journal.jsonl", "ab", opener=work.opener) as file:
            file.write(b"line\n")
        (work.staged() / "table").write_text("1")
        if remove:
            work.remove()


def tree(folder: Path) -> dict[str, str]:
    """Everything below a folder, links as what they say."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_text()
        else:
            found[name] = "folder" if path.is_dir() else "special"
    return found


def test_it_is_found_again_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.partial"
    use(path)
    assert path.stat().st_mode & 0o077 == 0
    use(path)
    assert (path / "journal.jsonl").read_text() == "line\nline\n"
    assert len(list(path.glob("staged-*"))) == 1
    use(path, remove=True)
    assert list(path.parent.iterdir()) == []


def _link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def _dangling(path: Path, victim: Path) -> None:
    path.symlink_to(victim / "nowhere")


def _file(path: Path, victim: Path) -> None:
    path.write_text("mine")


def _pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def _foreign(path: Path, victim: Path) -> None:
    (path / "thesis").mkdir(parents=True)
    (path / "thesis" / "a.tex").write_text("three years")


def _empty(path: Path, victim: Path) -> None:
    path.mkdir()


def _mark_is_a_link(path: Path, victim: Path) -> None:
    use(path)
    (path / ".rankfield.json").rename(victim / "mark")
    (path / ".rankfield.json").symlink_to(victim / "mark")


def _mark_is_a_pipe(path: Path, victim: Path) -> None:
    path.mkdir()
    os.mkfifo(path / ".rankfield.json")


def _damaged(path: Path, victim: Path) -> None:
    use(path)
    (path / ".rankfield.json").write_text("[" * 4000)


def _of_another_command(path: Path, victim: Path) -> None:
    use(path, "collect")


def _unpacked(path: Path, victim: Path) -> None:
    use(path.with_name("original"))
    shutil.copytree(path.with_name("original"), path)


def _link_inside(path: Path, victim: Path) -> None:
    use(path)
    (path / "journal.jsonl").unlink()
    (path / "journal.jsonl").symlink_to(victim / "precious")


def _linked_images(path: Path, victim: Path) -> None:
    use(path)
    (path / "images").symlink_to(victim)


TRAPS = (
    *(_link, _dangling, _file, _pipe, _foreign, _empty, _mark_is_a_link, _mark_is_a_pipe),
    *(_damaged, _of_another_command, _unpacked, _link_inside, _linked_images),
)


@pytest.mark.parametrize("trap", TRAPS)
def test_what_is_not_ours_is_refused_and_whole(
    tmp_path: Path, trap: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("precious")
    trap(tmp_path / "out.partial", victim)
    before = tree(tmp_path)
    with pytest.raises(OutputError, match="another's folder is in the way") as raised:
        use(tmp_path / "out.partial", remove=True)
    assert raised.value.where == str(tmp_path / "out.partial")
    assert "Nothing in it was touched" in raised.value.remedy
    assert tree(tmp_path) == before


def test_an_own_copy_goes_on_as_the_message_says(tmp_path: Path) -> None:
    path = tmp_path / "out.partial"
    _unpacked(path, tmp_path)
    with pytest.raises(OutputError, match="copied or unpacked here") as raised:
        use(path)
    number = path.stat().st_ino
    assert f'set "folder" to {number} in {path / ".rankfield.json"}' in raised.value.remedy
    mark = json.loads((path / ".rankfield.json").read_text())
    (path / ".rankfield.json").write_text(json.dumps(mark | {"folder": number}))
    use(path)
    assert (path / "journal.jsonl").read_text() == "line\nline\n"


def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(tmp_path / "out.partial")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OutputError, match="belongs to another user"):
        use(tmp_path / "out.partial")


def test_what_others_put_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.partial"
    use(path)
    (path / "notes.txt").write_text("mine")
    use(path, remove=True)
    assert (path / "notes.txt").read_text() == "mine"
    assert sorted(p.name for p in path.iterdir()) == [".rankfield.json", "notes.txt"]


def test_a_link_put_there_meanwhile_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    with work_folder(tmp_path / "out.partial", "judge", names=NAMES) as work:
        (work.path / "journal.jsonl").symlink_to(tmp_path / "victim")
        with pytest.raises(OutputError, match="found a link"):
            work.opener(str(work.path / "journal.jsonl"), os.O_RDWR | os.O_APPEND)
        (work.path / "images").symlink_to(tmp_path)
        work.remove()
    assert tree(tmp_path) == {"victim": "precious"}


def test_one_run_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "out.partial"
    with (
        work_folder(path, "judge", names=NAMES),
        pytest.raises(OutputError, match="another run is writing it"),
        work_folder(path, "judge", names=NAMES),
    ):
        pass
    use(path)


def test_made_by_two_runs_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, rename = tmp_path / "out.partial", Path.rename
    first = work_folder(path, "judge", names=NAMES)

    def overtaken(made: Path, target: Path) -> Path:
        monkeypatch.undo()
        first.__enter__()
        return rename(made, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    with pytest.raises(OutputError, match="another run is writing it"):
        use(path)
    assert [p.name for p in tmp_path.iterdir()] == ["out.partial"]
    first.__exit__(None, None, None)


def test_none_is_made_if_none_is_to_be(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError),
        work_folder(tmp_path / "out.partial", "judge", names=NAMES, make=False),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_killed_at_any_line_it_is_whole_or_not_there(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from rankfield.work_folder import work_folder\n"
        "left = int(sys.argv[2])\n"
        "def trace(frame, event, argument):\n"
        "    global left\n"
        "    if 'rankfield' not in frame.f_code.co_filename: return None\n"
        "    left -= 1\n"
        "    if not left: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return trace\n"
        "sys.settrace(trace)\n"
        "with work_folder(Path(sys.argv[1]), 'judge', names=('a',)) as work:\n"
        "    (work.path / 'a').touch(); work.staged(); work.remove()\n"
        "sys.settrace(None)\n"
    )
    path, lines = tmp_path / "out.partial", 5
    killed = 0
    while subprocess.run(
        [sys.executable, "-c", script, str(path), str(lines)], check=False
    ).returncode:
        killed += 1
        lines += 12
    assert killed > 5
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_none_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "made")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "dangling", "pipe"):
        for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT | os.O_APPEND):
            with pytest.raises(OutputError, match="expected a regular file"):
                no_follow(str(tmp_path / name), flags)
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "made").exists()
    with open(tmp_path / "file", "ab", opener=no_follow) as file:
        file.write(b"!")
    assert (tmp_path / "file").read_text() == "mine!"
