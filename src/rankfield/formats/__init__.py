"""Other layouts of ranking data: one file per layout, reading and writing.

`registry.LAYOUTS` lists them all. The names below are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankfield.formats.beir import read_beir, write_beir
    from rankfield.formats.elasticsearch import read_elasticsearch, write_elasticsearch
    from rankfield.formats.esci import read_esci
    from rankfield.formats.esci_export import write_esci
    from rankfield.formats.hugging_face import read_hugging_face, write_hugging_face
    from rankfield.formats.layout_guess import guess_layout
    from rankfield.formats.marqo_gs import read_marqo_gs
    from rankfield.formats.marqo_gs_export import write_marqo_gs
    from rankfield.formats.marqo_gs_parquet import read_marqo_gs_parquet, write_marqo_gs_parquet
    from rankfield.formats.quepid import read_quepid, write_quepid
    from rankfield.formats.sentence_transformers import read_sentence_transformers
    from rankfield.formats.sentence_transformers_export import write_sentence_transformers
    from rankfield.formats.table_export import write_tables
    from rankfield.formats.tables import TableOptions, import_tables, read_tables
    from rankfield.formats.trec import read_qrels, read_run, write_qrels, write_run
    from rankfield.formats.trec_collection import read_trec, write_trec
    from rankfield.formats.wands import read_wands, write_wands

_HOMES = {
    "TableOptions": "tables",
    "guess_layout": "layout_guess",
    "import_tables": "tables",
    "read_beir": "beir",
    "read_elasticsearch": "elasticsearch",
    "read_esci": "esci",
    "read_hugging_face": "hugging_face",
    "read_marqo_gs": "marqo_gs",
    "read_marqo_gs_parquet": "marqo_gs_parquet",
    "read_qrels": "trec",
    "read_quepid": "quepid",
    "read_run": "trec",
    "read_sentence_transformers": "sentence_transformers",
    "read_tables": "tables",
    "read_trec": "trec_collection",
    "read_wands": "wands",
    "write_beir": "beir",
    "write_elasticsearch": "elasticsearch",
    "write_esci": "esci_export",
    "write_hugging_face": "hugging_face",
    "write_marqo_gs": "marqo_gs_export",
    "write_marqo_gs_parquet": "marqo_gs_parquet",
    "write_qrels": "trec",
    "write_quepid": "quepid",
    "write_run": "trec",
    "write_sentence_transformers": "sentence_transformers_export",
    "write_tables": "table_export",
    "write_trec": "trec_collection",
    "write_wands": "wands",
}

__all__ = [
    "TableOptions",
    "guess_layout",
    "import_tables",
    "read_beir",
    "read_elasticsearch",
    "read_esci",
    "read_hugging_face",
    "read_marqo_gs",
    "read_marqo_gs_parquet",
    "read_qrels",
    "read_quepid",
    "read_run",
    "read_sentence_transformers",
    "read_tables",
    "read_trec",
    "read_wands",
    "write_beir",
    "write_elasticsearch",
    "write_esci",
    "write_hugging_face",
    "write_marqo_gs",
    "write_marqo_gs_parquet",
    "write_qrels",
    "write_quepid",
    "write_run",
    "write_sentence_transformers",
    "write_tables",
    "write_trec",
    "write_wands",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"rankfield.formats.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'rankfield.formats' has no attribute {name!r}")
