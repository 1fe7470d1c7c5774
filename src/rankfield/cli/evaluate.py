"""`rankfield evaluate`: how well a model ranks, on each split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.baselines import UNTRAINED, chosen_baselines, output_of, untrained_model
from rankfield.cli.evaluate_refusals import (
    kind_of,
    refuse_contradictions,
    refuse_for_others,
    refuse_opening,
    refuse_search_options,
    refuse_unused,
)
from rankfield.cli.evaluated_lists import Lists
from rankfield.cli.opening import Opened, Opening, opens_a_model
from rankfield.cli.options import Device, Overwrite
from rankfield.cli.results_table import ShownMetrics, chosen_metrics, show_results, with_metrics
from rankfield.errors import InputError
from rankfield.terminal import echo

if TYPE_CHECKING:
    from rankfield.evaluation import EvaluationOptions, Results
    from rankfield.schema import RankingDataset

__all__ = ["command"]

BAG_OF_WORDS = "bag-of-words"
DEPTH = 1000


@opens_a_model
def command(
    model: Annotated[
        str,
        typer.Argument(
            help="Model folder, pretrained model (folder, hub id, package:NAME), index, or run "
            "file of any system; with --baseline leave it out.",
            show_default=False,
        ),
    ],
    dataset: Annotated[
        Path | None, typer.Argument(help="Data set folder.", show_default=False)
    ] = None,
    *,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="in_domain, novel_query, novel_document or zero_shot; repeat for more. Default: "
            "all of them.",
            show_default=False,
        ),
    ] = None,
    subset: Annotated[str, typer.Option(help="Queries to evaluate: dev, test, or all.")] = "test",
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write results.json, and its two tables beside it."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Runs of one label are averaged by `rankfield compare`.")
    ] = None,
    device: Device = None,
    dimension: Annotated[
        int | None,
        typer.Option(min=1, help="Cut the embeddings to this many dimensions; default: all."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            help="In place of a model: bm25, random, popularity, oracle, untrained, or all of "
            "them; repeat for more. Of several, each gets a file of its own beside --out, and none "
            "is written before all are measured."
        ),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe of the model that --baseline untrained measures.")
    ] = None,
    popularity_column: Annotated[
        str | None,
        typer.Option(
            help="Column of the documents that orders what training knows nothing of, for "
            "--baseline popularity: a count of reviews, for instance."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of --baseline random.")] = 0,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Evaluate as if no record had this field, `title` or `document.title`; repeat "
            "for more."
        ),
    ] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness", help="Also measure without each field in turn, as if none had it."
        ),
    ] = False,
    protocol: Annotated[
        str,
        typer.Option(
            help="By whose rules: rankfield; marqo-gs, the published evaluation of GCL; beir."
        ),
    ] = "rankfield",
    metric: ShownMetrics = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder that keeps the embeddings: the same model and data are embedded once, and "
            "an interrupted run goes on where it stopped."
        ),
    ] = None,
    memory: Annotated[
        int,
        typer.Option(min=1, help="MiB that the search may use beside the embeddings."),
    ] = 256,
    precision: Annotated[
        str,
        typer.Option(
            help="How the search multiplies: auto, float32 or bfloat16; the result is the same."
        ),
    ] = "auto",
    run: Annotated[
        Path | None,
        typer.Option(
            help="Also write the ranked lists as a run file in TREC's form; of several splits or "
            "baselines each gets a file of its own, named after it."
        ),
    ] = None,
    depth: Annotated[
        int, typer.Option(min=1, help="How many documents of a query go into --run.")
    ] = DEPTH,
    overwrite: Overwrite = False,
    opening: Opening,
) -> None:
    """Measure how well a model, an index, a run or a baseline ranks, on each split.

    Embeddings are searched exactly, over the whole corpus of the split.

    Scores stay floats; an unjudged document counts 0; a query without anything relevant is left
    out of the means that need one. All metrics are in the results file, the table shows the main
    ones.

    Example: rankfield evaluate runs/gcl/model shop-split --out gcl.json

    Example: rankfield evaluate shop-split --baseline bm25 --out bm25.json

    Example: rankfield evaluate shop-index shop-split --out gcl.json

    Example: rankfield evaluate their.run shop-split --out theirs.json

    Example: rankfield evaluate runs/gcl/model shop-split --split novel_query --split zero_shot

    Example: rankfield evaluate runs/gcl/model shop-split --split zero_shot --run gcl.run

    Example: rankfield evaluate google/siglip2-base-patch16-224 shop-split --out siglip.json
    """
    from rankfield.evaluation import BASELINES
    from rankfield.validate import load_valid

    without = without or []
    if model == BAG_OF_WORDS and dataset is not None and not baseline:
        model, dataset, baseline = str(dataset), None, ["bm25"]
    place, data_folder = _places(model, dataset, baselines=bool(baseline))
    names = chosen_baselines(baseline or (), untrained=bool(recipe or place))
    refuse_contradictions(place, names, label, without, cache, robustness=robustness)
    refuse_unused(names, recipe, popularity_column, dimension, cache)
    refuse_search_options(names, device, precision)
    refuse_opening(place, names, opening)
    refuse_for_others(place, names, dimension, cache, without, robustness=robustness)
    outputs = _outputs(out, names, overwrite=overwrite)
    options = _options(split, subset, label, protocol, device, memory=memory, precision=precision)
    metrics = chosen_metrics(metric or (), options.protocol, allow_code=opening.allow_code)
    options = with_metrics(options, metrics)
    data = load_valid(data_folder)
    lists = Lists(run, depth).checked(data, options, names, overwrite=overwrite)
    options = lists.asked_of(options)
    # Before the first search: a recipe that fails does so early.
    opened = _opened(model, place, names, data, options, recipe=recipe, opening=opening)
    found: dict[str, Results] = {}
    for name in outputs:
        if name in BASELINES:
            results = _of_baseline(name, data, options, seed, popularity_column)
        elif opened is None:
            results = _of_other(place, data, options)
        else:
            if dimension is not None:
                opened.model.truncate_to(dimension)
            results = _of_model(opened, data, options, cache, without, robustness=robustness)
        show_results(results, [str(one) for one in metrics])
        found[name] = results
    lists.save(found)
    found = {name: lists.left_out(results) for name, results in found.items()}
    _save(found, outputs, overwrite=overwrite)


def _save(
    found: Mapping[str, Results], outputs: Mapping[str, Path | None], *, overwrite: bool
) -> None:
    from rankfield.evaluation import save_results

    targets = {target: found[name] for name, target in outputs.items() if target is not None}
    save_results(targets, overwrite=overwrite)
    for target in targets:
        echo(f"All metrics, each query and its best documents: {target}")


def _options(
    splits: Sequence[str] | None,
    subset: str,
    label: str | None,
    protocol: str,
    device: str | None,
    *,
    memory: int,
    precision: str,
) -> EvaluationOptions:
    """Return what the command line asks for, checked."""
    from rankfield.cli.options import chosen_device
    from rankfield.evaluation import EvaluationOptions, protocol_named
    from rankfield.search import PRECISIONS, SearchOptions

    if subset not in ("dev", "test", "all"):
        raise InputError(f"expected dev, test or all, found {subset!r}", where="--subset")
    if precision not in PRECISIONS:
        raise InputError(
            f"expected auto, float32 or bfloat16, found {precision!r}", where="--precision"
        )
    return EvaluationOptions(
        splits=None if not splits or "all" in splits else splits,
        subset=None if subset == "all" else subset,
        label=label,
        protocol=protocol_named(protocol).name,
        search=SearchOptions(memory, chosen_device(device), precision),
    )


def _places(model: str, dataset: Path | None, *, baselines: bool) -> tuple[Path | None, Path]:
    """Return the model's folder, if there is one, and the data set's."""
    if dataset is not None:
        return Path(model), dataset
    if not baselines:
        raise InputError(
            "expected a model and a data set, found one of them",
            where=model,
            remedy="Name both, or the data set and a --baseline.",
        )
    return None, Path(model)


def _opened(
    model: str,
    place: Path | None,
    names: Sequence[str],
    data: RankingDataset,
    options: EvaluationOptions,
    *,
    recipe: Path | None,
    opening: Opening,
) -> Opened | None:
    """Return the model to evaluate, built untrained or opened; None where there is none."""
    if UNTRAINED in names:
        return untrained_model(
            data, options, recipe=recipe, model=place, allow_code=opening.allow_code
        )
    if not names and kind_of(place) == "model":
        return opening.open(model, data, options.search.device)
    return None


def _outputs(out: Path | None, names: Sequence[str], *, overwrite: bool) -> dict[str, Path | None]:
    """Return baseline (or "" for the model) → where its results go, none of which exist."""
    from rankfield.evaluation import Results

    outputs: dict[str, Path | None] = {}
    for name in names or [""]:
        target = None if out is None else output_of(out, name, several=len(names) > 1)
        if target is not None and not overwrite:
            Results.require_new(target)
        outputs[name] = target
    return outputs


def _of_baseline(
    name: str,
    data: RankingDataset,
    options: EvaluationOptions,
    seed: int,
    popularity_column: str | None,
) -> Results:
    from rankfield.evaluation import baseline, evaluate

    ranker = baseline(name, seed=seed, popularity_column=popularity_column)
    return evaluate(ranker, data, options)


def _of_other(place: Path | None, data: RankingDataset, options: EvaluationOptions) -> Results:
    """Evaluate an index or a run."""
    from rankfield.evaluation import IndexRanker, RunRanker, evaluate
    from rankfield.index import index_model, open_index

    assert place is not None
    if kind_of(place) == "run":
        return evaluate(RunRanker.load(place), data, options)
    index = open_index(place)
    model = index_model(index, device=options.search.device)
    metadata = {
        "device": options.search.device,
        "precision": options.search.precision,
        "fingerprint": index.metadata.model_fingerprint,
        "dimension": model.dimension,
        "index": place.name,
    }
    return evaluate(IndexRanker(model, index, metadata), data, options)


def _of_model(
    opened: Opened,
    data: RankingDataset,
    options: EvaluationOptions,
    cache: Path | None,
    without: Sequence[str],
    *,
    robustness: bool,
) -> Results:
    from rankfield.evaluation import ModelRanker, evaluate
    from rankfield.evaluation.robustness import FieldEmbeddings, measure_robustness
    from rankfield.index import CachedEmbedder

    model, search = opened.model, options.search
    metadata: dict[str, str | int] = {"device": search.device, "precision": search.precision}
    metadata |= opened.metadata | {"dimension": model.dimension}
    if without:
        ranker = FieldEmbeddings(model, data).without(without)
        metadata |= ranker.metadata
        return evaluate(ModelRanker(ranker.model, metadata), data, options)
    embedder = model if cache is None else CachedEmbedder(model, opened.fingerprint, cache)
    results = evaluate(ModelRanker(embedder, metadata), data, options)
    if robustness:
        results = measure_robustness(FieldEmbeddings(model, data), results, options)
    return results
