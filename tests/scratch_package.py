"""What a page of the documentation says to add to the package, done in a copy of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import rankfield

__all__ = ["apply_difference", "follow_page", "run_tests"]

_BLOCK = re.compile(r"^```\w+(?: no-run)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def follow_page(page: Path, heading: str, folder: Path) -> int:
    """Copy the package to FOLDER/src and do what the page's section says; return the lines added.

    The section names a new file, the file of the table, and a test, each before its block. The
    table's block is a difference.
    """
    section = page.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    code, difference, test = _BLOCK.findall(section)[:3]
    file, table, test_file = re.findall(r"`((?:src|tests)/[\w/]+\.py)`", section)[:3]
    shutil.copytree(Path(rankfield.__file__).parent, folder / "src" / "rankfield")
    (folder / test_file).parent.mkdir(parents=True)
    (folder / file).write_text(code, "utf-8")
    (folder / test_file).write_text(test, "utf-8")
    return apply_difference(folder / table, difference)


def apply_difference(file: Path, difference: str) -> int:
    """Add lines to a file, before and after the one that is there; return how many.

    Lines that are there already, as somebody followed the page, are taken out first.
    """
    rows = difference.splitlines()
    (kept,) = (row[1:] for row in rows if row.startswith(" ") and row.strip())
    added = {f"{row[1:]}\n" for row in rows if row.startswith("+") and row[1:].strip()}
    lines = file.read_text("utf-8").splitlines(keepends=True)
    text = "".join(line for line in lines if line not in added)
    assert text.count(f"{kept}\n") == 1
    done = "\n".join(row[1:] for row in rows)
    file.write_text(text.replace(kept, done), "utf-8")
    return sum(row.startswith("+") for row in rows)


def run_tests(folder: Path) -> str:
    """Run the tests under the folder with its copy of the package; return what pytest printed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "."]
    done = subprocess.run(
        [*command, "tests"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
