"""`rankfield metrics`: ranking metrics of runs from anywhere, without a data set or a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankfield.cli.baselines import output_of
from rankfield.cli.load_results import result_files
from rankfield.cli.metrics_output import check_values_file, means_of, save_values, show_means
from rankfield.cli.metrics_scale import read_judgments, say_highest_grade
from rankfield.cli.options import AllowCode, TableFile
from rankfield.cli.results_table import chosen_metrics
from rankfield.errors import InputError
from rankfield.paths import safe_name
from rankfield.terminal import echo, printable_values

if TYPE_CHECKING:
    import polars as pl

    from rankfield.evaluation import Results
    from rankfield.evaluation.results import DatasetIdentity
    from rankfield.metrics import Metric, OwnMetric
    from rankfield.schema import ScoreScale

__all__ = ["command"]

_METRICS = ("nDCG@10", "RR@10", "mAP@1000", "R@100", "P@10", "Judged@10")


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
            metavar="[LABEL=]RUN...",
            help="Ranked lists, in the same forms; a table may have rank in place of score, as "
            "the rankings beside the results of `rankfield evaluate`. LABEL=RUN names it.",
            show_default=False,
        ),
    ],
    *,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            help=f"A metric, such as 'nDCG(gain=exp)@10', or module:function@10, of your own "
            f"(--allow-code); repeat for more. Default: {', '.join(_METRICS)}.",
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
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Test each run against the first, query by query."),
    ] = False,
    per_query: Annotated[
        Path | None, typer.Option(help="Write each query's values: a .parquet or .csv file.")
    ] = None,
    table: TableFile = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write results, for `rankfield compare` and `report`: a JSON file and two tables "
            "beside it; of several runs OUT.RUN.json each."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the means as JSON in place of tables.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the outputs.")] = False,
    allow_code: AllowCode = False,
) -> None:
    """Measure ranked lists against judgments: floats stay floats.

    Lists are sorted by score, descending. A query that a run lacks counts as an empty list, unless
    it is left out; a query with nothing relevant is left out of the means that need something.

    Example: rankfield metrics qrels.txt bm25.run dense.run -m nDCG@10 -m 'RBP(p=0.8)'

    Example: rankfield metrics qrels.txt bm25.run dense.run --compare --table table.tex
    """
    named = _named(runs)
    outputs = _outputs(out, named)
    _check_outputs(named, outputs, per_query, table, compare=compare, overwrite=overwrite)
    chosen = chosen_metrics(metric or _METRICS, "rankfield", allow_code=allow_code)
    wanted = [_condensed(one, condensed) for one in chosen]
    files = list(named.values())
    _require_splits(split, judgments, files)
    judged, judged_scale = read_judgments(judgments, scale, relevant, split)
    wanted = _within_depth(wanted, files, chosen=bool(metric))
    if compare and not metric:
        wanted = [one for one in wanted if str(one) != "Judged@10"]
    missing = {"ignore_unknown": ignore_unknown, "ignore_missing": ignore_missing}
    how = _How(judgments, judged, judged_scale, wanted, split, {"ties": ties, **missing})
    found = {name: how.measured(name, path) for name, path in named.items()}
    if as_json:
        echo(printable_values(_json(found), "json"))
    else:
        fate = "they are left out" if ignore_missing else "they count as empty lists"
        show_means(judgments, found, judged_scale, fate=fate)
        if scale is None:
            say_highest_grade(wanted, judged_scale)
    _compared(found, wanted, table, show=compare and not as_json, overwrite=overwrite)
    if per_query is not None:
        save_values(per_query, found)
    _save(found, outputs, overwrite=overwrite)


@dataclass(frozen=True)
class _How:
    """The judgments and settings by which every run is measured."""

    file: Path
    judgments: pl.DataFrame
    scale: ScoreScale
    metrics: Sequence[Metric | OwnMetric]
    split: str | None
    settings: Mapping[str, Any]

    def measured(self, name: str, path: Path) -> Results:
        """Return the results of a run; a name that is not its path is a label."""
        from rankfield.evaluation.measure_run import measure_run
        from rankfield.files import file_sha256
        from rankfield.formats.rankings import read_ranked_pairs

        pairs = read_ranked_pairs(path, split=self.split)
        data, own = self._judged
        return measure_run(
            self.judgments,
            pairs,
            self.scale,
            self.metrics,
            data=data,
            name=path.name,
            split=self.split or "all",
            label=None if name == str(path) else name,
            metadata={"run": path.name, "sha256": {**own, path.name: file_sha256(path)}},
            **self.settings,
        )

    @cached_property
    def _judged(self) -> tuple[DatasetIdentity, dict[str, str]]:
        """What the judgments are, and the name and sha256 of their file; the same for each run."""
        from rankfield.evaluation.measured_data import judgments_fingerprint
        from rankfield.evaluation.results import DatasetIdentity
        from rankfield.files import file_sha256

        name = self.file.name
        data = DatasetIdentity(name, judgments_fingerprint(self.judgments))
        return data, {name: file_sha256(self.file)}


def _named(runs: Sequence[Path]) -> dict[str, Path]:
    """Return label, or the path where there is none → the file of each run."""
    found: dict[str, Path] = {}
    for label, path in result_files(runs):
        name = label or str(path)
        if name in found:
            raise InputError(
                f"two runs are called {name!r}", where=str(path), remedy="Name each one otherwise."
            )
        found[name] = path
    return found


def _outputs(out: Path | None, named: Mapping[str, Path]) -> dict[str, Path]:
    """Return name → the file of its results; empty without `out`."""
    if out is None:
        return {}
    found: dict[str, Path] = {}
    for name, path in named.items():
        word = safe_name(path.stem if name == str(path) else name)
        target = output_of(out, word, several=len(named) > 1)
        if target in found.values():
            raise InputError(
                f"the results of two runs would be {target.name}",
                where=str(path),
                remedy="Label the runs: LABEL=RUN.",
            )
        found[name] = target
    return found


def _check_outputs(
    named: Mapping[str, Path],
    outputs: Mapping[str, Path],
    per_query: Path | None,
    table: Path | None,
    *,
    compare: bool,
    overwrite: bool,
) -> None:
    """Refuse what could not be written, or compared, before any work."""
    from rankfield.evaluation import Results
    from rankfield.evaluation.table_file import check_table_file

    if compare and len(named) < 2:
        raise InputError("compares two runs or more, found one", where="--compare")
    if per_query is not None:
        check_values_file(per_query, overwrite=overwrite)
    if table is not None:
        check_table_file(table, overwrite=overwrite)
    for target in outputs.values():
        if not overwrite:
            Results.require_new(target)


def _compared(
    found: Mapping[str, Results],
    metrics: Sequence[Metric | OwnMetric],
    table: Path | None,
    *,
    show: bool,
    overwrite: bool,
) -> None:
    """Print tests of the runs, and write the table, where they are asked for."""
    from rankfield.cli.compare import legend, show_tests
    from rankfield.cli.compare import show as show_comparison
    from rankfield.evaluation import compare
    from rankfield.evaluation.table_file import save_table_file

    if not show and table is None:
        return
    comparison = compare(list(found.values()), metrics=[str(metric) for metric in metrics])
    if show:
        for name in comparison.metrics:
            show_comparison(comparison, name)
        show_tests(comparison)
        echo(legend(comparison, details=True))
    if table is not None:
        save_table_file(comparison, table, overwrite=overwrite)
        echo(f"Table: {table}", err=True)


def _json(found: Mapping[str, Results]) -> str:
    from rankfield.files import json_text

    return json_text({"runs": {name: means_of(results) for name, results in found.items()}})


def _save(found: Mapping[str, Results], outputs: Mapping[str, Path], *, overwrite: bool) -> None:
    from rankfield.evaluation import save_results

    save_results({target: found[name] for name, target in outputs.items()}, overwrite=overwrite)
    for target in outputs.values():
        echo(f"Results: {target}", err=True)


def _condensed(metric: Metric | OwnMetric, condensed: bool) -> Metric | OwnMetric:
    from rankfield.metrics import Metric

    if (
        not condensed
        or not isinstance(metric, Metric)
        or metric.condensed
        or metric.family == "Judged"
    ):
        return metric
    return replace(metric, parameters=(*metric.parameters, ("condensed", True)))


def _within_depth(
    metrics: list[Metric | OwnMetric], runs: Sequence[Path], *, chosen: bool
) -> list[Metric | OwnMetric]:
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
