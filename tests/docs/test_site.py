"""The site has every page and public name; the check of the built site finds faults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import site_sources
from field_lists import as_list
from site_check import problems
from site_sources import ELSEWHERE, ROOT, api_pages, public_names, stage, staged_text

PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_every_page_is_in_the_navigation_once() -> None:
    configuration = (ROOT / "docs" / "site" / "mkdocs.yml").read_text("utf-8")
    listed = re.findall(r"^ +- (?:.*: )?([\w-]+\.md)$", configuration, re.MULTILINE)
    assert sorted(listed) == sorted([*PAGES, *ELSEWHERE.values()])


def test_the_staged_pages_link_to_each_other(tmp_path: Path) -> None:
    stage(tmp_path / "site")
    pages = tmp_path / "site" / "pages"
    for page in pages.rglob("*.md"):
        text = page.read_text("utf-8")
        assert "no-run\n" not in re.sub(r"`[^`\n]*`", "", text)
        for link in re.findall(r"\]\((?!https?://|#)([^)\s#]+)", text):
            assert (page.parent / link).is_file(), f"{page.name}: {link}"
    configuration = (tmp_path / "site" / "mkdocs.yml").read_text("utf-8")
    listed = re.findall(r"^ +- (api/\S+)$", configuration, re.MULTILINE)
    assert sorted(listed) == sorted(f"api/{path.name}" for path in (pages / "api").iterdir())


def test_links_out_of_docs_are_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_sources, "ROOT", tmp_path)
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    (tmp_path / "RESULTS.md").write_text("", "utf-8")
    (tmp_path / "figure.svg").write_text("", "utf-8")
    page.write_text(
        "[a](../RESULTS.md#top) ![b](../figure.svg) [c](page.md) [d](#here) [e](https://x.y/z)\n"
        "```bash no-run\nls\n```\n",
        "utf-8",
    )
    copies: set[Path] = set()
    sources = {page: "page.md", tmp_path / "RESULTS.md": "results.md"}
    assert staged_text(page, sources, copies) == (
        "[a](results.md#top) ![b](files/figure.svg) [c](page.md) [d](#here) [e](https://x.y/z)\n"
        "```bash\nls\n```\n"
    )
    assert copies == {tmp_path / "figure.svg"}
    page.write_text("[a](../none.md)", "utf-8")
    with pytest.raises(ValueError, match=r"page\.md: \.\./none\.md leads nowhere"):
        staged_text(page, sources, copies)


def test_the_api_has_every_public_name_where_static_tools_find_it() -> None:
    pages = api_pages()
    assert public_names("rankfield.losses")
    for part in ("rankfield", "rankfield.losses", "rankfield.report"):
        for name in public_names(part):
            assert re.search(rf"^::: rankfield\.\S*\b{name}$", pages[f"{part}.md"], re.MULTILINE)
    for page in pages.values():
        for module, name in re.findall(r"^::: (\S+)\.(\w+)$", page, re.MULTILINE):
            source = ROOT / "src" / Path(*module.split("."))
            file = source / "__init__.py" if source.is_dir() else source.with_suffix(".py")
            definition = rf"^(?:async def |def |class |type )?{name}\b(?!,)"
            found = re.search(definition, file.read_text("utf-8"), re.MULTILINE)
            assert found, f"{module}.{name}: define it by a statement of its own"


def test_fields_in_a_docstring_become_a_list() -> None:
    text = "A pair.\nNote: both.\nleft, right: two parts,\n    long\nsize: of it\n\nother: none"
    shown = as_list(text, {"left", "right", "size"})
    assert shown == (
        "A pair.\nNote: both.\n\n- `left`, `right`: two parts,\n    long\n- `size`: of it\n\n"
        "other: none"
    )


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="b.html#here">', ""),
        ('<a href="b.html#there">', "b.html#there names no element"),
        ('<a href="c.html">', "c.html leads nowhere"),
        ('<a href="#top">', "#top names no element"),
        ('<a href="https://example.com/">', ""),
        ('<script src="https://example.com/x.js"></script>', "loads https://example.com/x.js"),
        ('<img src="//example.com/x.png">', "loads //example.com/x.png"),
        ("<style>@import 'https://example.com/x.css'</style>", "loads https://example.com/x.css"),
        ('<p style="background: url(//example.com/x)">', "loads //example.com/x"),
    ],
)
def test_faults_of_a_built_site_are_found(tmp_path: Path, page: str, fault: str) -> None:
    (tmp_path / "a.html").write_text(page, "utf-8")
    (tmp_path / "b.html").write_text('<h1 id="here">', "utf-8")
    found = problems(tmp_path)
    assert len(found) == bool(fault)
    assert all(fault in problem for problem in found)


def test_a_site_without_pages_is_a_fault(tmp_path: Path) -> None:
    assert problems(tmp_path)
