"""Every layout that rankfield reads and writes, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from rankfield.formats.layout import Layout

__all__ = ["LAYOUTS"]


class _Layouts(Mapping[str, Layout]):
    """The layouts, each loaded when it is asked for: the names alone need no library."""

    names = (
        *("tables", "trec", "beir", "wands", "marqo-gs", "marqo-gs-parquet", "huggingface"),
        *("sentence-transformers", "esci", "elasticsearch", "quepid"),
    )

    def __getitem__(self, name: str) -> Layout:
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@cache
def _load(name: str) -> Layout:
    match name:
        case "tables":
            from rankfield.formats.tables import LAYOUT
        case "trec":
            from rankfield.formats.trec.collection import LAYOUT
        case "beir":
            from rankfield.formats.beir import LAYOUT
        case "wands":
            from rankfield.formats.wands import LAYOUT
        case "marqo-gs":
            from rankfield.formats.marqo_gs.archive import LAYOUT
        case "marqo-gs-parquet":
            from rankfield.formats.marqo_gs.parquet import LAYOUT
        case "huggingface":
            from rankfield.formats.hugging_face.layout import LAYOUT
        case "sentence-transformers":
            from rankfield.formats.sentence_transformers import LAYOUT
        case "esci":
            from rankfield.formats.esci import LAYOUT
        case "elasticsearch":
            from rankfield.formats.judgment_lists.elasticsearch import LAYOUT
        case "quepid":
            from rankfield.formats.judgment_lists.quepid import LAYOUT
        case _:
            raise KeyError(name)
    return LAYOUT


LAYOUTS: Mapping[str, Layout] = _Layouts()
"""Name → layout, in the order of help."""
