"""`rankfield metrics`: ranking metrics of runs from anywhere, without a data set or a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankfield.cli.text_table import show_table
from rankfield.errors import InputError
from rankfield.terminal import echo, one_line, printable_values

if TYPE_CHECKING:
    import polars as pl

    from rankfield.evaluation import JudgedRun
    from rankfield.metrics import Mean, Metric
    from rankfield.metrics.rankings import FloatArray
    from rankfield.schema import ScoreScale

__all__ = ["command"]

_METRICS = ("nDCG@10", "RR@10", "mAP@1000", "R@100", "P@10", "Judged@10")
_SEED = 0


def _list_metrics(wanted: bool) -> None:
    """Print each metric and its parameters with their defaults."""
    if not wanted:
        return
    from rankfield.metrics import METRICS

    for family in METRICS.values():
        echo(f"{family.name}@K: {family.description}")
        for name, parameter in family.parameters.items():
            only = " (with {}={})".format(*parameter.only_with) if parameter.only_with else ""
            text = f"    {name}={parameter.default_text}{only}: {parameter.description}"
            echo(text.replace("`", ""))
    raise typer.Exit


def command(
    judgments: Annotated[
        Path,
        typer.Argument(
            metavar="QRELS",
            help="Judgments: TREC qrels, .json of {query: {document: score}}, or a .parquet, "
            ".csv, .tsv or .jsonl table of query_id, doc_id, score; also under other usual names.",
            show_default=False,
        ),
    ],
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Ranked lists, in the same forms; a table may have rank in place of score, as "
            "the rankings beside the results of `rankfield evaluate`.",
            show_default=False,
        ),
    ],
    *,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            help=f"A metric, such as 'nDCG(gain=exp)@10'; repeat for more. "
            f"Default: {', '.join(_METRICS)}.",
        ),
    ] = None,
    _list: Annotated[
        bool,
        typer.Option(
            "--list", callback=_list_metrics, is_eager=True, help="List the metrics and stop."
        ),
    ] = False,
    condensed: Annotated[
        bool, typer.Option("--condensed", help="Leave unjudged documents out of the lists first.")
    ] = False,
    scale: Annotated[
        str | None,
        typer.Option(
            help="MIN:MAX of the scores, or :MAX; default: 0 to the largest judged score. Scores "
            "of 0 and below gain nothing, unless MIN is below 0."
        ),
    ] = None,
    relevant: Annotated[
        float | None,
        typer.Option(help="Scores from here on are relevant; default: the smallest above 0."),
    ] = None,
    ties: Annotated[
        str,
        typer.Option(
            help="Order of equal scores: doc_id descending (as trec_eval), ascending, or file."
        ),
    ] = "descending",
    ignore_unknown: Annotated[
        bool, typer.Option("--ignore-unknown", help="Leave out a run's queries without judgments.")
    ] = False,
    split: Annotated[
        str | None,
        typer.Option(help="Only rows of this split, of tables with a column `split`."),
    ] = None,
    ignore_missing: Annotated[
        bool,
        typer.Option("--ignore-missing", help="Leave out judged queries that a run lacks."),
    ] = False,
    per_query: Annotated[
        Path | None, typer.Option(help="Write each query's values: a .parquet or .csv file.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the means as JSON.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print that JSON in place of the table.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the outputs.")] = False,
) -> None:
    """Measure ranked lists against judgments: floats stay floats.

    Lists are sorted by score, descending. A query that a run lacks counts as an empty list, unless
    it is left out; a query with nothing relevant is left out of the means that need something.

    Example: rankfield metrics qrels.txt bm25.run dense.run -m nDCG@10 -m 'RBP(p=0.8)'
    """
    from rankfield.files import json_text, write_json
    from rankfield.metrics import Metric
    from rankfield.outputs import OR_OVERWRITE, require_new

    if not overwrite:
        require_new(per_query, out, remedy=OR_OVERWRITE)
    if per_query is not None and per_query.suffix.lower() not in (".parquet", ".csv"):
        raise InputError("expected a name ending in .parquet or .csv", where=f"{per_query}")
    wanted = [_condensed(Metric.parse(name), condensed) for name in metric or _METRICS]
    _require_splits(split, judgments, runs)
    judged, judged_scale = _judged(judgments, scale, relevant, split)
    wanted = _within_depth(wanted, runs, chosen=bool(metric))
    found = {
        str(path): _measured(
            path,
            judged,
            wanted,
            judged_scale,
            ties=ties,
            ignore_unknown=ignore_unknown,
            ignore_missing=ignore_missing,
            split=split,
        )
        for path in dict.fromkeys(runs)
    }
    made = _made(judgments, runs, judged_scale, ties, split)
    if as_json:
        echo(printable_values(json_text(_means(found, made)), "json"))
    else:
        fate = "they are left out" if ignore_missing else "they count as empty lists"
        missing = f"judged queries are not in the run: {fate}"
        _show(judgments, found, judged_scale, ties, missing=missing)
        if scale is None:
            _say_highest_grade(wanted, judged_scale)
    if per_query is not None:
        _write_queries(per_query, found, made)
    if out is not None:
        write_json(out, _means(found, made))


def _condensed(metric: Metric, condensed: bool) -> Metric:
    if not condensed or metric.condensed or metric.family == "Judged":
        return metric
    return replace(metric, parameters=(*metric.parameters, ("condensed", True)))


def _within_depth(metrics: list[Metric], runs: Sequence[Path], *, chosen: bool) -> list[Metric]:
    """Return the metrics that lists which an evaluation cut off can give; refuse chosen others."""
    from rankfield.formats.own_tables import ranked_depth

    for run in runs:
        depth = ranked_depth(run)
        if depth is None:
            continue
        deeper = [str(m) for m in metrics if m.cutoff is None or m.cutoff > depth]
        if chosen and deeper:
            raise InputError(
                f"{deeper[0]} needs more than the {depth} best documents that an evaluation keeps",
                where=str(run),
                remedy="Write whole lists with `rankfield evaluate … --run FILE`, and measure "
                "those.",
            )
        if deeper:
            few = ", ".join(deeper)
            echo(f"{run}: holds the {depth} best documents, too few for {few}.", err=True)
        metrics = [m for m in metrics if str(m) not in deeper]
    return metrics


def _require_splits(split: str | None, judgments: Path, runs: Sequence[Path]) -> None:
    from rankfield.formats.rankings import has_splits

    if split is not None and not any(has_splits(path) for path in (judgments, *runs)):
        raise InputError(
            "none of the files is a table with a column 'split'",
            where="--split",
            remedy="Leave out --split.",
        )


def _judged(
    path: Path, scale: str | None, relevant: float | None, split: str | None
) -> tuple[pl.DataFrame, ScoreScale]:
    """Return the judgments and their scale."""
    from rankfield.formats.guesses import guess_scale
    from rankfield.formats.rankings import read_judged_pairs

    judged = read_judged_pairs(path, split=split)
    low, high = _bounds(scale) if scale else (None, None)
    found = guess_scale(judged["score"], minimum=low, maximum=high)
    outside = (judged["score"] > found.maximum) | (judged["score"] < found.minimum)
    if outside.any():
        query, document, score = judged.row(int(outside.arg_max() or 0))
        raise InputError(
            f"the score {score:g} of {document!r} for {query!r} is outside {found.minimum:g} to "
            f"{found.maximum:g}",
            where="--scale",
            remedy="State the true ends, or the upper one alone, --scale :MAX: then scores of 0 "
            "and below gain nothing.",
        )
    return judged, found if relevant is None else replace(found, relevant=relevant)


def _bounds(scale: str) -> tuple[float | None, float]:
    """Return both ends of the scale, None where the lower one is left out."""
    low, colon, high = scale.partition(":")
    try:
        least, most = float(low) if low.strip() else None, float(high)
    except ValueError:
        least, most = math.nan, math.nan
    if colon and math.isfinite(most) and (least is None or -math.inf < least < most):
        return least, most
    raise InputError(
        f"expected MIN:MAX, two finite numbers, the smaller first, found {scale!r}",
        where="--scale",
        remedy="Write --scale 0:4, or --scale :4.",
    )


def _say_highest_grade(metrics: Sequence[Metric], scale: ScoreScale) -> None:
    """Say which highest grade ERR takes where no scale is stated: it decides the figure."""
    from rankfield.metrics import GainMap

    highest = GainMap(scale).highest_grade
    if any(m.family == "ERR" and m.value("max") is None for m in metrics) and highest < 4:
        echo(
            f"ERR takes {highest:g}, the largest judged score, for the highest grade: state it "
            f"(--scale :{math.floor(highest) + 1}), or take gdeval's, ERR(max=4)."
        )


Measured = tuple["JudgedRun", "dict[str, FloatArray]", "dict[str, Mean]"]


def _measured(
    path: Path,
    judged: pl.DataFrame,
    metrics: Sequence[Metric],
    scale: ScoreScale,
    *,
    ties: str,
    ignore_unknown: bool,
    ignore_missing: bool,
    split: str | None,
) -> Measured:
    from rankfield.evaluation import join_run
    from rankfield.evaluation.intervals import mean_intervals
    from rankfield.formats.rankings import read_ranked_pairs
    from rankfield.metrics import standard_metrics

    run = join_run(
        judged,
        read_ranked_pairs(path, split=split),
        ties=ties,
        ignore_unknown=ignore_unknown,
        ignore_missing=ignore_missing,
        name=str(path),
    )
    values = standard_metrics(run.rankings, scale, metrics)
    return run, values, mean_intervals(values, seed=_SEED)


def _show(
    path: Path, found: Mapping[str, Measured], scale: ScoreScale, ties: str, *, missing: str
) -> None:
    first = next(iter(found.values()))
    count = len(first[0].queries)
    counts = dict.fromkeys(f"{len(run.queries):,}" for run, _, _ in found.values())
    show_table(
        f"{path}, {', '.join(counts)} queries: mean [95 % interval]",
        ["metric", *map(one_line, found)],
        [[name, *(_cell(means[name]) for _, _, means in found.values())] for name in first[1]],
    )
    echo(
        f"Scores from {scale}; "
        f"equal scores of a run: {'as in the file' if ties == 'file' else f'doc_id {ties}'}."
    )
    for metric, mean in first[2].items():
        if mean.queries < count:
            echo(
                f"{metric}: {count - mean.queries:,} queries without anything to find are left out."
            )
    for name, (run, _, _) in found.items():
        for number, what in (
            (run.missing, missing),
            (run.unknown, "queries without judgments are left out"),
            (run.tied, "queries have documents of equal score"),
        ):
            if number:
                echo(f"{name}: {number:,} {what}.")


def _cell(mean: Mean) -> str:
    if mean.value is None:
        return "–"
    interval = "" if mean.low is None else f" [{mean.low:.4f}, {mean.high:.4f}]"
    return f"{mean.value:.4f}{interval}"


def _made(
    judgments: Path, runs: Sequence[Path], scale: ScoreScale, ties: str, split: str | None
) -> dict[str, Any]:
    """Return how the figures were made: version, settings, which files."""
    from hashlib import sha256

    from rankfield import __version__
    from rankfield.evaluation.resampling import LEVEL

    return {
        "rankfield": __version__,
        "scale": {k: v for k, v in asdict(scale).items() if k != "meaning" and v is not None},
        "ties": ties,
        **({} if split is None else {"split": split}),
        "intervals": {"level": LEVEL, "seed": _SEED},
        "sha256": {str(p): sha256(p.read_bytes()).hexdigest() for p in (judgments, *runs)},
    }


def _write_queries(path: Path, found: Mapping[str, Measured], made: Mapping[str, Any]) -> None:
    """Write one row for each run and query: run, query_id, a column for each metric."""
    import json

    import polars as pl

    from rankfield.escaping import spreadsheet_cells
    from rankfield.files import new_file

    frame = pl.concat(
        pl.DataFrame(
            {
                "run": pl.repeat(name, len(run.queries), dtype=pl.String, eager=True),
                "query_id": run.queries,
                **{m: pl.Series(m, column).fill_nan(None) for m, column in values.items()},
            }
        )
        for name, (run, values, _) in found.items()
    )
    with new_file(path) as temporary:
        if path.suffix.lower() == ".csv":
            spreadsheet_cells(frame).write_csv(temporary)
        else:
            frame.write_parquet(temporary, metadata={"rankfield": json.dumps(made)})


def _means(found: Mapping[str, Measured], made: Mapping[str, Any]) -> dict[str, Any]:
    runs = {
        name: {
            "metrics": {metric: asdict(mean) for metric, mean in means.items()},
            "queries": len(run.queries),
            "missing": run.missing,
            "unknown": run.unknown,
            "tied": run.tied,
        }
        for name, (run, _, means) in found.items()
    }
    return {"runs": runs, **made}
