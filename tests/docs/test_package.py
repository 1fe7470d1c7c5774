"""The package's metadata agree with each other and with the files."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from rankfield import __version__

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert PROJECT["project"]["version"] == __version__
    assert re.findall(r"^version: (\S+)$", citation, re.MULTILINE) == [__version__]
    assert "arXiv:2404.08535" in citation


def test_the_citation_is_whole() -> None:
    """The keys that the format 1.2.0 requires, and the same paper as in the README."""
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["project"]["license"]
    assert all({"name"} == set(author) for author in citation["authors"])
    (paper,) = citation["references"]
    entries = re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", README, re.MULTILINE | re.DOTALL)
    found = {key: dict(re.findall(r"^  (\w+) = \{+(.*?)\}+,?$", body, re.MULTILINE))
             for key, body in entries}  # fmt: skip
    assert found["rankfield"]["version"] == __version__
    assert found["rankfield"]["author"] == citation["authors"][0]["name"]
    assert found["zhu2024generalized"]["title"] == paper["title"]
    assert paper["identifiers"][0]["value"] == f"arXiv:{found['zhu2024generalized']['eprint']}"
    names = [f"{one['family-names']}, {one['given-names']}" for one in paper["authors"]]
    assert found["zhu2024generalized"]["author"] == " and ".join(names)


def test_every_section_of_the_results_says_how_it_is_made_again() -> None:
    page = (ROOT / "docs" / "reproduce.md").read_text("utf-8")
    rows = re.findall(
        r"^\| ([^|]+) \| `(?:python benchmarks/(\w+\.py)|make demo)", page, re.MULTILINE
    )
    assert all((ROOT / "benchmarks" / script).is_file() for _, script in rows if script)
    figures = [figure.strip() for figure, _ in rows]
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    for section in re.findall(r"^## (.+)$", results, re.MULTILINE):
        assert any(section.startswith(figure.partition(", ")[0]) for figure in figures), section


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
