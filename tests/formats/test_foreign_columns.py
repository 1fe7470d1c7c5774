"""A foreign column never breaks an import or an export, whatever it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from every_layout import SOURCES, edit_rows
from rankfield.column_names import normalised_name
from rankfield.curation import split
from rankfield.formats.registry import LAYOUTS
from rankfield.schema import RankingDataset
from rankfield.synthetic import sample_shop
from rankfield.validate import audit

NAMES = (
    *("query_id", "doc_id", "score", "query", "document", "product_id", "seen", "subset", "split"),
    *("rank", "similarity", "row", "part", "number", "source", "query_seen", "document_seen"),
)
OWN = {  # names by which these layouts themselves know ids and scores
    "hub-tables": {"query_id", "doc_id", "product_id", "score"},
    "hub-pairs": {"query_id", "doc_id", "product_id", "score", "query"},
}
IDS = {"queries": ["query_id"], "documents": ["doc_id"], "judgments": ["query_id", "doc_id"]}
VALUE = "foreign value"


def columns_of(path: Path) -> set[str]:
    if path.suffix == ".parquet":
        return set(pl.read_parquet_schema(path))
    found: set[str] = set()

    def look(row: dict[str, Any]) -> dict[str, Any]:
        found.update(row)
        return row

    edit_rows(path, look)
    return found


@pytest.mark.parametrize("foreign", NAMES)
@pytest.mark.parametrize(
    ("name", "table"), [(name, table) for name, s in SOURCES.items() for table in s.tables]
)
def test_an_import_keeps_a_foreign_column(
    tmp_path: Path, name: str, table: str, foreign: str
) -> None:
    source = SOURCES[name]
    plain, _ = source.read(tmp_path / "plain", source.write(tmp_path / "plain"))
    src = source.write(tmp_path / "foreign")
    path = tmp_path / "foreign" / source.tables[table]
    known = set(map(normalised_name, columns_of(path))) | OWN.get(name, set())
    if foreign in known:
        pytest.skip("the layout's own name")

    def with_column(row: dict[str, Any]) -> dict[str, Any]:
        if "_source" in row:  # an export of an index
            return row | {"_source": row["_source"] | {foreign: VALUE}}
        return row | {foreign: VALUE}

    edit_rows(path, with_column)
    data, notes = source.read(tmp_path / "foreign", src)
    assert not [p for p in audit(data, images=False) if p.severity == "error"]
    for part, ids in IDS.items():
        before, after = getattr(plain, part), getattr(data, part)
        assert plain.fields(part) == data.fields(part)
        names = [*ids, *(f.name for f in plain.fields(part))]
        names += ["score"] if part == "judgments" else []
        assert_frame_equal(after.select(names), before.select(names))
    frame = getattr(data, table)
    kept = [c.name for c in frame if c.dtype == pl.String and VALUE in c.to_list()]
    assert kept == [foreign] or any(repr(kept[0]) in note for note in notes)


@pytest.fixture(scope="module")
def foreign_data(tmp_path_factory: pytest.TempPathFactory) -> RankingDataset:
    """A split data set whose tables hold columns called as those of every layout."""
    shop = sample_shop(tmp_path_factory.mktemp("shop") / "s", documents=60, queries=24, seed=1)
    data = split(shop)
    names = {
        *NAMES,
        *("title", "image", "_id", "id", "label", "anchor", "positive", "sentence1", "number"),
        *("text", "example_id", "esci_label", "product_locale", "product_title", "product_name"),
        *("score_linear", "position", "query-id", "corpus-id", "place", "turn", "count", "key"),
        *("grade", "line", "name", "locale", "source_title", "source_query"),
    }
    for table in IDS:
        frame = getattr(data, table)
        added = [
            pl.lit(VALUE if name != "esci_label" else "E").alias(name)
            for name in sorted(names)
            if name not in frame.columns and not (table != "queries" and name == "source")
        ]
        data = data.with_tables(**{table: frame.with_columns(added)})
    return data


OPTIONS: dict[str, dict[str, Any]] = {
    "wands": {"grades": {"a": 1.0}},
    "elasticsearch": {"kind": "opensearch"},
    "tables": {"ending": "parquet"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_export_leaves_no_foreign_column_in_its_way(
    tmp_path: Path, layout: str, foreign_data: RankingDataset
) -> None:
    data = foreign_data
    if layout == "wands":
        data = data.with_tables(judgments=data.judgments.with_columns(score=pl.lit(1.0)))
    out = tmp_path / "out"
    LAYOUTS[layout].write(data, out, **OPTIONS.get(layout, {}))
    if layout in ("elasticsearch", "quepid"):  # a file without documents
        assert VALUE not in out.read_text("utf-8")
        return
    options = OPTIONS["wands"] if layout == "wands" else {}
    back, _ = LAYOUTS[layout].read(out, **options)
    if layout == "sentence-transformers":  # keeps a part of the judgments, without ids
        assert back.judgments.height > 0
        assert VALUE not in back.documents["document"].to_list()
        return
    text = next(f.name for f in data.query_fields if f.modality == "text")
    own = dict(data.queries.select("query_id", text).rows())
    text = next(f.name for f in back.query_fields if f.modality == "text")
    texts = dict(back.queries.select("query_id", text).rows())
    assert set(texts.values()) <= set(own.values())
    assert VALUE not in {*texts.values()}
    judged = data.judgments["doc_id"].unique()
    if layout != "esci":
        assert set(judged) <= set(back.documents["doc_id"])
    titles = dict(data.documents.select("doc_id", "title").rows())
    for f in back.document_fields:
        if f.modality == "text" and (layout, f.name) != ("trec", "text"):  # a field by its name
            assert VALUE not in back.documents[f.name].to_list()
        if f.name == "title" and layout != "esci":
            shown = dict(back.documents.select("doc_id", "title").rows())
            assert all(titles[key] == value for key, value in shown.items())
