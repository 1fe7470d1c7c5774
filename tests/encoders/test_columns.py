from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.encoders.columns import FieldColumn, field_columns
from rankfield.schema import Field

TEXTS = st.none() | st.sampled_from(["", " ", "a", "b", "ä", "\x00", "a\n"])


def present(value: str | bytes | None) -> bool:
    """Return whether a record holds this value: a text in which nothing can be seen is none."""
    if isinstance(value, str):
        return any(sign.isprintable() and not sign.isspace() for sign in value)
    return bool(value)


def held(column: FieldColumn) -> list[list[str] | list[bytes]]:
    """Return what each record holds."""
    ends = zip(column.starts[:-1], column.starts[1:], strict=True)
    return [[column.values[c] for c in column.entries[a:b]] for a, b in ends]


@given(st.lists(TEXTS))
def test_starts_entries_and_values_give_the_column_back(values: list[str | None]) -> None:
    encoded = [None if v is None else v.encode() for v in values]
    frame = pl.DataFrame(
        {"title": values, "image": encoded}, schema={"title": pl.String, "image": pl.Binary}
    )
    fields = [Field("image", "image"), Field("title", "text")]
    image, title = field_columns(frame, fields)
    assert [image.field, title.field] == fields
    for column, expected in ((image, encoded), (title, values)):
        assert column.starts.dtype == column.entries.dtype == np.int64
        assert len(set(column.values)) == len(column.values)
        assert held(column) == [[v] if present(v) else [] for v in expected]
        assert sorted(set(column.entries.tolist())) == list(range(len(column.values)))
        assert not column.multi_valued


@given(st.lists(st.none() | st.lists(TEXTS, max_size=4)))
def test_lists_give_the_column_back(values: list[list[str | None] | None]) -> None:
    encoded = [
        None if items is None else [None if v is None else v.encode() for v in items]
        for items in values
    ]
    frame = pl.DataFrame(
        {"paths": values, "bytes": encoded},
        schema={"paths": pl.List(pl.String), "bytes": pl.List(pl.Binary)},
    )
    for column in field_columns(frame, [Field("paths", "image"), Field("bytes", "image")]):
        given_values = frame[column.field.name].to_list()
        assert held(column) == [[v for v in items or [] if present(v)] for items in given_values]
        assert len(set(column.values)) == len(column.values)
        assert column.multi_valued == any(len(items) > 1 for items in held(column))


@pytest.mark.parametrize("most", [1, 3])
@given(data=st.data())
def test_the_entries_of_some_rows(most: int, data: st.DataObject) -> None:
    lists = st.lists(st.sampled_from("abcd"), max_size=most)
    values = data.draw(st.lists(lists, min_size=1))
    frame = pl.DataFrame({"photos": values}, schema={"photos": pl.List(pl.String)})
    (column,) = field_columns(frame, [Field("photos", "image")])
    rows = np.array(data.draw(st.lists(st.integers(0, len(values) - 1))), dtype=np.int64)
    positions, codes = column.entries_of(rows)
    found = [(int(p), column.values[c]) for p, c in zip(positions, codes, strict=True)]
    assert found == [(p, v) for p, row in enumerate(rows) for v in values[row]]
    known = {column.values[c]: c for c in column.entries}
    assert column.codes_of(rows).tolist() == sorted({known[v] for r in rows for v in values[r]})


@pytest.mark.parametrize("values", [[], [None, None], ["", None]])
def test_nothing_present(values: list[str | None]) -> None:
    frame = pl.DataFrame({"title": values}, schema={"title": pl.String})
    (column,) = field_columns(frame, [Field("title", "text")])
    assert column.values == []
    assert column.starts.tolist() == [0] * (len(values) + 1)
    everything = np.arange(len(values))
    assert len(column.entries_of(everything)[0]) == len(column.codes_of(everything)) == 0
