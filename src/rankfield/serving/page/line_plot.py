"""Where the marks of a plot of values over snapshots are: numbers alone, a template draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LinePlot", "Mark", "Value", "line_plot"]

WIDTH, HEIGHT = 720.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 14.0, 34.0
_TICKS = 5


@dataclass(frozen=True)
class Value:
    """A value of a series at a place in the order, with its interval, if it has one.

    joined: whether it compares with the value of the series before.
    """

    place: int
    value: float
    low: float | None
    high: float | None
    joined: bool


@dataclass(frozen=True)
class Mark:
    """A point, its interval's ends, and where the line to it begins, if there is one."""

    x: float
    y: float
    low: float | None
    high: float | None
    before: tuple[float, float] | None


@dataclass(frozen=True)
class LinePlot:
    """A plot.

    ticks: (label, y) of the values' axis.
    series: the marks of each series.
    """

    ticks: list[tuple[str, float]]
    series: list[list[Mark]]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    bottom: float = HEIGHT - _BOTTOM


def line_plot(series: Sequence[Sequence[Value]], places: int) -> LinePlot | None:
    """Return the plot of series over `places` places at equal distances; None without a value."""
    shown = [
        end
        for values in series
        for one in values
        for end in (one.value, one.low, one.high)
        if end is not None
    ]
    if not shown:
        return None
    ticks = _ticks(min(shown), max(shown))
    low, high = ticks[0], ticks[-1]

    def x(place: int) -> float:
        share = 0.5 if places < 2 else place / (places - 1)
        room = 12.0
        return round(_LEFT + room + share * (WIDTH - _LEFT - _RIGHT - 2 * room), 1)

    def y(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)

    drawn = []
    for values in series:
        marks: list[Mark] = []
        for one in values:
            before = (marks[-1].x, marks[-1].y) if one.joined and marks else None
            ends = [None if end is None else y(end) for end in (one.low, one.high)]
            marks.append(Mark(x(one.place), y(one.value), ends[0], ends[1], before))
        drawn.append(marks)
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return LinePlot([(f"{tick:.{digits}f}", y(tick)) for tick in ticks], drawn)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers at equal distances, about five, from below `low` to above `high`."""
    span = max(high - low, 1e-3)
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = next(m * power for m in (1, 2, 5, 10) if m * power * _TICKS >= span)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, max(last, first + 1) + 1)]
