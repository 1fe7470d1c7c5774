from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.web.client import retry_after
from rankfield.web.rate import RateLimit


@given(
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 5),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=40),
)
def test_no_span_holds_more_than_rate_and_burst(rate: float, burst: int, gaps: list[float]) -> None:
    limit = RateLimit(rate, burst)
    now, sent = 0.0, []
    for gap in gaps:
        now += gap
        sent.append(now + limit.wait_time(now))
    for first in range(len(sent)):
        for last in range(first, len(sent)):
            allowed = rate * (sent[last] - sent[first]) + burst
            assert last - first + 1 <= allowed + 1e-6


def test_a_first_request_never_waits() -> None:
    assert RateLimit(0.1).wait_time(5.0) == 0.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("7", 7.0), (" 7 ", 7.0), ("-3", None), ("soon", None), ("", None), ("²", None)],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_retry_after_as_a_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=90)
    found = retry_after(format_datetime(later, usegmt=True))
    assert found is not None
    assert 80 < found <= 90
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
