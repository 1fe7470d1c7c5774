from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.encoders.columns import field_columns
from rankfield.schema import Field


@given(st.lists(st.none() | st.sampled_from(["", " ", "a", "b", "ä", "\x00", "a\n"])))
def test_codes_and_values_give_the_column_back(values: list[str | None]) -> None:
    encoded = [None if v is None else v.encode() for v in values]
    frame = pl.DataFrame(
        {"title": values, "image": encoded}, schema={"title": pl.String, "image": pl.Binary}
    )
    fields = [Field("image", "image"), Field("title", "text")]
    image, title = field_columns(frame, fields)
    assert [image.field, title.field] == fields
    for column, expected in ((image, encoded), (title, values)):
        assert column.codes.dtype == np.int64
        assert len(column.codes) == len(values)
        assert len(set(column.values)) == len(column.values)
        found = [column.values[code] if code >= 0 else None for code in column.codes]
        assert found == [v or None for v in expected]
        seen = column.codes[column.codes >= 0]
        assert sorted(set(seen.tolist())) == list(range(len(column.values)))


@pytest.mark.parametrize("values", [[], [None, None], ["", None]])
def test_nothing_present(values: list[str | None]) -> None:
    frame = pl.DataFrame({"title": values}, schema={"title": pl.String})
    (column,) = field_columns(frame, [Field("title", "text")])
    assert column.values == []
    assert column.codes.tolist() == [-1] * len(values)
