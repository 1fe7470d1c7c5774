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

    name: as the command line spells it.
    description: one line.
    signs: what a source in this layout is told by.
    example: a complete import command.
    modules: below `rankfield.formats`; in one of them each stand

    - ``read_<stem>(src, **options) -> (RankingDataset, notes)``, which writes nothing;
    - ``write_<stem>(dataset, out, **options) -> notes``, whole or not at all;
    - ``looks_like_<stem>(src) -> str | None``, a sentence why `src` looks like it.

    stem: the name with "_" for "-", unless given.
    checks: options of the reader with which it checks all that it can.

    general: it is guessed only where no other layout fits.

    The command is ``command`` in `command_module` below `rankfield.cli`.
    """

    name: str
    description: str
    signs: str
    example: str
    modules: tuple[str, ...]
    stem: str = ""
    checks: Mapping[str, Any] = field(default_factory=dict)
    general: bool = False

    @property
    def command_module(self) -> str:
        """The module below `rankfield.cli` that holds the import's command."""
        return f"import_{self.name.replace('-', '_')}"

    @property
    def read(self) -> Callable[..., tuple[Any, list[str]]]:
        """The reader."""
        return self._function("read")

    @property
    def write(self) -> Callable[..., list[str]]:
        """The writer."""
        return self._function("write")

    @property
    def looks_like(self) -> Callable[[Path], str | None]:
        """The guess."""
        return self._function("looks_like")

    def _function(self, verb: str) -> Callable[..., Any]:
        name = f"{verb}_{self.stem or self.name.replace('-', '_')}"
        for module in self.modules:
            found = importlib.import_module(f"rankfield.formats.{module}")
            function: Callable[..., Any] | None = getattr(found, name, None)
            if function is not None:
                return function
        raise AttributeError(f"{name} is in none of {', '.join(self.modules)}")


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            name="tables",
            description="documents, queries and judgments as CSV, TSV, JSON Lines or Parquet",
            signs="a folder with documents.*, queries.* and judgments.*",
            example="rankfield import tables shop-export shop --relevant 2",
            modules=("tables.reading", "tables.writing"),
            checks={"bad_images": "error"},
        ),
        Layout(
            name="trec",
            description="a TREC collection: qrels or a run, topics, documents",
            signs="a folder with qrels*, topics* (queries*) and documents* (docs*, corpus*)",
            example="rankfield import trec robust robust-data --topics topics.301-450.txt",
            modules=("trec.collection",),
        ),
        Layout(
            name="beir",
            description="a BEIR folder: corpus.jsonl, queries.jsonl, qrels/*.tsv",
            signs="a folder with corpus.jsonl, queries.jsonl and qrels/",
            example="rankfield import beir scifact scifact-data --subset test",
            modules=("beir",),
        ),
        Layout(
            name="wands",
            description="Wayfair's WANDS: query.csv, product.csv, label.csv",
            signs="a folder with query.csv, product.csv and label.csv, or dataset/ with them",
            example="rankfield import wands WANDS wands-data",
            modules=("wands",),
        ),
        Layout(
            name="marqo-gs",
            description="Marqo-GS's archive: triplets in CSV, corpora and ground truth in JSON",
            signs="a folder with corpus_1.json and query_…_product_id_….csv",
            example="rankfield import marqo-gs marqo-gs-10m gs --images images",
            modules=("marqo_gs.archive", "marqo_gs.archive_export"),
            checks={"bad_images": "error"},
        ),
        Layout(
            name="marqo-gs-parquet",
            description="Marqo-GS as on the Hugging Face Hub: Parquet with pictures",
            signs="Parquet files of the split in_domain with query and product_id",
            example="rankfield import marqo-gs-parquet marqo-GS-10M gs",
            modules=("marqo_gs.parquet",),
            checks={"bad_images": "error"},
        ),
        Layout(
            name="huggingface",
            description="a folder of the library datasets: three tables, or pairs",
            signs="dataset_dict.json, state.json, or Parquet files named as on the Hub",
            example="rankfield import huggingface shop-hub shop --query question",
            modules=("hugging_face.layout",),
            stem="hugging_face",
            general=True,
            checks={"bad_images": "error"},
        ),
        Layout(
            name="sentence-transformers",
            description="pairs, triplets, scored pairs or labelled lists",
            signs="columns anchor, positive; sentence1, sentence2; or sentence_A, sentence_B",
            example="rankfield import sentence-transformers triplets.parquet triplets-data",
            modules=("sentence_transformers.reading", "sentence_transformers.writing"),
            checks={"bad_images": "error"},
        ),
        Layout(
            name="esci",
            description="Amazon's Shopping Queries: examples and products in Parquet",
            signs="a folder with shopping_queries_dataset_examples.parquet and …_products.parquet",
            example="rankfield import esci shopping_queries_dataset esci --locale us",
            modules=("esci.reading", "esci.writing"),
        ),
        Layout(
            name="elasticsearch",
            description="judgment lists of Elasticsearch and OpenSearch, and a table of documents",
            signs="a .json file with requests or judgmentRatings, or a .txt file with qid:",
            example="rankfield import elasticsearch rank_eval.json shop --documents products.jsonl",
            modules=("judgment_lists.elasticsearch",),
        ),
        Layout(
            name="quepid",
            description="Quepid's judgments in CSV, and a table of documents",
            signs="a .csv file with the columns query, docid and rating",
            example="rankfield import quepid ratings.csv shop --documents products.jsonl",
            modules=("judgment_lists.quepid",),
        ),
    )
}
"""Name → layout, in the order of help."""
