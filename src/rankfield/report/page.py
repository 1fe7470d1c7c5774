"""The report as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import Environment
from markupsafe import Markup

from rankfield.evaluation import Results
from rankfield.evaluation.statistics import SIGNIFICANT
from rankfield.files import new_file
from rankfield.report.content import Content, SliceTable, gather
from rankfield.report.line_figure import NARROW, line_figure
from rankfield.report.log import TrainingLog
from rankfield.report.numbers import about_tests
from rankfield.report.plots import bar_chart, interval_chart
from rankfield.report.rank_scores import RISES, RankScores, rises_above
from rankfield.report.style import (
    SPLIT_TITLES,
    decimal,
    p_value,
    series_names,
    signed,
    signed_percent,
    split_title,
)
from rankfield.report.templates import TEMPLATES, template_environment
from rankfield.schema import RankingDataset
from rankfield.terminal import printable_values

__all__ = ["render_page", "write_report"]


# Figure sizes in inches, so that text comes out at about 13 pixels in the width each one gets.
_WIDE, _HALF, _THIRD = (11.0, 3.4), (5.2, 3.0), (3.5, 2.6)


def write_report(
    path: str | Path,
    *,
    dataset: RankingDataset,
    results: Sequence[Results],
    training_logs: Mapping[str, Path],
    title: str,
    next_steps: Sequence[str] = (),
    slices: Sequence[str] | None = None,
    queries_shown: int = 12,
    seed: int = 0,
) -> None:
    """Gather a report (`content.gather`) and write its page.

    Args:
        path: the HTML file to write; an older one is replaced.
        dataset, results, training_logs, title, slices, queries_shown, seed: as `content.gather`.
        next_steps: what the reader may do next; text between backticks is set as code.

    Raises:
        MetricError: no results, or results of other data, protocols, splits or queries.
        InputError: a log that cannot be read, or an unknown slice.
        OutputError: the page cannot be written.
    """
    content = gather(
        dataset,
        results,
        title=title,
        training_logs=training_logs,
        slices=slices,
        queries_shown=queries_shown,
        seed=seed,
    )
    page = render_page(content, next_steps)
    with new_file(path) as temporary:
        temporary.write_text(page, "utf-8")


def render_page(content: Content, next_steps: Sequence[str] = ()) -> str:
    """Return the page: models compared, their training, and images of what they find.

    The page needs no network: styles, figures (SVG) and images (WebP of at most 96 pixels) are
    inside. The same content gives the same bytes. Gains are relative to the first of the models;
    the images compare the first with the last.
    """
    colours = content.colours
    documents = [
        d for e in (*content.extremes, *content.examples) for c in e.columns for d in c.documents
    ]
    return (
        _environment()
        .get_template("page.html")
        .render(
            content=content,
            css=Markup((TEMPLATES / "page.css").read_text("utf-8")),
            labels=content.names,
            colours=colours,
            bars=_bars(content),
            curves=_curves(content.logs, colours),
            rank_curves=[_rank_curve(scores, colours) for scores in content.rank_scores],
            rises=RISES if rises_above(content.rank_scores) else "",
            slices=[(table, _slice_figure(table, colours)) for table in content.slices],
            robustness=_by_split(content.robustness),
            all_metrics=[
                (title, list(rows))
                for title, rows in groupby(content.every_metric, key=lambda row: row[0])
            ],
            several_runs=any(cell.runs > 1 for row in content.rows for cell in row.cells),
            has_images=any(document.thumbnail for document in documents),
            next_steps=[step.split("`") for step in next_steps],
            split_titles=SPLIT_TITLES,
            significant=SIGNIFICANT,
            about_tests=about_tests(content.rows),
        )
    )


def _environment() -> Environment:
    environment = template_environment()
    environment.filters["decimal"] = decimal
    environment.filters["percent"] = signed_percent
    environment.filters["signed"] = signed
    environment.filters["p_value"] = p_value
    environment.filters["toml"] = lambda recipe: printable_values(tomli_w.dumps(recipe), "toml")
    return environment


def _by_split(rows: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """Return the rows under the title of their split."""
    return [
        (split_title(split), list(group))
        for split, group in groupby(rows, key=lambda row: row.split)
    ]


def _bars(content: Content) -> dict[str, Markup]:
    groups = [row.title for row in content.rows]
    series = [
        (name, content.colours[name], [row.cells[i].value for row in content.rows])
        for i, name in enumerate(content.names)
    ]
    said = "; ".join(
        f"{group}: " + ", ".join(f"{name} {decimal(values[i])}" for name, _, values in series)
        for i, group in enumerate(groups)
    )
    description = f"Bar chart of nDCG@10. {said}"
    # The figures' one foreign text, the description, is escaped there.
    return {
        "wide": Markup(
            bar_chart(groups, series, width=_WIDE[0], upright=True, description=description)
        ),
        "narrow": Markup(
            bar_chart(groups, series, width=NARROW[0], upright=False, description=description)
        ),
    }


def _rank_curve(scores: RankScores, colours: Mapping[str, str]) -> dict[str, Any]:
    lines = [("best possible", "faint", scores.ideal)]
    lines += [(name, colours[name], values) for name, values in scores.models.items()]
    title = split_title(scores.split)
    said = "; ".join(
        f"{name} {decimal(values[0], 2)} at rank 1 and {decimal(values[-1], 2)} at rank "
        f"{len(values)}"
        for name, _, values in lines
    )
    drawn = [(name, colour, dict(enumerate(values, start=1))) for name, colour, values in lines]
    return _figure(
        title, drawn, y_label="mean score", columns=2, said=f"Mean score by rank: {said}",
        x_label="rank",
    )  # fmt: skip


def _curves(logs: Mapping[str, TrainingLog], colours: Mapping[str, str]) -> dict[str, Any]:
    """Return the dev curves of all runs in one figure, then the loss of each in its own."""
    spare = [name for name in series_names(8)[1:-1] if name not in colours.values()] or ["slate"]
    own = {label: colours.get(label, spare[i % len(spare)]) for i, label in enumerate(logs)}
    dev = [(label, own[label], log.dev) for label, log in logs.items() if log.dev]
    losses = [(label, own[label], log.loss) for label, log in logs.items() if log.loss]
    columns = {1: 1, 2: 2, 4: 2}.get(len(losses), 3)
    return {
        "columns": columns,
        "dev": _curve("nDCG@10 on the dev queries", dev, "nDCG@10", 1) if dev else None,
        "losses": [_curve(f"Loss of {line[0]}", [line], "loss", columns) for line in losses],
    }


def _curve(
    title: str, lines: Sequence[tuple[str, str, Mapping[int, float]]], y_label: str, columns: int
) -> dict[str, Any]:
    said = "; ".join(
        f"{label} goes from {decimal(points[min(points)])} to {decimal(points[max(points)])}"
        for label, _, points in lines
    )
    return _figure(title, lines, y_label=y_label, columns=columns, said=f"{title}: {said}")


def _figure(
    title: str,
    lines: Sequence[tuple[str, str, Mapping[int, float]]],
    *,
    y_label: str,
    columns: int,
    said: str,
    x_label: str = "step",
) -> dict[str, Any]:
    wide = {1: _WIDE, 2: _HALF, 3: _THIRD}[columns]
    return {
        "title": title,
        **line_figure(lines, y_label=y_label, x_label=x_label, wide=wide, said=said),
    }


def _slice_figure(table: SliceTable, colours: Mapping[str, str]) -> dict[str, Markup]:
    groups = [
        (split_title(split), [name for _, name, _ in rows])
        for split, rows in (
            (split, list(rows)) for split, rows in groupby(table.rows, key=lambda row: row[0])
        )
    ]
    series = [
        (name, colour, [(m[i].value, m[i].low, m[i].high) for _, _, m in table.rows])
        for i, (name, colour) in enumerate(colours.items())
    ]
    said = f"nDCG@10 {table.title[0].lower()}{table.title[1:]}, with intervals; the table says it."
    return {
        name: Markup(
            interval_chart(groups, series, width=width, x_label="nDCG@10", description=said)
        )
        for name, width in (("wide", _WIDE[0]), ("narrow", NARROW[0]))
    }
