"""Values of columns as JSON holds them."""

from __future__ import annotations

import math
from datetime import date, time
from typing import Any

__all__ = ["plain_value"]


def plain_value(value: Any) -> Any:
    """Return a value of a column as JSON holds it: no NaN, dates as ISO 8601, else as a text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return value.isoformat() if isinstance(value, date | time) else str(value)
