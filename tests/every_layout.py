"""A small source in every layout that the registry lists, with the files of its three tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from format_miniatures import MINIATURES
from miniatures_of_layouts import esci, marqo_archive, marqo_parquet
from rankfield.formats.registry import LAYOUTS
from rankfield.schema import RankingDataset

__all__ = ["SOURCES", "Source", "edit_rows"]


@dataclass(frozen=True)
class Source:
    """A miniature of a layout.

    write: makes the files in a new folder and returns what an import takes.
    files: options of the reader → file in the folder.
    tables: "queries", "documents", "judgments" → the file with its rows, as far as one names its
        columns; further columns there are kept.
    """

    layout: str
    write: Callable[[Path], Path]
    files: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)

    def read(self, folder: Path, src: Path, **options: Any) -> tuple[RankingDataset, list[str]]:
        files = {option: folder / name for option, name in self.files.items()}
        return LAYOUTS[self.layout].read(src, **files, **options)


def _hub_tables(folder: Path) -> Path:
    tables = {
        "queries/queries-00000-of-00001.parquet": pl.DataFrame(
            {"_id": ["q1", "q2"], "text": ["red mug", "oak desk"]}
        ),
        "corpus/corpus-00000-of-00001.parquet": pl.DataFrame(
            {"_id": ["d1", "d2", "d3"], "title": ["Red mug", "Blue mug", "Oak desk"]}
        ),
        "qrels/test-00000-of-00001.parquet": pl.DataFrame(
            {"query-id": ["q1", "q1", "q2"], "corpus-id": ["d1", "d2", "d3"], "score": [2, 1, 2]}
        ),
    }
    for name, frame in tables.items():
        (folder / name).parent.mkdir(parents=True)
        frame.write_parquet(folder / name)
    return folder


def _hub_pairs(folder: Path) -> Path:
    folder.mkdir(parents=True)
    rows = [
        {"query": "red mug", "product_id": "d1", "title": "Red mug", "score": 2.0},
        {"query": "red mug", "product_id": "d2", "title": "Blue mug", "score": 1.0},
        {"query": "oak desk", "product_id": "d3", "title": "Oak desk", "score": 2.0},
        {"query": "oak desk", "product_id": "d1", "title": "Red mug", "score": 0.0},
    ]
    pl.DataFrame(rows).write_ndjson(folder / "train.jsonl")
    return folder


def _triplets(folder: Path) -> Path:
    folder.mkdir(parents=True)
    rows = [
        {"anchor": "red mug", "positive": "Red mug", "negative": "Blue mug"},
        {"anchor": "oak desk", "positive": "Oak desk", "negative": "Red mug"},
    ]
    pl.DataFrame(rows).write_ndjson(folder / "train.jsonl")
    return folder / "train.jsonl"


_TABLES: dict[str, dict[str, str]] = {
    "tables": {t: f"{t}.csv" for t in ("queries", "documents", "judgments")},
    "trec-xml": {"documents": "documents.jsonl"},
    "beir": {"queries": "queries.jsonl", "documents": "corpus.jsonl"},
    "wands": {"queries": "query.csv", "documents": "product.csv", "judgments": "label.csv"},
    "rank-eval": {"documents": "products.jsonl"},
    "opensearch": {"documents": "products.jsonl"},
    "quepid": {"documents": "products.jsonl"},
}

SOURCES: dict[str, Source] = {
    name: Source(layout, write, files, _TABLES.get(name, {}))
    for name, (layout, write, files) in MINIATURES.items()
} | {
    "marqo-gs": Source("marqo-gs", marqo_archive, tables={"judgments": "query_0_product_id_0.csv"}),
    "marqo-gs-parquet": Source("marqo-gs-parquet", marqo_parquet),
    "esci": Source(
        "esci",
        esci,
        tables={
            "documents": "shopping_queries_dataset_products.parquet",
            "judgments": "shopping_queries_dataset_examples.parquet",
        },
    ),
    "hub-tables": Source(
        "huggingface",
        _hub_tables,
        tables={
            "queries": "queries/queries-00000-of-00001.parquet",
            "documents": "corpus/corpus-00000-of-00001.parquet",
            "judgments": "qrels/test-00000-of-00001.parquet",
        },
    ),
    "hub-pairs": Source("huggingface", _hub_pairs, tables={"documents": "train.jsonl"}),
    "triplets": Source("sentence-transformers", _triplets),
}
"""Name → source; every layout has one."""

_LACKING = set(LAYOUTS) - {source.layout for source in SOURCES.values()}
assert not _LACKING, (
    f"the layout {', '.join(sorted(_LACKING))} has no miniature: add one to MINIATURES in "
    "tests/format_miniatures.py, or to SOURCES here"
)


def edit_rows(path: Path, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Rewrite a CSV, TSV, JSON Lines or Parquet file with every row as `edit` returns it."""
    if path.suffix == ".parquet":
        rows = [edit(row) for row in pl.read_parquet(path).to_dicts()]
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    elif path.suffix == ".jsonl":
        rows = [edit(json.loads(line)) for line in path.read_text("utf-8").splitlines()]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    else:
        text = path.read_text("utf-8")
        delimiter = "\t" if "\t" in text.splitlines()[0] else ","
        rows = [edit(row) for row in csv.DictReader(io.StringIO(text), delimiter=delimiter)]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
