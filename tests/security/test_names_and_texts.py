"""Hostile names and texts through every command: inert, inside, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confined import Confined
from hostile import NAMES, TEXTS, bounded, tables, write_dataset, write_table
from parsed_page import Page

EXPORTS = (
    *("tables", "trec", "beir", "wands", "marqo-gs", "marqo-gs-parquet", "huggingface"),
    *("sentence-transformers", "esci", "elasticsearch", "quepid"),
)
_words = st.lists(TEXTS, min_size=1, max_size=3)
_names = st.lists(NAMES, min_size=1, max_size=3)


def assert_inert(page: Path) -> None:
    """Assert that a page holds no script but its own and loads nothing."""
    parsed = Page(page.read_text("utf-8"))
    for tag, attributes in parsed.tags:
        assert tag not in ("iframe", "object", "embed", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href"):
                assert (value or "").startswith(("data:image/", "data:,", "#")), (tag, value)


@given(names=_names, texts=_words, ending=st.sampled_from(("csv", "tsv", "jsonl", "parquet")))
@bounded(6)
def test_tables_are_imported_or_refused(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], texts: list[str], ending: str
) -> None:
    place = Confined(tmp_path_factory.mktemp("names"))
    for table, columns in tables(names, texts).items():
        write_table(place.theirs / f"{table}.{ending}", columns)
    if place.run("import", "tables", place.theirs, "data", outputs=["data"]).code == 0:
        place.run("check", "data")
        place.run("export", "tables", "data", "again", outputs=["again"])
    place.run("import", place.theirs, "guessed", outputs=["guessed"])


@given(names=_names, texts=_words, data_name=TEXTS)
@bounded(3)
def test_a_data_set_stays_data(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], texts: list[str], data_name: str
) -> None:
    place = Confined(tmp_path_factory.mktemp("data"))
    contents = tables(names, texts)
    field = next((n for n in contents["documents"] if n not in ("doc_id", "title")), "title")
    theirs = write_dataset(
        place.theirs,
        contents,
        fields=[("title", "text"), *([(field, "text")] if field != "title" else [])],
        name=data_name,
        provenance={"source": texts[0], "licence": texts[-1]},
    )
    place.run("check", theirs, "--html", "page.html", outputs=["page.html"])
    place.run("check", theirs, "--card", "card.md", outputs=["card.md"])
    if (place.here / "page.html").exists():
        assert_inert(place.here / "page.html")
    place.run("dedupe", theirs, "unique", outputs=["unique"])
    place.run("recipe", theirs, "--out", "recipe.toml", outputs=["recipe.toml"])
    if place.run("split", theirs, "split", outputs=["split"]).code:
        return
    for layout in EXPORTS:
        place.run("export", layout, "split", f"as-{layout}", outputs=[f"as-{layout}"])
    results = ("--baseline", "random", "--out", "r.json", "--label", texts[0])
    place.run(
        "evaluate", "split", *results, outputs=["r.json", "r.rankings.parquet", "r.queries.parquet"]
    )
    place.run("compare", "r.json", "--slice", f"document.{field}")
