"""Every layout that rankfield reads and writes, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["LAYOUTS", "Layout"]


@dataclass(frozen=True)
class Layout:
    """A layout of ranking data.

    Its module is `rankfield.formats.<name>`, "-" as "_", unless given; it holds

    - ``read_<name>(src, **options) -> (RankingDataset, notes)``, which writes nothing;
    - ``write_<name>(dataset, out, **options) -> notes``, whole or not at all;
    - ``looks_like_<name>(src) -> str | None``, a sentence why `src` looks like it.

    Its command is ``command`` in `rankfield.cli.import_<name>`. `example` is a complete command.
    """

    name: str
    description: str
    example: str
    module: str = ""

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
        return self._function("read")  # type: ignore[no-any-return]

    @property
    def write(self) -> Callable[..., list[str]]:
        """The writer."""
        return self._function("write")  # type: ignore[no-any-return]

    @property
    def looks_like(self) -> Callable[[Path], str | None]:
        """The guess."""
        return self._function("looks_like")  # type: ignore[no-any-return]

    def _function(self, verb: str) -> Any:
        module = importlib.import_module(f"rankfield.formats.{self.module or self.identifier}")
        return getattr(module, f"{verb}_{self.identifier}")


LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            "tables",
            "documents, queries and judgments as CSV, TSV, JSON Lines or Parquet",
            "rankfield import tables shop-export shop --relevant 2",
        ),
    )
}
"""Name → layout, in the order of help."""
