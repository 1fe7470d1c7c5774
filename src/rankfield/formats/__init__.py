"""Other layouts of ranking data: one file per layout, reading and writing.

`registry.LAYOUTS` lists them all. The names below are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.lazy_names import lazy_names

if TYPE_CHECKING:
    from rankfield.formats.beir import read_beir, write_beir
    from rankfield.formats.esci.reading import read_esci
    from rankfield.formats.esci.writing import write_esci
    from rankfield.formats.guess import guess_layout
    from rankfield.formats.hugging_face.layout import read_hugging_face, write_hugging_face
    from rankfield.formats.judgment_lists.elasticsearch import (
        read_elasticsearch,
        write_elasticsearch,
    )
    from rankfield.formats.judgment_lists.quepid import read_quepid, write_quepid
    from rankfield.formats.marqo_gs.archive import read_marqo_gs
    from rankfield.formats.marqo_gs.archive_export import write_marqo_gs
    from rankfield.formats.marqo_gs.parquet import read_marqo_gs_parquet, write_marqo_gs_parquet
    from rankfield.formats.sentence_transformers.reading import read_sentence_transformers
    from rankfield.formats.sentence_transformers.writing import write_sentence_transformers
    from rankfield.formats.tables.reading import TableOptions, import_tables, read_tables
    from rankfield.formats.tables.writing import write_tables
    from rankfield.formats.trec.collection import read_trec, write_trec
    from rankfield.formats.trec.runs import read_qrels, read_run, write_qrels, write_run
    from rankfield.formats.wands import read_wands, write_wands

_HOMES = {
    "TableOptions": "tables.reading",
    "guess_layout": "guess",
    "import_tables": "tables.reading",
    "read_beir": "beir",
    "read_elasticsearch": "judgment_lists.elasticsearch",
    "read_esci": "esci.reading",
    "read_hugging_face": "hugging_face.layout",
    "read_marqo_gs": "marqo_gs.archive",
    "read_marqo_gs_parquet": "marqo_gs.parquet",
    "read_qrels": "trec.runs",
    "read_quepid": "judgment_lists.quepid",
    "read_run": "trec.runs",
    "read_sentence_transformers": "sentence_transformers.reading",
    "read_tables": "tables.reading",
    "read_trec": "trec.collection",
    "read_wands": "wands",
    "write_beir": "beir",
    "write_elasticsearch": "judgment_lists.elasticsearch",
    "write_esci": "esci.writing",
    "write_hugging_face": "hugging_face.layout",
    "write_marqo_gs": "marqo_gs.archive_export",
    "write_marqo_gs_parquet": "marqo_gs.parquet",
    "write_qrels": "trec.runs",
    "write_quepid": "judgment_lists.quepid",
    "write_run": "trec.runs",
    "write_sentence_transformers": "sentence_transformers.writing",
    "write_tables": "tables.writing",
    "write_trec": "trec.collection",
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

__getattr__ = lazy_names(__name__, _HOMES)
