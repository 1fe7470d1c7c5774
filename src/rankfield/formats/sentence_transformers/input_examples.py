"""`InputExample`s of sentence-transformers: {"texts": [query, document], "label": 1}."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from rankfield.io.table import Table

__all__ = ["examples_apart"]

_TEXTS, _LABEL, _ID = "texts", "label", "guid"


def examples_apart(table: Table) -> tuple[Table, list[str]]:
    """Return a table of `InputExample`s with a column for each text; any other table as it is.

    Labels that are all 0 are those that the class gives to pairs without one: they are left out,
    as is the id.

    Returns:
        The table and what was left out, one sentence each.

    Raises:
        DataError: an example with fewer than two texts, or fewer than the first one.
    """
    dtype = table.frame.schema.get(_TEXTS)
    if not (isinstance(dtype, pl.List) and dtype.inner == pl.String):
        return table, []
    texts = table.frame[_TEXTS]
    count = max([2, *texts.list.len().head(1).drop_nulls()])
    wrong = (texts.list.len() != count).fill_null(True)
    table.refuse(_TEXTS, wrong, f"expected {count} texts, as in the first example, found {{}}")
    columns = {f"text_{i + 1}": texts.list.get(i) for i in range(count)}
    frame = table.frame.drop(_TEXTS, _ID, strict=False).with_columns(**columns)
    order = [*columns, *(name for name in frame.columns if name not in columns)]
    notes = []
    if _LABEL in order and (frame[_LABEL].cast(pl.Float64, strict=False) == 0).all():
        order.remove(_LABEL)
        notes.append("labels are left out: all are 0, as of examples without one")
    return replace(table, data=frame.select(order)), notes
