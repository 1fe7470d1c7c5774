"""Figures, drawn by matplotlib without its global state, the same bytes for the same figures."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from rankfield.errors import InputError
from rankfield.escaping import visible_controls
from rankfield.files import new_file
from rankfield.report.style import decimal
from rankfield.terminal import one_line

__all__ = [
    "Interval",
    "bar_chart",
    "figure_style",
    "interval_chart",
    "line_chart",
    "weights_figure",
]

Interval = tuple[float | None, float | None, float | None]
"""A value and the ends of its interval; None where there is none."""

# A page's colours depend on light or dark, which matplotlib cannot know: it draws with these
# stand-ins, and each becomes a CSS variable in the finished SVG.
_STAND_INS = {
    "ink": "#010101",
    "faint": "#020202",
    "rule": "#030303",
    "slate": "#010203",
    "accent": "#010204",
    "teal": "#010205",
    "violet": "#010206",
    "pink": "#010207",
    "olive": "#010208",
}
_STYLE: Any = {
    # a name between two signs of dollar is a name, not a formula
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "rankfield",
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
_CURVES = ("#5b728f", "#c2410c", "#0f766e", "#6d28d9", "#be185d", "#7a6a00", "#1d4ed8", "#57534e")
# Up to here each score has its own bar: bins over so few would hold now two scores, now three.
_MOST_BARS = 120
_DASHES = ("-", "--", "-.", ":")


@contextmanager
def _style(ink: str, faint: str, rule: str) -> Iterator[None]:
    colours: Any = {
        "text.color": ink,
        "axes.labelcolor": faint,
        "axes.edgecolor": rule,
        "grid.color": rule,
        "xtick.color": faint,
        "ytick.color": faint,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
    }
    with rc_context({**_STYLE, **colours}), warnings.catch_warnings():
        # Of scripts that the font lacks the page shows the browser's own.
        warnings.filterwarnings("ignore", message="Glyph|Matplotlib currently does not support")
        yield


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the style of rankfield's figures of their own, on white, while the block runs."""
    with _style("#1b2430", "#5a6675", "#dfe4ea"):
        yield


@contextmanager
def _page_style() -> Iterator[None]:
    with _style(_STAND_INS["ink"], _STAND_INS["faint"], _STAND_INS["rule"]):
        yield


def bar_chart(
    groups: Sequence[str],
    series: Sequence[tuple[str, str, Sequence[float | None]]],
    *,
    width: float,
    upright: bool,
    description: str,
) -> str:
    """Draw grouped bars with their values at the ends, as an `<svg>` element for a page.

    Args:
        groups: the groups' names.
        series: (name, colour name of `style.series_names`, one value or None for each group).
        width: in inches; the height follows.
        upright: whether the bars are vertical; horizontal ones fit a narrow page.
        description: what a screen reader says.
    """
    bars = len(groups) * len(series)
    height = 3.8 if upright else 0.6 + 0.25 * bars + 0.3 * len(groups)
    with _page_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        thickness = (0.72 if upright else 0.8) / max(len(series), 1)
        for i, (_, colour, values) in enumerate(series):
            places = np.arange(len(groups)) + (i - (len(series) - 1) / 2) * thickness
            lengths = [0.0 if value is None else value for value in values]
            draw = axes.bar if upright else axes.barh
            drawn = draw(places, lengths, thickness * 0.9, color=_STAND_INS[colour], linewidth=0)
            size = 10 if bars <= 16 or not upright else 8 if bars <= 24 else 6
            axes.bar_label(drawn, [decimal(v, 2) for v in values], padding=3, fontsize=size)
        highest = max((v for _, _, vs in series for v in vs if v is not None), default=1.0)
        room = 1.12 if upright else 1 + 0.9 / width  # of the values at the ends
        _bar_axes(axes, groups, max(highest * room, 0.1), width=width, upright=upright)
        return _inline(figure, description)


def _bar_axes(
    axes: Axes, groups: Sequence[str], limit: float, *, width: float, upright: bool
) -> None:
    if upright:
        names = [_label(name, width / max(len(groups), 1)) for name in groups]
        axes.set_xticks(np.arange(len(groups)), names)
        axes.set(ylim=(0, limit), ylabel="nDCG@10")
    else:
        names = [_label(name, width).replace(" ", "\n") for name in groups]
        axes.set_yticks(np.arange(len(groups)), names)
        axes.set(xlim=(0, limit), xlabel="nDCG@10", ylim=(len(groups) - 0.5, -0.5))
        _vertical_grid(axes)


def _vertical_grid(axes: Axes) -> None:
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")


def line_chart(
    lines: Sequence[tuple[str, str, Mapping[int, float]]],
    *,
    y_label: str,
    size: tuple[float, float],
    description: str,
    x_label: str = "step",
) -> str:
    """Draw values over training steps or ranks, as an `<svg>` element for a page.

    Args:
        lines: (name, colour name, step → value).
        y_label: what the values are.
        x_label: what the steps are.
        size: width and height in inches.
        description: what a screen reader says.
    """
    with _page_style():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        for i, (_, colour, points) in enumerate(lines):
            steps = sorted(points)
            axes.plot(
                steps,
                [points[step] for step in steps],
                ":" if colour == "faint" else _dash(i, colour),
                color=_STAND_INS[colour],
                linewidth=1.8,
                marker="o" if len(steps) <= 15 else "",
                markersize=4,
            )
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.margins(x=0.03, y=0.08)
        axes.locator_params(axis="x", nbins=8 if size[0] > 6 else 5, integer=True)
        axes.locator_params(axis="y", nbins=5)
        return _inline(figure, description)


def _dash(position: int, colour: str) -> str:
    return "-" if colour in ("slate", "accent") else _DASHES[position % len(_DASHES)]


def interval_chart(
    groups: Sequence[tuple[str, Sequence[str]]],
    series: Sequence[tuple[str, str, Sequence[Interval]]],
    *,
    width: float,
    x_label: str,
    description: str,
) -> str:
    """Draw means as dots with their intervals, a row for each slice, as an `<svg>` for a page.

    Args:
        groups: (heading, names of its rows).
        series: (name, colour name, (value, low, high) for each row over all groups; None where
            there is none).
        width: in inches; the height follows.
        x_label: what the values are.
        description: what a screen reader says.
    """
    places, labels, place = [], [], 0.0
    headings = []
    for heading, names in groups:
        headings.append((place, _label(heading, width)))
        place += 1.0
        for name in names:
            places.append(place)
            labels.append(_label(name, width))
            place += 1.0
        place += 0.35
    with _page_style():
        row = max(0.27, 0.09 * len(series) + 0.06)  # an interval of each model, none on another
        figure = Figure(figsize=(width, 0.55 + row * place), layout="constrained")
        axes = figure.add_subplot()
        step = 0.72 / max(len(series), 1)
        for i, (_, colour, means) in enumerate(series):
            offset = (i - (len(series) - 1) / 2) * step
            _draw_intervals(axes, [row + offset for row in places], means, _STAND_INS[colour])
        axes.set_yticks(places, labels)
        axes.set_ylim(place - 0.6, -0.6)
        axes.set_xlabel(x_label)
        axes.margins(x=0.04)
        _vertical_grid(axes)
        for at, heading in headings:
            axes.text(
                0, at, heading, transform=axes.get_yaxis_transform(), va="center", weight="bold"
            )
        return _inline(figure, description)


def _draw_intervals(
    axes: Axes, places: Sequence[float], means: Sequence[Interval], ink: str
) -> None:
    for at, (value, low, high) in zip(places, means, strict=True):
        if value is None:
            continue
        if low is not None and high is not None:
            axes.plot([low, high], [at, at], "-", color=ink, linewidth=1.4)
        axes.plot([value], [at], "o", color=ink, markersize=4.5)


def _label(text: str, width: float) -> str:
    """Return a name on one line, cut to what leaves room for the axes in so many inches."""
    line, most = one_line(text), int(6 * width)
    return line if len(line) <= most else line[: most - 1] + "…"


def _inline(figure: Figure, description: str) -> str:
    """Return the figure as an accessible SVG element that follows the page's colours."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = visible_controls(buffer.getvalue())
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    view_box = re.search(r'viewBox="[^"]*"', svg)
    shape = view_box.group() if view_box else ""
    head = f'<svg {shape} role="img" aria-label="{escape(visible_controls(description))}">'
    svg = head + svg[svg.index(">") + 1 :]
    for name, colour in _STAND_INS.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg


def weights_figure(
    path: str | Path,
    *,
    scores: ArrayLike,
    counts: ArrayLike,
    weights: Mapping[str, ArrayLike],
    title: str = "Score to weight",
) -> None:
    """Draw weight curves over the histogram of a data set's scores.

    The weights go on a logarithmic axis where the largest is over 200 times the smallest one
    above 0.

    Args:
        path: the file to write; its ending decides: .svg, .png or .pdf.
        scores: the distinct scores of the data, float, shape (S,).
        counts: how many judgments have each score, int, shape (S,).
        weights: function name → its weight at each score, float, shape (S,).
        title: the figure's heading.

    Raises:
        InputError: another ending, no score, or arrays of different lengths.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    if kind not in ("svg", "png", "pdf"):
        raise InputError(
            f"expected a .svg, .png or .pdf file, found {path.name!r}", where=str(path)
        )
    x, n, *values = [np.asarray(array, np.float64) for array in (scores, counts, *weights.values())]
    shapes = {array.shape for array in (x, n, *values)}
    if x.ndim != 1 or x.size == 0 or len(shapes) != 1:
        raise InputError(f"expected equally long scores, counts and weights, found {shapes}")
    order = np.argsort(x, kind="stable")
    with figure_style():
        figure = Figure(figsize=(8, 4.8), layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        _draw_histogram(axes.twinx(), x, n)
        axes.set_zorder(2)
        _draw_curves(axes, x[order], {k: w[order] for k, w in zip(weights, values, strict=True)})
        axes.set_title(title, loc="left", fontweight="bold", pad=12)
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
        dates: Any = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        with new_file(path) as temporary, temporary.open("wb") as file:
            figure.savefig(file, format=kind, dpi=150, metadata=dates.get(kind, {}))


def _draw_histogram(axes: Axes, scores: Any, counts: Any) -> None:
    places, inverse = np.unique(scores, return_inverse=True)
    if places.size <= _MOST_BARS:
        heights = np.bincount(inverse, weights=counts)
        span = float(np.ptp(places)) or 1.0
        gap = float(np.diff(places).min()) if places.size > 1 else span
        width: Any = max(gap * 0.8, span / 200)
    else:
        heights, edges = np.histogram(scores, bins=40, weights=counts)
        width = np.diff(edges) * 0.92
        places = (edges[1:] + edges[:-1]) / 2
    axes.bar(places, heights, width, color="#e6ebf1", linewidth=0)
    axes.set_ylabel("judgments")
    axes.grid(visible=False)
    axes.set_ylim(0, float(heights.max()) * 1.15)


def _draw_curves(axes: Axes, scores: Any, curves: Mapping[str, Any]) -> None:
    for i, (name, values) in enumerate(curves.items()):
        style = _DASHES[i // len(_CURVES) % len(_DASHES)]
        marker = "o" if scores.size <= 20 else ""
        axes.plot(
            scores, values, style, color=_CURVES[i % len(_CURVES)], lw=2, marker=marker, ms=4,
            label=name,
        )  # fmt: skip
    every = np.concatenate([*curves.values(), np.array([])])
    positive = every[np.isfinite(every) & (every > 0)]
    if positive.size and positive.max() > 200 * positive.min():
        axes.set_yscale("log")
    axes.set_xlabel("score")
    axes.set_ylabel("weight")
