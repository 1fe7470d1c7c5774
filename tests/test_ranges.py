from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rankfield.ranges import ranges


@given(st.lists(st.integers(0, 5), max_size=8))
def test_equals_a_loop(counts: list[int]) -> None:
    which, place = ranges(np.array(counts, dtype=np.int64))
    expected = [(i, value) for i, count in enumerate(counts) for value in range(count)]
    assert list(zip(which.tolist(), place.tolist(), strict=True)) == expected
    assert which.dtype == place.dtype == np.int64
