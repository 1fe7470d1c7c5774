"""Every layout that rankfield reads and writes, by name."""

from __future__ import annotations

from collections.abc import Mapping

from rankfield.formats.layout import Layout
from rankfield.module_table import ModuleTable

__all__ = ["LAYOUTS"]

_MODULES = {
    "tables": "tables",
    "trec": "trec.collection",
    "beir": "beir",
    "wands": "wands",
    "marqo-gs": "marqo_gs.archive",
    "marqo-gs-parquet": "marqo_gs.parquet",
    "huggingface": "hugging_face.layout",
    "sentence-transformers": "sentence_transformers",
    "esci": "esci",
    "elasticsearch": "judgment_lists.elasticsearch",
    "quepid": "judgment_lists.quepid",
}
"""Name → module of this package, whose `LAYOUT` it is."""

LAYOUTS: Mapping[str, Layout] = ModuleTable("rankfield.formats", _MODULES)
"""Name → layout, in the order of help."""
