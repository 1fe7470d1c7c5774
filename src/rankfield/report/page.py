"""The report: one self-contained HTML page that compares models on a ranking data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rankfield import __version__
from rankfield.errors import MetricError
from rankfield.evaluation import Results, compare
from rankfield.files import new_file
from rankfield.report.examples import make_examples
from rankfield.report.log import TrainingLog, read_log
from rankfield.report.numbers import (
    PRIMARY,
    PairedDifference,
    gain,
    metric_names,
    metric_value,
    model_name,
    paired_difference,
    query_count,
    split_names,
    summary,
)
from rankfield.report.plots import bar_chart, line_chart
from rankfield.report.style import (
    SPLIT_MEANINGS,
    SPLIT_TITLES,
    decimal,
    series_names,
    signed_percent,
)
from rankfield.schema import RankingDataset

__all__ = ["write_report"]

_HERE = Path(__file__).parent
_DEPTH = 6

# Figure sizes in inches, so that text comes out at about 13 pixels in the width each one gets.
_WIDE, _HALF, _THIRD, _NARROW = (11.0, 3.4), (5.2, 3.0), (3.5, 2.6), (3.8, 2.8)


def write_report(
    path: str | Path,
    *,
    dataset: RankingDataset,
    results: Sequence[Results],
    training_logs: Mapping[str, Path],
    title: str,
    next_steps: Sequence[str] = (),
    queries_shown: int = 12,
    seed: int = 0,
) -> None:
    """Write a page with the comparison of models, their training, and pictures of what they find.

    The page needs no network: styles, figures (SVG) and pictures (WebP of at most 96 pixels) are
    inside. The same input gives the same bytes. Gains are relative to the first of the results;
    the pictures compare the first with the last.

    Args:
        path: the HTML file to write; an older one is replaced.
        dataset: the data set that the results were measured on.
        results: at least one, the baseline first, the model that the page is about last.
        training_logs: label of a run → the JSON Lines log that its training wrote.
        title: the page's heading.
        next_steps: what the reader may do next; text between backticks is set as code.
        queries_shown: how many queries to show, chosen by `examples.choose_queries`.
        seed: for that choice.

    Raises:
        MetricError: no results, two of one name, or results of other data, splits or queries.
        InputError: a log that cannot be read.
        OutputError: the page cannot be written.
    """
    labels = _labels(dataset, results)
    logs = {label: read_log(log) for label, log in training_logs.items()}
    splits = split_names(results)
    colours = dict(zip(labels, series_names(len(labels)), strict=True))
    context = {
        "title": title,
        "css": Markup((_HERE / "page.css").read_text("utf-8")),
        "version": __version__,
        "summary": summary(results),
        "labels": labels,
        "models": [(model_name(result), result.model) for result in results],
        "subset": results[0].subset,
        "colours": colours,
        "rows": [_row(results, split) for split in splits],
        "all_metrics": [_every_metric(results, split) for split in splits],
        "bars": _bars(results, colours),
        "curves": _curves(logs, colours),
        "seed": seed,
        "examples": make_examples(
            dataset, results, list(colours.values()), count=queries_shown, depth=_DEPTH, seed=seed
        ),
        "has_pictures": any(f.modality == "image" for f in dataset.document_fields),
        "facts": _facts(dataset),
        "runs": [_run(label, log) for label, log in logs.items()],
        "next_steps": [step.split("`") for step in next_steps],
        "split_titles": SPLIT_TITLES,
    }
    page = _environment().get_template("page.html").render(context)
    with new_file(path) as temporary:
        temporary.write_text(page, "utf-8")


def _labels(dataset: RankingDataset, results: Sequence[Results]) -> list[str]:
    """Return the models' names, after a look at whether the results belong together."""
    compare(results)
    labels = [model_name(result) for result in results]
    if len(set(labels)) < len(labels):
        raise MetricError(
            f"expected results with different labels, found {', '.join(labels)}", where="report"
        )
    measured, given = results[0].dataset.fingerprint, dataset.fingerprint()
    if measured != given:
        raise MetricError(
            f"the results were measured on other data: {measured}, not {given}",
            where=f"report on {dataset.name}",
            remedy="Evaluate the models on this data set.",
        )
    return labels


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["decimal"] = decimal
    environment.filters["percent"] = signed_percent
    environment.filters["signed"] = _signed
    return environment


def _signed(value: float | None, digits: int = 3) -> str:
    """Write a difference with its sign, a true minus."""
    text = decimal(None if value is None else abs(value), digits)
    if value is None or text == "–":
        return text
    return f"{'±' if float(text) == 0 else '+' if value > 0 else '−'}{text}"


@dataclass(frozen=True)
class _Cell:
    value: float | None
    gain: float | None
    paired: PairedDifference | None


@dataclass(frozen=True)
class _Row:
    title: str
    meaning: str
    searched: str
    cells: list[_Cell]


def _row(results: Sequence[Results], split: str) -> _Row:
    first = results[0]
    base = metric_value(first, split)
    cells = []
    for result in results:
        value = metric_value(result, split)
        own = result is first
        cells.append(
            _Cell(
                value,
                None if own else gain(value, base),
                None if own else paired_difference(first, result, split),
            )
        )
    searched = f"{max(query_count(result, split) for result in results):,} queries"
    if size := first.sizes.get(split):
        searched += f" over {size.documents:,} documents"
    return _Row(SPLIT_TITLES.get(split, split), SPLIT_MEANINGS.get(split, ""), searched, cells)


def _every_metric(results: Sequence[Results], split: str) -> dict[str, Any]:
    metrics = metric_names(results, split)
    return {
        "title": SPLIT_TITLES.get(split, split),
        "rows": [(name, [metric_value(r, split, name) for r in results]) for name in metrics],
    }


def _bars(results: Sequence[Results], colours: Mapping[str, str]) -> dict[str, Markup]:
    splits = split_names(results)
    groups = [SPLIT_TITLES.get(split, split) for split in splits]
    series = [
        (model_name(r), colours[model_name(r)], [metric_value(r, s) for s in splits])
        for r in results
    ]
    said = "; ".join(
        f"{group}: " + ", ".join(f"{name} {decimal(values[i])}" for name, _, values in series)
        for i, group in enumerate(groups)
    )
    description = f"Bar chart of NDCG@10. {said}"
    # The figures' one foreign text, the description, is escaped there.
    return {
        "wide": Markup(
            bar_chart(groups, series, width=_WIDE[0], upright=True, description=description)
        ),
        "narrow": Markup(
            bar_chart(groups, series, width=_NARROW[0], upright=False, description=description)
        ),
    }


def _curves(logs: Mapping[str, TrainingLog], colours: Mapping[str, str]) -> dict[str, Any]:
    """Return the dev curves of all runs in one figure, then the loss of each in its own."""
    spare = [name for name in series_names(8)[1:-1] if name not in colours.values()] or ["slate"]
    own = {label: colours.get(label, spare[i % len(spare)]) for i, label in enumerate(logs)}
    dev = [(label, own[label], log.dev) for label, log in logs.items() if log.dev]
    losses = [(label, own[label], log.loss) for label, log in logs.items() if log.loss]
    columns = {1: 1, 2: 2, 4: 2}.get(len(losses), 3)
    return {
        "columns": columns,
        "dev": _curve("NDCG@10 on the dev queries", dev, "NDCG@10", 1) if dev else None,
        "losses": [_curve(f"Loss of {line[0]}", [line], "loss", columns) for line in losses],
    }


def _curve(
    title: str, lines: Sequence[tuple[str, str, Mapping[int, float]]], y_label: str, columns: int
) -> dict[str, Any]:
    said = "; ".join(
        f"{label} goes from {decimal(points[min(points)])} to {decimal(points[max(points)])}"
        for label, _, points in lines
    )
    description = f"{title}: {said}"
    wide = {1: _WIDE, 2: _HALF, 3: _THIRD}[columns]
    return {
        "title": title,
        "legend": [(label, colour) for label, colour, _ in lines],
        **{
            name: Markup(line_chart(lines, y_label=y_label, size=size, description=description))
            for name, size in (("wide", wide), ("narrow", _NARROW))
        },
    }


def _facts(dataset: RankingDataset) -> list[tuple[str, str]]:
    """Return what there is to say about the data set."""
    origin, scale = dataset.provenance, dataset.score_scale
    fields = [
        f"{side}: " + ", ".join(f"{f.name} ({f.modality}, weight {f.weight:g})" for f in fields)
        for side, fields in (("query", dataset.query_fields), ("document", dataset.document_fields))
    ]
    facts = [
        ("Data set", dataset.name),
        ("Fingerprint", dataset.fingerprint()),
        (
            "Size",
            f"{len(dataset.queries):,} queries, {len(dataset.documents):,} documents, "
            f"{len(dataset.judgments):,} judged pairs",
        ),
        ("Fields", "; ".join(fields)),
        ("Scores", f"{scale.minimum:g} to {scale.maximum:g}, relevant from {scale.relevant:g}"),
        ("Meaning of a score", scale.meaning),
        ("Source", origin.source),
        ("Licence", origin.licence),
        ("Made by", origin.made_by),
        ("Seed of the data", "" if origin.seed is None else str(origin.seed)),
        *(("Note", note) for note in origin.notes),
        ("rankfield", __version__),
    ]
    return [(name, value) for name, value in facts if value]


def _run(label: str, log: TrainingLog) -> tuple[str, str]:
    """Say in a line how a run was trained, as far as its log and recipe tell."""
    recipe = log.recipe
    told = (
        ("weight function", recipe.get("loss", {}).get("weight")),
        ("pairs with a score from", recipe.get("data", {}).get("minimum_score")),
        ("batch", recipe.get("batch", {}).get("size")),
        ("learning rate", recipe.get("optimizer", {}).get("learning_rate")),
        ("seed", recipe.get("seed")),
    )
    parts = [f"{name} {value}" for name, value in told if value is not None]
    if steps := max([*log.loss, *log.dev], default=0):
        parts.append(f"{steps:,} steps")
    if isinstance(seconds := log.facts.get("seconds"), int | float):
        parts.append(f"{seconds:,.0f} s")
    if log.dev:
        best = max(log.dev, key=lambda step: log.dev[step])
        parts.append(f"best dev {PRIMARY} {decimal(log.dev[best])} at step {best:,}")
    return label, ", ".join(parts) or "its log is empty"
