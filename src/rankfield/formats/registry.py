"""Every layout that rankfield reads and writes, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from rankfield.formats.layout import Layout

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


class _Layouts(Mapping[str, Layout]):
    """The layouts, each loaded when it is asked for: the names alone need no library."""

    def __getitem__(self, name: str) -> Layout:
        layout: Layout = import_module(f"rankfield.formats.{_MODULES[name]}").LAYOUT
        return layout

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


LAYOUTS: Mapping[str, Layout] = _Layouts()
"""Name → layout, in the order of help."""
