"""`rankfield report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.load_results import load_results, result_files
from rankfield.cli.options import Overwrite
from rankfield.errors import InputError
from rankfield.outputs import OR_OVERWRITE, require_new
from rankfield.terminal import echo

if TYPE_CHECKING:
    from rankfield.evaluation import Results

__all__ = ["command"]

_ENDINGS = (".html", ".md", ".json")


def command(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="[LABEL=]FILE...",
            help="Files that `rankfield evaluate --out` or `rankfield metrics --out` wrote: the "
            "baseline first, the model that the report is about last. Runs of one label (of "
            "`evaluate --label`, or LABEL=FILE) are averaged.",
            show_default=False,
        ),
    ],
    *,
    out: Annotated[
        list[Path] | None,
        typer.Option(help="What to write: .html, .md or .json; repeatable.", show_default=False),
    ] = None,
    model_card: Annotated[
        Path | None, typer.Option(help="Write the last model's card (Markdown) here.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="The data set; by default where it lay when it was evaluated."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="The heading.")] = None,
    slice_by: Annotated[
        list[str] | None,
        typer.Option(
            "--slice",
            help="query.COLUMN, document.COLUMN, frequency, length or judgments; repeatable. "
            "Default: judgments, length and frequency.",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Test all others against this one too, by label; repeat for more. all: every "
            "pair. Holm's correction is over all of these tests.",
        ),
    ] = None,
    queries: Annotated[int, typer.Option(min=0, help="Queries to show, drawn fairly.")] = 12,
    extremes: Annotated[
        int, typer.Option(min=0, help="Wins and losses to show, of each the largest.")
    ] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Write a report on one or more evaluations: a page that opens without a network.

    Splits with intervals, gains with their significance, scores by rank, slices, missing fields,
    queries won and lost with images, data and recipes. Training logs and recipes are taken from
    the runs' folders, where they are beside the results or the model.

    Example: rankfield report clip.json gcl.json --out report.html --out report.md
    """
    import json

    from rankfield.files import new_file
    from rankfield.report import gather, render_markdown, render_model_card, render_page
    from rankfield.schema import RankingDataset

    outputs = [*(out or ([] if model_card else [Path("report.html")]))]
    _check_outputs([*outputs, *([model_card] if model_card else [])], outputs, overwrite)
    loaded = load_results(results)
    paths = [path for _, path in result_files(results)]
    dataset = RankingDataset.load(data or _stored_dataset(loaded[0], paths[0]))
    content = gather(
        dataset,
        loaded,
        title=title or _title(loaded),
        training_logs=_training_logs(paths, loaded),
        slices=slice_by or None,
        against=None if not against else [] if "all" in against else against,
        queries_shown=queries,
        extremes_shown=extremes,
        seed=seed,
    )
    texts = {
        ".html": lambda: render_page(content),
        ".md": lambda: render_markdown(content),
        ".json": lambda: json.dumps(content.to_json(), indent=2, ensure_ascii=False) + "\n",
    }
    written = {path: texts[path.suffix.lower()]() for path in outputs}
    if model_card:
        written[model_card] = render_model_card(content)
    for path, text in written.items():
        with new_file(path) as temporary:
            temporary.write_text(text, "utf-8")
    for sentence in content.summary:
        echo(sentence)
    echo(f"Written: {', '.join(map(str, written))}")


def _check_outputs(every: Sequence[Path], reports: Sequence[Path], overwrite: bool) -> None:
    for path in reports:
        if path.suffix.lower() not in _ENDINGS:
            raise InputError(
                f"expected a file ending in {', '.join(_ENDINGS)}, found {path.name!r}",
                where="--out",
            )
    for path in every:
        if every.count(path) > 1:
            raise InputError("two outputs of one name", where=str(path))
        if not overwrite:
            require_new(path, remedy=OR_OVERWRITE)


def _stored_dataset(results: Results, path: Path) -> Path:
    stored = results.dataset.path
    if not stored or not Path(stored).is_dir():
        where = f"is not at {stored!r} any more" if stored else "lies elsewhere"
        raise InputError(
            f"the data set {results.dataset.name!r} {where}",
            where=str(path),
            remedy="Say where it is (--data).",
        )
    return Path(stored)


def _title(results: Sequence[Results]) -> str:
    names = list(dict.fromkeys(r.label or Path(r.model).name for r in results))
    about = results[0].dataset.name
    if len(names) == 1:
        return f"{names[0]} on {about}"
    return f"{names[-1]} against {' and '.join(names[:-1])} on {about}"


def _training_logs(paths: Sequence[Path], results: Sequence[Results]) -> dict[str, Path]:
    """Return name → the log beside its results or its model; the first of several runs.

    Results name the folder of their model. A log is taken from beside it only where it holds the
    model that was measured: results of others could name any folder.
    """
    found: dict[str, Path] = {}
    for path, one in zip(paths, results, strict=True):
        places = [path.parent, *_model_runs(one)]
        log = next((p / "log.jsonl" for p in places if (p / "log.jsonl").is_file()), None)
        if log is not None:
            found.setdefault(one.label or one.model, log)
    return found


def _model_runs(results: Results) -> list[Path]:
    """Return the run's folder of the model that was measured, if it is where the results say."""
    from rankfield.encoders.fingerprint import model_fingerprint

    known = results.metadata
    place, measured = known.get("model"), known.get("fingerprint")
    if not isinstance(place, str) or not (Path(place) / "rankfield.json").is_file():
        return []
    return [Path(place).parent] if model_fingerprint(place) == measured else []
