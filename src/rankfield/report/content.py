"""All that a report says, before it is HTML, Markdown or JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rankfield import __version__
from rankfield.errors import MetricError
from rankfield.evaluation import Comparison, Results, compare, protocol_named, slice_comparison
from rankfield.evaluation.measured_data import was_measured_on
from rankfield.metrics import Mean
from rankfield.report.examples import Example, choose_extremes, choose_queries, make_examples
from rankfield.report.log import TrainingLog, read_log
from rankfield.report.numbers import PRIMARY, SplitRow, split_rows, summary
from rankfield.report.pairs import PairRow, pair_rows
from rankfield.report.rank_scores import RankScores, rank_scores
from rankfield.report.style import decimal, series_names, split_title
from rankfield.schema import RankingDataset

__all__ = ["Content", "RobustnessRow", "SliceTable", "gather"]

_DEPTH = 6
_SLICE_TITLES = {
    "judgments": "By the number of judged documents",
    "length": "By words in the query",
    "frequency": "By how often training saw the query",
}


@dataclass(frozen=True)
class SliceTable:
    """Means of `PRIMARY` by slices: (split, slice, a mean for each model) in each row."""

    by: str
    title: str
    rows: tuple[tuple[str, str, tuple[Mean, ...]], ...]


@dataclass(frozen=True)
class RobustnessRow:
    """`PRIMARY` on a split without a field ("" is with all), a value or None for each model."""

    split: str
    field: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Content:
    """A report's title, figures, queries and facts; `gather` fills it.

    names: the models, the first is what the others are compared with.
    models: name → what the results call the model.
    every_metric: (split's title, metric, a mean for each model).
    examples, extremes: queries drawn fairly, and those that the last model wins and loses by most.
    runs: name → how it was trained, a line; recipes: name → its recipe.
    pairs: tests against each baseline that was asked for.
    folder: the name of the data set's folder.
    """

    title: str
    names: tuple[str, ...]
    models: dict[str, str]
    subset: str
    protocol: str
    summary: tuple[str, ...]
    rows: tuple[SplitRow, ...]
    every_metric: tuple[tuple[str, str, tuple[float | None, ...]], ...]
    rank_scores: tuple[RankScores, ...]
    slices: tuple[SliceTable, ...]
    robustness: tuple[RobustnessRow, ...]
    extremes: tuple[Example, ...]
    examples: tuple[Example, ...]
    facts: tuple[tuple[str, str], ...]
    runs: dict[str, str]
    recipes: dict[str, dict[str, Any]]
    logs: dict[str, TrainingLog]
    seed: int
    pairs: tuple[PairRow, ...] = ()
    folder: str = "data"
    version: str = __version__

    @property
    def query(self) -> str | None:
        """A query's text of the data itself, None where queries have none."""
        return next((e.text for e in (*self.examples, *self.extremes) if e.text), None)

    @property
    def colours(self) -> dict[str, str]:
        """Name → the colour of the model in tables and figures."""
        return dict(zip(self.names, series_names(len(self.names)), strict=True))

    def to_json(self) -> dict[str, Any]:
        """Return everything but images and logs as plain values, ready for JSON."""
        images = {"examples": ("thumbnail",), "extremes": ("thumbnail",)}
        return {
            name: _plain(value, images.get(name, ()))
            for name, value in asdict(self).items()
            if name != "logs"
        }


def gather(
    dataset: RankingDataset,
    results: Sequence[Results],
    *,
    title: str,
    training_logs: Mapping[str, Path],
    slices: Sequence[str] | None = None,
    against: Sequence[str] | None = None,
    queries_shown: int = 12,
    extremes_shown: int = 3,
    seed: int = 0,
) -> Content:
    """Return all that the report of `results` says.

    Results of one label are averaged, as by `compare`; queries are shown of the first of them.

    Args:
        dataset: what the results were measured on.
        results: at least one, the baseline first, the model that the report is about last.
        title: the heading.
        training_logs: name of a model → the JSON Lines log that its training wrote.
        slices: as `evaluation.slice_queries`; by default judgments, and length and frequency
            where they differ between queries.
        against: names that all others are tested against too; empty: all pairs.
        queries_shown: how many queries to draw fairly.
        extremes_shown: how many of the largest wins, and of the largest losses.
        seed: for the draw.

    Raises:
        MetricError: no results, or results of other data, protocols, splits or queries.
        InputError: a log that cannot be read, or an unknown slice.
    """
    main, every, curves = _compared(dataset, results)
    _refuse_other_data(dataset, results)
    logs = {label: read_log(log) for label, log in training_logs.items()}
    rows = split_rows(main)
    fair = choose_queries(main, queries_shown, seed)
    extreme = choose_extremes(main, extremes_shown)
    colours = dict(zip(main.names, series_names(len(main.names)), strict=True))
    examples = make_examples(dataset, main, colours, [fair, extreme], depth=_DEPTH)
    return Content(
        title=title,
        names=main.names,
        models={name: runs[0].model for name, runs in main.runs.items()},
        subset=results[0].subset,
        protocol=results[0].protocol,
        summary=tuple(summary(main.names, rows)),
        rows=tuple(rows),
        every_metric=tuple(_every_metric(every, [row.split for row in rows])),
        rank_scores=tuple(curves),
        slices=tuple(_slices(main, dataset, slices)),
        robustness=tuple(_robustness(main, rows)),
        examples=examples[0],
        extremes=examples[1],
        facts=tuple(_facts(dataset, results[0].dataset.fingerprint)),
        runs={label: _run(log) for label, log in logs.items()},
        recipes={label: log.recipe for label, log in logs.items() if log.recipe},
        logs=logs,
        seed=seed,
        pairs=() if against is None else tuple(pair_rows(main, against)),
        folder="data" if dataset.root is None else dataset.root.resolve().name,
    )


def _compared(
    dataset: RankingDataset, results: Sequence[Results]
) -> tuple[Comparison, Comparison, list[RankScores]]:
    """Return the results compared by the main metric, by every metric shown, and score by rank."""
    if not results:
        raise MetricError("expected at least one evaluation, found none", where="report")
    protocol = protocol_named(results[0].protocol)
    main = compare(results, metrics=protocol.main[:1])
    if protocol.name == "rankfield":
        return main, compare(results), rank_scores(main, dataset)
    # Other protocols have over a hundred figures, the same few at many cutoffs, and grades of their
    # own, which do not go into one figure with the data set's scores.
    return main, compare(results, metrics=protocol.main), []


def _refuse_other_data(dataset: RankingDataset, results: Sequence[Results]) -> None:
    if not was_measured_on(results[0], dataset):
        measured, given = results[0].dataset.fingerprint, dataset.fingerprint()
        raise MetricError(
            f"the results were measured on other data: {measured}, not {given}",
            where=f"report on {dataset.name}",
            remedy="Evaluate the models on this data set.",
        )


def _every_metric(
    comparison: Comparison, splits: Sequence[str]
) -> list[tuple[str, str, tuple[float | None, ...]]]:
    found = []
    for split in splits:
        for metric in comparison.metrics:
            values = comparison.table.filter(split=split, metric=metric)["value"].to_list()
            found.append((split_title(split), metric, tuple(values)))
    return found


def _slices(
    comparison: Comparison, dataset: RankingDataset, wanted: Sequence[str] | None
) -> list[SliceTable]:
    if wanted is None:
        has_text = any(f.modality == "text" for f in dataset.query_fields)
        kinds = ["judgments", *(["length"] if has_text else []), "frequency"]
    else:
        kinds = list(dict.fromkeys(wanted))
    tables = []
    for by in kinds:
        frame = slice_comparison(comparison, dataset, by, metric=comparison.metrics[0])
        if wanted is None and frame["slice"].n_unique() < 2:
            continue
        rows = []
        for (split, name), group in frame.group_by(["split", "slice"], maintain_order=True):
            means = {row["name"]: row for row in group.iter_rows(named=True)}
            rows.append(
                (str(split), str(name), tuple(_mean(means.get(n)) for n in comparison.names))
            )
        tables.append(SliceTable(by, _slice_title(by), tuple(rows)))
    return tables


def _mean(row: Mapping[str, Any] | None) -> Mean:
    if row is None:
        return Mean(None, 0)
    return Mean(row["value"], row["queries"], row["low"], row["high"])


def _slice_title(by: str) -> str:
    table, _, column = by.partition(".")
    side = "queries’" if table == "query" else "documents’"
    return _SLICE_TITLES.get(by) or f"By the {side} {column}"


def _robustness(comparison: Comparison, rows: Sequence[SplitRow]) -> list[RobustnessRow]:
    """Return the rows of every split, first with all fields; nothing where none was measured."""
    fields = list(
        dict.fromkeys(f for runs in comparison.runs.values() for r in runs for f in r.robustness)
    )
    if not fields:
        return []
    metric, found = comparison.metrics[0], []
    for row in rows:
        found.append(RobustnessRow(row.split, "", tuple(cell.value for cell in row.cells)))
        for field in fields:
            values = [_without(runs, field, row.split, metric) for runs in comparison.runs.values()]
            found.append(RobustnessRow(row.split, field, tuple(values)))
    return found


def _without(runs: Sequence[Results], field: str, split: str, metric: str) -> float | None:
    """Return the mean over runs of a metric without a field; None where a run lacks it."""
    values = []
    for run in runs:
        mean = run.robustness.get(field, {}).get(split, {}).get(metric)
        if mean is None or mean.value is None:
            return None
        values.append(mean.value)
    return sum(values) / len(values)


def _facts(dataset: RankingDataset, fingerprint: str) -> list[tuple[str, str]]:
    """Return what there is to say about the data set."""
    origin, scale = dataset.provenance, dataset.score_scale
    fields = [
        f"{side}: " + ", ".join(f"{f.name} ({f.modality}, weight {f.weight:g})" for f in fields)
        for side, fields in (("query", dataset.query_fields), ("document", dataset.document_fields))
    ]
    facts = [
        ("Data set", dataset.name),
        ("Fingerprint", fingerprint),
        (
            "Size",
            f"{len(dataset.queries):,} queries, {len(dataset.documents):,} documents, "
            f"{len(dataset.judgments):,} judged pairs",
        ),
        ("Fields", "; ".join(fields)),
        ("Scores", str(scale)),
        ("Meaning of a score", scale.meaning),
        ("Source", origin.source),
        ("Licence", origin.licence),
        ("Made by", origin.made_by),
        ("Seed of the data", "" if origin.seed is None else str(origin.seed)),
        *(("Note", note) for note in origin.notes),
        ("rankfield", __version__),
    ]
    return [(name, value) for name, value in facts if value]


def _run(log: TrainingLog) -> str:
    """Say in a line how a run was trained, as far as its log and recipe tell."""
    recipe = log.recipe
    told = (
        ("target", recipe.get("loss", {}).get("target")),
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
    return ", ".join(parts) or "its log is empty"


def _plain(value: Any, left_out: Sequence[str]) -> Any:
    """Return lists in place of tuples, and dictionaries without some of their keys."""
    if isinstance(value, dict):
        return {str(k): _plain(v, left_out) for k, v in value.items() if k not in left_out}
    if isinstance(value, list | tuple):
        return [_plain(item, left_out) for item in value]
    return value
