"""What the times of a log can carry: how finely they are given, and which are far from the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rankfield.labels.log_rows import LogRows
from rankfield.labels.survey import EventSurvey, value

__all__ = ["Precision", "Span", "robust_span", "time_precision", "usual_days"]

_UNITS = (86_400, 43_200, 21_600, 3600, 1800, 900, 600, 300, 60, 30, 20, 15, 10, 5)
_ZONES = 900
"""Zones are multiples of a quarter of an hour apart: longer units may begin anywhere."""

_NAMES = {86_400: "a day", 3600: "an hour", 60: "a minute"}
_MANY = 0.05
"""A share of times at full minutes that chance, 1/60, does not explain."""

_DAY = 86_400


@dataclass(frozen=True)
class Precision:
    """How finely times are given.

    seconds: the unit that all times are a multiple of; 1 where they are finer than five seconds.
    mixed: the share of times at full minutes if only a part of the log is that coarse, else 0.
    """

    seconds: int = 1
    mixed: float = 0.0

    @property
    def name(self) -> str:
        """The unit in words, as "a day" or "5 minutes"."""
        if self.seconds in _NAMES:
            return _NAMES[self.seconds]
        for unit, word in ((3600, "hours"), (60, "minutes")):
            if self.seconds > unit:
                return f"{self.seconds // unit} {word}"
        return f"{self.seconds} seconds"


def time_precision(connection: Any, rows: LogRows, found: EventSurvey) -> Precision:
    """Return how finely the times of the view `log` are given.

    Raises:
        DataError: a broken file.
    """
    if not found.timed:
        return Precision()
    if found.on_five < found.timed:
        share = found.on_minute / found.timed
        return Precision(mixed=share if share >= _MANY else 0.0)
    time = value("time", rows.types)
    measures = ", ".join(f"min({time} % {u}), max({time} % {u})" for u in _UNITS)
    with rows.files.errors():
        ends = connection.execute(f"SELECT {measures} FROM log").fetchone()
    pairs = zip(_UNITS, ends[::2], ends[1::2], strict=True)
    fitting = (u for u, low, high in pairs if low == high and (low == 0 or u > _ZONES))
    return Precision(seconds=next(fitting, 5))


@dataclass(frozen=True)
class Span:
    """The times that ages are counted within, in seconds since 1970.

    later, earlier: how many rows lie beyond, far from all others. last, first: the times of the
    farthest of them.
    """

    start: float
    end: float
    later: int = 0
    earlier: int = 0
    last: float = 0.0
    first: float = 0.0

    def notes(self) -> list[str]:
        """Return a line for rows that lie far from all others."""
        return [
            f"{rows:,} rows, as of {_date(farthest)}, lie far {side} all others; they count as"
            f" old as the {age}, {_date(nearest)}"
            for rows, farthest, side, age, nearest in (
                (self.later, self.last, "after", "newest", self.end),
                (self.earlier, self.first, "before", "oldest", self.start),
            )
            if rows
        ]


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def robust_span(connection: Any, rows: LogRows, found: EventSurvey) -> Span:
    """Return the times of the view `log` without the few that lie far from all others.

    Raises:
        DataError: a broken file.
    """
    if found.start is None or found.end is None:
        return Span(0.0, 0.0)
    time = value("time", rows.types)
    day = f"CAST(floor({time} / {_DAY}) AS INTEGER)"
    with rows.files.errors():
        (days,) = connection.execute(f"SELECT histogram({day}) FROM log").fetchone()
        first, last = usual_days(days)
        if (first, last) == (min(days), max(days)):
            return Span(found.start, found.end)
        start, end, earlier, later = connection.execute(
            f"SELECT min({time}) FILTER ({day} >= {first}), max({time}) FILTER ({day} <= {last}),"
            f" count_if({day} < {first}), count_if({day} > {last}) FROM log"
        ).fetchone()
    return Span(start, end, later, earlier, found.end, found.start)


def usual_days(days: Mapping[int, int]) -> tuple[int, int]:
    """Return the first and the last day without those far from all others.

    Far are at most a hundredth of the rows (one of five to a hundred) beyond a gap that is longer
    than 30 days and than all the rest of the log.

    Args:
        days: day → rows.
    """
    order = sorted(days)
    rows = sum(days.values())
    allowed = max(1, rows // 100) if rows >= 5 else 0
    low, high = _inner(order, days, allowed), len(order) - 1 - _inner(order[::-1], days, allowed)
    gap = max(30, order[high] - order[low])
    first = next((i for i in range(low, 0, -1) if order[i] - order[i - 1] > gap), 0)
    last = next(
        (i for i in range(high, len(order) - 1) if order[i + 1] - order[i] > gap), len(order) - 1
    )
    return order[first], order[last]


def _inner(order: list[int], days: Mapping[int, int], allowed: int) -> int:
    """Return the place of the first day that the allowed rows at the end do not cover."""
    seen = 0
    for place, day in enumerate(order):
        seen += days[day]
        if seen > allowed:
            return place
    return len(order) - 1
