"""Pages, cards and figures of hostile names: nothing in them acts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confined import Confined
from hostile import TEXTS, bounded, tables, write_dataset
from parsed_page import Page


@given(texts=st.lists(TEXTS, min_size=2, max_size=3), name=TEXTS, label=TEXTS)
@bounded(3)
def test_reports_are_inert(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], name: str, label: str
) -> None:
    place = Confined(tmp_path_factory.mktemp("reports"))
    provenance = {"source": texts[0], "licence": texts[-1]}
    write_dataset(place.here / "data", tables(texts, texts), name=name, provenance=provenance)
    words = ("evaluate", "data", "--baseline", "random", "--out", "r.json", "--label", label)
    outputs = ["r.json", "r.rankings.parquet", "r.queries.parquet"]
    said = place.run(*words, outputs=outputs)
    if said.code:
        return  # a label or a column that cannot be one
    outputs = ["r.html", "r.md", "j.json", "card.md"]
    words = ("report", "r.json", "--out", "r.html", "--out", "r.md", "--out", "j.json")
    said = place.run(
        *words, "--model-card", "card.md", "--slice", "document.title", outputs=outputs
    )
    assert said.code == 0, said.err
    for tag, attributes in Page((place.here / "r.html").read_text("utf-8")).tags:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form")
        for key, value in attributes.items():
            assert not key.startswith("on"), (tag, key)
            if key in ("src", "href"):
                assert (value or "").startswith(("data:", "#")), (tag, value)
    for file in ("r.md", "card.md"):
        text = (place.here / file).read_text("utf-8")
        assert not re.search(r"(?<!\\)<(?:script|img|/style|!--)", text), text
        assert not re.search(r"(?<!\\)\]\((?:http://evil|javascript)", text), text
        assert str(place.root) not in text
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2066]", text)
