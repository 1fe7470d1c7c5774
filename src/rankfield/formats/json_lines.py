"""JSON Lines whose values are texts, in large files: parsed by polars where that is exact."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import polars as pl

from rankfield.formats.lines import read_lines
from rankfield.formats.text_tables import TextTable, read_table

__all__ = ["read_text_records"]


def read_text_records(path: Path, keys: Collection[str]) -> TextTable:
    """Read a file as `read_table` does, about ten times as fast if all values of `keys` are texts.

    Other keys, numbers, broken lines and half surrogate pairs are left to `read_table`, which names
    the line. Keys whose every value is an empty object are left out.

    Raises:
        DataError: as `read_table`.
    """
    table = _parsed(path, keys) or read_table(path)
    empty = [c.name for c in table.frame if c.dtype == pl.String and c.eq_missing("{}").all()]
    return TextTable(path, table.frame.drop(empty), table.lines)


def _parsed(path: Path, keys: Collection[str]) -> TextTable | None:
    """Return the table, or None where polars might read something else than what is there."""
    lines = read_lines(path)
    # a number or an object under a key would be spelt anew (n begins null)
    no_text = rf'"(?:{"|".join(map(re.escape, keys))})"\s*:\s*[^"\sn]'
    if lines.frame["text"].str.contains(no_text).any():
        return None
    try:
        frame = pl.read_ndjson(path, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return None
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    objects = [name for name, kind in frame.schema.items() if kind == pl.Struct([])]
    exact = {*texts, *objects} == set(frame.columns) and set(texts) <= set(keys)
    # polars turns half of a surrogate pair into a null character
    broken = frame.select(pl.any_horizontal(pl.col(texts).str.contains("\0", literal=True).any()))
    if not exact or frame.height != lines.frame.height or broken.item():
        return None
    return TextTable(path, frame.select(pl.col(texts).replace("", None)), lines.lines)
