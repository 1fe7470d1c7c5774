from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield import sorting
from rankfield.sorting import dense_ranks, sorted_order

_FLOATS = st.sampled_from([-2.0, -0.0, 0.0, 0.5, 1e300])


@given(st.lists(st.tuples(st.integers(-3, 3), _FLOATS, st.integers(0, 2)), min_size=1))
def test_long_arrays_are_sorted_as_short_ones(rows: list[tuple[int, float, int]]) -> None:
    keys = [np.array(column) for column in zip(*rows, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorting, "_LARGE", 1)
        order = sorted_order(keys)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(order, np.lexsort(keys))
    np.testing.assert_array_equal(sorted_order(keys), order)


@given(st.lists(st.integers(-5, 5)))
def test_ranks_are_those_of_unique(values: list[int]) -> None:
    given_ = np.array(values, dtype=np.int64)
    distinct, inverse = np.unique(given_, return_inverse=True)
    count, ranks = dense_ranks(given_)
    assert count == len(distinct)
    np.testing.assert_array_equal(ranks, inverse)
