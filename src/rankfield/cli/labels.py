"""`rankfield labels`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rankfield.cli.program import program
from rankfield.errors import InputError
from rankfield.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rankfield.labels import Labels

__all__ = ["command"]


def command(
    events: Annotated[
        Path,
        typer.Argument(help="The log: CSV, TSV, JSON Lines or Parquet, or a folder of its parts."),
    ],
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    *,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NAME",
            help="Which column is the query_id (or query, a text), doc_id, event, position, time, "
            "list_id, session_id, user_id, user_agent, application, or count of impressions, "
            "clicks, carts, orders; a value inside a nested column as a.b.c; repeatable; the "
            "others are guessed.",
        ),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD=EVENT",
            help="What a word of the event column means: impression, click, cart, order or ignore; "
            "repeatable.",
        ),
    ] = None,
    application: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Count events of this application alone; repeatable."),
    ] = None,
    propensities: Annotated[
        str,
        typer.Option(
            metavar="em|interventions|none|FILE",
            help="How likely each position is examined: by the click model, from intervention "
            "pairs, all alike, or a CSV file with the columns position and propensity.",
        ),
    ] = "em",
    estimator: Annotated[
        Literal["model", "ips"],
        typer.Option(help="Relevance by the click model, or clicks by inverse propensity."),
    ] = "model",
    prior: Annotated[
        float | None,
        typer.Option(
            help="Strength of smoothing, in examined impressions; default: what the log suggests."
        ),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EVENT=X",
            help="Weight of click (1), cart (3) or order (5) in the score; repeatable.",
        ),
    ] = None,
    half_life: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="Events this much older than the newest count half."),
    ] = None,
    min_impressions: Annotated[
        int, typer.Option(metavar="N", help="Pairs shown less often get no score.")
    ] = 1,
    grades: Annotated[
        str,
        typer.Option(
            metavar="Q,Q,…",
            help="Cut the scores at these quantiles into grades 0, 1 …; default: 0 to 1.",
        ),
    ] = "",
    max_position: Annotated[
        int, typer.Option(metavar="N", help="Leave out events further down.")
    ] = 100,
    max_session_events: Annotated[
        int, typer.Option(metavar="N", help="Leave out sessions with more rows.")
    ] = 1000,
    max_click_rate: Annotated[
        float,
        typer.Option(metavar="X", help="Leave out sessions with more clicks a second, from 5 on."),
    ] = 1.0,
    drop_clickless: Annotated[
        bool, typer.Option("--drop-clickless", help="Leave out sessions without a click.")
    ] = False,
    bot_agents: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Leave out sessions whose user agent matches; default: names of usual robots, "
            'none with "".',
        ),
    ] = None,
    memory: Annotated[
        float, typer.Option(metavar="GIB", help="Bound of the counting; beyond it, disk is used.")
    ] = 2.0,
) -> None:
    """Make judgments from impressions, clicks, carts and orders, corrected for position bias.

    Example: rankfield labels events.parquet labels --half-life 90 --min-impressions 5

    Then: rankfield import tables SRC OUT --judgments labels/judgments.parquet, and --queries
    labels/queries.parquet if the log has texts of queries and no ids. A run that was killed goes on
    from its counts.
    """
    from rankfield.labels import (
        EventFilters,
        LabelOptions,
        Scoring,
        make_labels,
        read_propensities,
    )
    from rankfield.labels.filters import BOT_AGENTS
    from rankfield.report.calibration import calibration_figure

    known = ("em", "interventions", "none")
    options = LabelOptions(
        columns=_assignments(column, "--column"),
        events=_assignments(event, "--event"),
        applications=tuple(application or ()),
        filters=EventFilters(
            max_position=max_position,
            max_session_events=max_session_events,
            max_click_rate=max_click_rate,
            drop_clickless=drop_clickless,
            bot_agents=BOT_AGENTS if bot_agents is None else bot_agents,
        ),
        propensities=propensities if propensities in known else read_propensities(propensities),
        scoring=Scoring(
            estimator=estimator,
            prior=prior,
            event_weights={k: _number(v, "--weight") for k, v in _pairs(weight, "--weight")},
            min_impressions=min_impressions,
        ),
        half_life=half_life,
        grades=tuple(_number(q, "--grades") for q in grades.split(",") if q),
    )
    labels = make_labels(
        events,
        out,
        options,
        memory=memory,
        draw=lambda made, found: calibration_figure(made / "calibration.svg", found),
    )
    _say(labels)


def _pairs(given: Sequence[str] | None, option: str) -> list[tuple[str, str]]:
    pairs = []
    for text in given or ():
        name, divider, value = text.partition("=")
        if not (name and divider and value):
            raise InputError(f"expected NAME=VALUE, found {text!r}", where=option)
        pairs.append((name, value))
    return pairs


def _assignments(given: Sequence[str] | None, option: str) -> dict[str, str]:
    return dict(_pairs(given, option))


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"expected a number, found {text!r}", where=option) from None


def _say(labels: Labels) -> None:
    """Print what was guessed and left out, the propensities, and what to do next."""
    record = labels.record
    for note in labels.notes:
        echo(f"- {note}")
    for line in _left_out(record["dropped"]):
        echo(f"- left out: {line}")
    found = record["propensities"]
    values = [f"{row['propensity']:.3g}" for row in found["by_position"]]
    shown = " ".join(values[:10]) + (" …" if len(values) > 10 else "")
    echo(f"propensities ({found['method']}) from position 1: {shown}")
    if labels.corrected and labels.raw:
        echo(
            "click rates of held-out positions, mean error:"
            f" {labels.corrected.error:.4f}, uncorrected {labels.raw.error:.4f}"
        )
    for warning in labels.propensities.warnings:
        echo(f"warning: {warning}", err=True)
    echo(f"{labels.folder}: {record['pairs']:,} pairs of {record['queries']:,} queries")
    # ids made of texts are known to the queries written beside the judgments alone
    tables = [t for t in ("queries", "judgments") if (labels.folder / f"{t}.parquet").exists()]
    options = [f"--{t} {shlex.quote(str(labels.folder / f'{t}.parquet'))}" for t in tables]
    relevant = record["relevant"]
    if relevant:
        options.append(f"--relevant {relevant:g}")
        echo(
            f"relevant from {relevant:g}, the mean score of what visitors saw; without --relevant"
            " all that was shown would count as relevant"
        )
    echo(f"next: {program()} import tables SRC OUT {' '.join(options)}")


_SHOWN = {
    "lost_clicks": "clicks without an impression",
    "unplaced": "impressions without a position",
}


def _left_out(dropped: Mapping[str, object]) -> list[str]:
    lines = []
    for reason, value in dropped.items():
        if isinstance(value, dict):
            for name, count in value.items():
                many = (
                    f"{count['sessions']:,} sessions ({count['rows']:,} rows)"
                    if isinstance(count, dict)
                    else f"{count:,} rows"
                )
                lines.append(f"{many}, {name}")
        elif value:
            lines.append(f"{value:,} {_SHOWN.get(reason, reason)}")
    return lines
