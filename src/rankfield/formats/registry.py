"""Every layout that rankfield reads and writes, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["LAYOUTS", "Layout"]


@dataclass(frozen=True)
class Layout:
    """A layout of ranking data.

    name: as the command line spells it; `identifier` is the same with "_" for "-".
    description: one line.
    signs: what a source in this layout is told by.
    example: a complete import command.
    module: below `rankfield.formats`; it holds (the last two may be in `writer_module`)

    - ``read_<identifier>(src, **options) -> (RankingDataset, notes)``, which writes nothing;
    - ``write_<identifier>(dataset, out, **options) -> notes``, whole or not at all;
    - ``looks_like_<identifier>(src) -> str | None``, a sentence why `src` looks like it.

    checks: options of the reader with which it checks all that it can.

    The command is ``command`` in `rankfield.cli.import_<identifier>`.
    """

    name: str
    description: str
    signs: str
    example: str
    module: str
    writer_module: str = ""
    checks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identifier(self) -> str:
        """The name as a part of Python names."""
        return self.name.replace("-", "_")

    @property
    def command_module(self) -> str:
        """The module below `rankfield.cli` that holds the import's command."""
        return f"import_{self.identifier}"

    @property
    def read(self) -> Callable[..., tuple[Any, list[str]]]:
        """The reader."""
        return self._function(self.module, "read")

    @property
    def write(self) -> Callable[..., list[str]]:
        """The writer."""
        return self._function(self.writer_module or self.module, "write")

    @property
    def looks_like(self) -> Callable[[Path], str | None]:
        """The guess."""
        return self._function(self.writer_module or self.module, "looks_like")

    def _function(self, module: str, verb: str) -> Callable[..., Any]:
        found = importlib.import_module(f"rankfield.formats.{module}")
        function: Callable[..., Any] = getattr(found, f"{verb}_{self.identifier}")
        return function


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            name="tables",
            description="documents, queries and judgments as CSV, TSV, JSON Lines or Parquet",
            signs="a folder with documents.*, queries.* and judgments.*",
            example="rankfield import tables shop-export shop --relevant 2",
            module="tables",
            writer_module="table_export",
            checks={"bad_images": "error"},
        ),
        Layout(
            name="trec",
            description="a TREC collection: qrels or a run, topics, documents",
            signs="a folder with qrels*, topics* (queries*) and documents* (docs*, corpus*)",
            example="rankfield import trec robust robust-data --topics topics.301-450.txt",
            module="trec_collection",
        ),
        Layout(
            name="beir",
            description="a BEIR folder: corpus.jsonl, queries.jsonl, qrels/*.tsv",
            signs="a folder with corpus.jsonl, queries.jsonl and qrels/",
            example="rankfield import beir scifact scifact-data --subset test",
            module="beir",
        ),
        Layout(
            name="wands",
            description="Wayfair's WANDS: query.csv, product.csv, label.csv",
            signs="a folder with query.csv, product.csv and label.csv, or dataset/ with them",
            example="rankfield import wands WANDS wands-data",
            module="wands",
        ),
        Layout(
            name="elasticsearch",
            description="judgment lists of Elasticsearch and OpenSearch, and a table of documents",
            signs="a .json file with requests or judgmentRatings, or a .txt file with qid:",
            example="rankfield import elasticsearch rank_eval.json shop --documents products.jsonl",
            module="elasticsearch",
        ),
    )
}
"""Name → layout, in the order of help."""
