"""From an event log to a folder of judgments, in stages that a killed run does not lose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rankfield import __version__
from rankfield.errors import DataError, InputError
from rankfield.files import read_json, write_json
from rankfield.labels.calibration import CalibrationCurve
from rankfield.labels.cells import informative_counts
from rankfield.labels.checks import check_events, nothing_left, remarks
from rankfield.labels.columns import choose_columns, event_words
from rankfield.labels.event_files import EventFiles, find_event_files
from rankfield.labels.events import create_events_view
from rankfield.labels.filters import EventFilters
from rankfield.labels.judgments import JudgmentWriter, write_grades
from rankfield.labels.layouts import recognise
from rankfield.labels.log_rows import LogRows, log_rows
from rankfield.labels.log_view import create_log_view
from rankfield.labels.prior import fit_prior
from rankfield.labels.propensities import (
    METHODS,
    Propensities,
    estimate_propensities,
    given_propensities,
)
from rankfield.labels.scores import Scoring, grade
from rankfield.labels.statistics import counting, write_statistics
from rankfield.labels.survey import EventSurvey, survey
from rankfield.labels.times import Precision, Span, robust_span, time_precision
from rankfield.outputs import require_new, storage_errors
from rankfield.work_folder import WorkFolder, work_folder

__all__ = ["LabelOptions", "Labels", "make_labels"]

_WORK_NAMES = ("counted.json", "statistics.parquet", "spilled")


@dataclass(frozen=True)
class LabelOptions:
    """Everything that decides the labels of a log.

    columns: role → column (`columns.ROLES`); the others are guessed.
    events: word of the event column → impression, click, cart, order or ignore.
    applications: the values of the column `application` that count; empty: all.
    filters: which rows and sessions are left out.
    propensities: "em", "interventions", "none", or position → θ.
    scoring: how counts become scores.
    half_life: days after which an event counts half; None: all count alike.
    grades: quantiles that cut the scores into grades 0 … G; empty: scores from 0 to 1.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    applications: tuple[str, ...] = ()
    filters: EventFilters = field(default_factory=EventFilters)
    propensities: str | Mapping[int, float] = "em"
    scoring: Scoring = field(default_factory=Scoring)
    half_life: float | None = None
    grades: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.propensities, str) and self.propensities not in METHODS:
            raise InputError(
                f"expected {', '.join(METHODS)} or known values, found {self.propensities!r}",
                where="propensities",
            )
        if self.half_life is not None and not 1e-6 <= self.half_life < float("inf"):
            raise InputError(
                f"expected a number of days, a millionth at least, found {self.half_life}",
                where="half_life",
            )
        if self.grades:
            grade(np.zeros(1), self.grades)


@dataclass(frozen=True)
class Labels:
    """What `make_labels` made.

    folder: with judgments.parquet and labels.json. record: the contents of labels.json; its
    "relevant" is the score from which a document is better than what visitors saw on average.
    notes: what was guessed. propensities: by position. corrected, raw: how well rates are
    predicted with the propensities and with θ = 1, None if no pair was shown at two positions.
    """

    folder: Path
    record: dict[str, Any]
    notes: tuple[str, ...]
    propensities: Propensities
    corrected: CalibrationCurve | None
    raw: CalibrationCurve | None


def make_labels(
    events: str | Path,
    out: str | Path,
    options: LabelOptions | None = None,
    *,
    memory: float = 2.0,
    draw: Callable[[Path, Labels], None] | None = None,
) -> Labels:
    """Make judgments from a log of impressions, clicks, carts and orders.

    The log is CSV, TSV, JSON Lines or Parquet, one file or a folder of parts, and is never in
    memory as a whole. `out` gets judgments.parquet (see `scores.score_pairs`; sorted by query_id
    and doc_id), labels.json (how it was made), and queries.parquet if the log has query texts but
    no ids. The same log and options give the same bytes.

    The counts are kept in `.OUT.partial` beside `out` until all is done: a run that was killed
    takes them up again if log and options are the same.

    Args:
        events: the log.
        out: the folder to make.
        options: see `LabelOptions`.
        memory: bound of the counting in GiB, at least 0.5; beyond it, it spills to disk.
        draw: adds figures to the folder, whose temporary place it is called with, before it
            appears.

    Raises:
        DataError: the log cannot be used; says file, row and column. No pair is left.
        InputError: an option out of range.
        OutputError: `out` exists, another run is making it, or it cannot be written.
    """
    options = options or LabelOptions()
    target = Path(out)
    require_new(target)
    files = find_event_files(events)
    partial = target.parent / f".{target.name}.partial"
    with storage_errors(target), work_folder(partial, "labels", names=_WORK_NAMES) as work:
        require_new(target)  # a run that has just ended may have made it
        try:
            counted = _count(files, work, options, memory)
        except BaseException:
            # what was not finished is of no use to a later run; whole counts stay
            if not (partial / "counted.json").is_file():
                work.remove()
            raise
        made = work.staged()
        try:
            labels = _write(partial, made, target, options, counted)
            if draw is not None:
                draw(made, labels)
            made.rename(target)
        except (DataError, InputError):
            work.remove()
            raise
        work.remove()
    return labels


def _count(
    files: EventFiles, work: WorkFolder, options: LabelOptions, memory: float
) -> dict[str, Any]:
    """Write statistics.parquet unless it is there; return what is known of the log."""
    key, partial = _counts_key(files, options), work.path
    done = partial / "counted.json"
    if done.is_file():
        counted: dict[str, Any] = read_json(done)
        if counted["key"] == key:
            return counted
    work.clear()
    with counting(partial / "spilled", memory) as connection:
        options.filters.check_bot_agents(connection)
        counted = {"key": key, **_counts(connection, files, partial, options)}
    write_json(done, counted)
    return counted


def _counts(
    connection: Any, files: EventFiles, partial: Path, options: LabelOptions
) -> dict[str, Any]:
    """Write partial/statistics.parquet and return what is known of the log."""
    files = files.with_all_columns(connection)
    where = str(files.paths[0])
    layout = recognise(files.columns)
    columns, notes = choose_columns(files.columns, options.columns, layout=layout, where=where)
    words = event_words(options.events, layout)
    rows = log_rows(connection, files, columns)
    create_log_view(connection, rows, options.applications)
    found = survey(connection, rows)
    check_events(found, words, rows)
    precision = time_precision(connection, rows, found)
    span = _span(connection, rows, found, options.half_life)
    adopted = create_events_view(
        connection, rows, found=found, words=words, filters=options.filters
    )
    dropped = write_statistics(
        connection,
        partial / "statistics.parquet",
        rows=rows,
        span=span,
        precision=precision,
        filters=options.filters,
        half_life=options.half_life,
    )
    without = found.without_id - adopted
    left_out = {"without an id": without} if without else {}
    notes += remarks(
        found, words, rows, filters=options.filters, precision=precision, adopted=adopted
    )
    notes += _ages(found, span, precision, options.half_life)
    return {
        "columns": dict(columns.of),
        "layout": layout.name if layout else None,
        "found": asdict(found),
        "dropped": asdict(replace(dropped, rows=left_out | dropped.rows)),
        "notes": notes,
    }


def _span(connection: Any, rows: LogRows, found: EventSurvey, half_life: float | None) -> Span:
    if half_life is None:
        return Span(0.0, 0.0)
    if found.end is None:
        raise DataError(
            "expected a column of times for the half-life, found none",
            where=str(rows.files.paths[0]),
            remedy="Name it with --column time=NAME, or leave the half-life out.",
        )
    return robust_span(connection, rows, found)


def _ages(
    found: EventSurvey, span: Span, precision: Precision, half_life: float | None
) -> list[str]:
    """Return a line for each thing that ages cannot be told from."""
    if half_life is None:
        return []
    notes = span.notes()
    if found.timed < found.rows:
        notes.append(f"{found.rows - found.timed:,} rows without a time count as the oldest")
    if half_life * 86_400 < precision.seconds > 1:
        notes.append(
            f"times are given to {precision.name}, which is longer than the half-life: events of"
            " one such time count alike"
        )
    return notes


def _counts_key(files: EventFiles, options: LabelOptions) -> dict[str, Any]:
    """Return all that the counts depend on."""
    return {
        "rankfield": __version__,
        "files": [path.name for path in files.paths],
        "fingerprint": files.fingerprint(),
        "columns": dict(options.columns),
        "events": dict(options.events),
        "applications": list(options.applications),
        "filters": asdict(options.filters),
        "half_life_days": options.half_life,
    }


def _write(
    partial: Path, made: Path, target: Path, options: LabelOptions, counted: dict[str, Any]
) -> Labels:
    statistics = partial / "statistics.parquet"
    totals = _totals(statistics)
    if not totals["impressions"].any():
        raise nothing_left(counted["key"]["files"], counted["dropped"])
    propensities = _propensities(statistics, options, len(totals["impressions"]))
    weights = options.scoring.weights({name: float(v.sum()) for name, v in totals.items()})
    # carts and orders without a position add no impressions: there any θ will do
    theta = np.concatenate([[1.0], propensities.values])
    prior = fit_prior(statistics, theta, options.scoring.prior)
    writer = JudgmentWriter(
        statistics, made, scoring=options.scoring, weights=weights, theta=theta, prior=prior
    )
    writer.run(raw_rate=float(totals["clicks"].sum() / totals["impressions"].sum()))
    if options.grades:
        write_grades(made / "judgments.parquet", options.grades)
    corrected, raw = writer.corrected.curve(), writer.raw.curve()
    record = _counts_json(counted, options, writer) | {
        "propensities": _propensities_json(propensities, totals),
        "calibration": {
            name: curve.as_json() if curve else None
            for name, curve in (("corrected", corrected), ("uncorrected", raw))
        },
        "warnings": list(propensities.warnings),
    }
    write_json(made / "labels.json", record)
    notes = tuple(counted["notes"])
    return Labels(target, record, notes, propensities, corrected, raw)


def _counts_json(
    counted: dict[str, Any], options: LabelOptions, writer: JudgmentWriter
) -> dict[str, Any]:
    """Return what labels.json says of the log, the options, and what became of the counts."""
    found, prior = counted["found"], writer.prior
    return {
        "rankfield": __version__,
        "log": {k: counted["key"][k] for k in ("files", "fingerprint")} | {"rows": found["rows"]},
        "layout": counted["layout"],
        "columns": counted["columns"],
        "options": _as_json(options),
        "dropped": counted["dropped"] | {"pairs shown too little": writer.left_out},
        "pairs": writer.pairs,
        "queries": writer.queries,
        "relevant": None if options.grades else _relevant(writer.mean_score),
        "event_weights": dict(writer.weights),
        "prior": {
            "strength": prior.strength,
            "rates": dict(prior.rates),
            "by_exposure": {event: g.tolist() for event, g in prior.by_exposure.items()},
        },
    }


def _relevant(mean: float) -> float:
    """Return a mean score to two digits that count, as a threshold that can be typed."""
    return float(f"{mean:.2g}")


def _as_json(options: LabelOptions) -> dict[str, Any]:
    record = asdict(options) | {"grades": list(options.grades)}
    record["applications"] = list(options.applications)
    if not isinstance(options.propensities, str):
        record["propensities"] = {str(k): v for k, v in sorted(options.propensities.items())}
    return record


def _propensities_json(found: Propensities, totals: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "method": found.method,
        "converged": found.converged,
        "iterations": max(len(found.log_likelihoods) - 1, 0),
        "log_likelihood": found.log_likelihoods[-1] if found.log_likelihoods else None,
        "by_position": [
            {
                "position": k + 1,
                "propensity": round(float(value), 9),
                "estimated": bool(found.estimated[k]),
                "clicks_to_compare": float(found.clicks[k]),
                "impressions": float(totals["impressions"][k]),
                "clicks": float(totals["clicks"][k]),
            }
            for k, value in enumerate(found.values)
        ],
    }


def _totals(statistics: Path) -> dict[str, Any]:
    """Return impressions and clicks of positions 1 … K, carts and orders of all; decayed or not."""
    table = pl.scan_parquet(statistics, glob=False)
    prefix = "decayed_" if "decayed_clicks" in table.collect_schema() else ""
    names = ("impressions", "clicks", "carts", "orders")
    sums = (
        table.group_by("position")
        .agg(pl.col(f"{prefix}{name}").sum().cast(pl.Float64).alias(name) for name in names)
        .collect(engine="streaming")
        .sort("position")
    )
    shown = sums.filter((pl.col("position") > 0) & (pl.col("impressions") > 0))
    places = int(shown["position"].max() or 0)  # type: ignore[arg-type]
    totals = {name: np.zeros(places) for name in ("impressions", "clicks")}
    for name, values in totals.items():
        values[shown["position"].to_numpy() - 1] = shown[name].to_numpy()
    return totals | {name: np.array(sums[name].sum()) for name in ("carts", "orders")}


def _propensities(statistics: Path, options: LabelOptions, positions: int) -> Propensities:
    if not isinstance(options.propensities, str):
        return given_propensities(options.propensities, positions)
    counts = informative_counts(statistics)
    return estimate_propensities(counts, positions, options.propensities)  # type: ignore[arg-type]
