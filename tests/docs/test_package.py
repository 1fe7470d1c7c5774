"""The package's metadata agree with each other and with the files."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from rankfield import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert PROJECT["project"]["version"] == __version__
    assert re.findall(r"^version: (\S+)$", citation, re.MULTILINE) == [__version__]
    assert "arXiv:2404.08535" in citation


def test_the_wheel_has_every_file_that_the_code_reads() -> None:
    source = ROOT / "src" / "rankfield"
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["rankfield"]
    for file in source.rglob("*"):
        if file.is_file() and file.suffix not in (".py", ".pyc"):
            name = str(file.relative_to(source))
            assert any(fnmatch(name, p) or fnmatch(name, p.removeprefix("**/")) for p in patterns)


def test_the_packages_of_every_extra_are_pinned() -> None:
    pinned = re.findall(
        r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE
    )
    known = {name.lower().replace("_", "-") for name in pinned}
    for needed in PROJECT["project"]["optional-dependencies"].values():
        for requirement in needed:
            name = re.match(r"[\w.-]+", requirement)
            assert name
            assert name[0].lower().replace("_", "-") in known | {"rankfield"}, requirement
