"""What a column holds, one value a record or a list, checked record by record."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.field_values import (
    content_bytes,
    first_value,
    flat_values,
    is_absent,
    places,
    without_items,
)

VALUES = st.none() | st.sampled_from(["", "a", "b", "ü"])
LISTS = st.none() | st.lists(VALUES, max_size=4)


def column(values: Sequence[str | Sequence[str | None] | None], *, lists: bool) -> pl.Series:
    return pl.Series("photos", values, dtype=pl.List(pl.String) if lists else pl.String)


@pytest.mark.parametrize("binary", [False, True])
@given(values=st.lists(LISTS))
def test_lists(binary: bool, values: list[list[str | None] | None]) -> None:
    series = column(values, lists=True)
    series = series.cast(pl.List(pl.Binary)) if binary else series
    known = series.to_list()
    rows, found = flat_values(series)
    expected = [(r, v) for r, items in enumerate(known) for v in items or [] if v]
    assert list(zip(rows.tolist(), found, strict=True)) == expected
    rows, items, found = places(series)
    triples = list(zip(rows.tolist(), items.tolist(), found, strict=True))
    assert triples == [(r, i, v) for r, held in enumerate(known) for i, v in enumerate(held or [])]
    absent = series.to_frame().select(is_absent("photos", series.dtype))["photos"].to_list()
    assert absent == [not any(items or []) for items in known]
    assert [first_value(items) for items in known] == [
        next((v for v in items or [] if v), None) for items in known
    ]


@given(st.lists(VALUES))
def test_single_values(values: list[str | None]) -> None:
    series = column(values, lists=False)
    rows, found = flat_values(series)
    assert list(zip(rows.tolist(), found, strict=True)) == [
        (r, v) for r, v in enumerate(values) if v
    ]
    assert places(series)[2].to_list() == values
    assert places(series)[1].tolist() == [0] * len(values)
    absent = series.to_frame().select(is_absent("photos", series.dtype))["photos"].to_list()
    assert absent == [not v for v in values]
    assert [first_value(v) for v in values] == [v or None for v in values]


def test_items_are_taken_out() -> None:
    series = column([["a", "b", None], ["a"], None, ["", "b"], ["c", "d"]], lists=True)
    found = without_items(series, {0: {1}, 1: {0}, 3: {1}, 4: {0, 1}})
    assert found.to_list() == [["a", None], None, None, None, None]
    assert found.dtype == series.dtype
    single = without_items(column(["a", "b"], lists=False), {1: {0}})
    assert single.to_list() == ["a", None]


@given(st.lists(LISTS, max_size=5), st.lists(LISTS, max_size=5))
def test_contents_tell_lists_apart(
    one: list[list[str | None] | None], other: list[list[str | None] | None]
) -> None:
    first, second = (b"".join(content_bytes(column(v, lists=True))) for v in (one, other))
    assert (first == second) == (one == other)


def test_contents_of_long_columns_are_whole() -> None:
    values: list[list[str | None] | None] = [[f"{i}.png" for i in range(100)]] * 30
    changed = [list(items or []) for items in values]
    changed[17][50] = "other.png"
    first, second = (b"".join(content_bytes(column(v, lists=True))) for v in (values, changed))
    assert first != second
    in_chunks = pl.concat([column(values[:7], lists=True), column(values[7:], lists=True)])
    assert b"".join(content_bytes(in_chunks)) == first
