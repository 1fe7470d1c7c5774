"""`rankfield mine`: hard negatives for training."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.text_table import show_table
from rankfield.terminal import echo

if TYPE_CHECKING:
    from rankfield.training.mine import Mined

__all__ = ["Sample", "command"]


class Sample(StrEnum):
    """Which of the candidates are kept."""

    TOP = "top"
    RANDOM = "random"


def command(
    model: Annotated[Path, typer.Argument(help="Folder `model` of a training run.")],
    dataset: Annotated[Path, typer.Argument(help="The data set that will be trained on.")],
    *,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    per_query: Annotated[int, typer.Option(help="How many negatives to keep of a query.")] = 10,
    first: Annotated[int, typer.Option(help="First rank; judged documents have none.")] = 1,
    last: Annotated[int, typer.Option(help="Last rank.")] = 100,
    margin: Annotated[
        float | None,
        typer.Option(help="Stay so far below the cosine of the best relevant document."),
    ] = None,
    relative_margin: Annotated[
        float, typer.Option(help="The same as a share of that cosine.")
    ] = 0.05,
    near_duplicate: Annotated[
        float, typer.Option(help="Drop what is so close to a judged document of the query.")
    ] = 0.98,
    sample: Annotated[Sample, typer.Option(help="Keep the top ones or random ones.")] = Sample.TOP,
    seed: Annotated[int, typer.Option(help="Of --sample random.")] = 0,
    memory: Annotated[int, typer.Option(help="MiB to use beside the embeddings.")] = 256,
    device: Annotated[
        str | None,
        typer.Option(help="Where to compute, as torch names it; default: a GPU if there is one."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
) -> None:
    """Find hard negatives for the training queries with a model.

    Each query is searched exactly over the documents that training may see. Its judged documents
    are never negatives, and neither is what is as close to it as its relevant ones.

    Example: rankfield mine runs/gcl/model shop-split --out negatives.parquet
    """
    from rankfield.cli.device import chosen_device
    from rankfield.encoders import RankingModel
    from rankfield.schema import RankingDataset
    from rankfield.training.mine import MineSettings, mine
    from rankfield.training.negatives import require_new_negatives, save_negatives
    from rankfield.validate import require_valid

    settings = MineSettings(
        per_query=per_query,
        first=first,
        last=last,
        margin=margin,
        relative_margin=relative_margin,
        near_duplicate=near_duplicate,
        sample=sample.value,
        seed=seed,
        memory_mib=memory,
    )
    if not overwrite:
        require_new_negatives(out)
    where = chosen_device(device)
    data = RankingDataset.load(dataset)
    require_valid(data)
    mined = mine(RankingModel.load(model).to(where), data, settings, device=where)
    save_negatives(mined, out, overwrite=overwrite)
    _show(mined)
    echo(out)


def _show(mined: Mined) -> None:
    settings = mined.settings
    counts = (
        ("training queries", mined.queries),
        ("negatives found", mined.negatives.height),
        ("skipped: judged", mined.judged),
        ("skipped: near-duplicate of a judged one", mined.near_duplicates),
        ("skipped: above the margin", mined.above_margin),
        (f"queries with fewer than {settings.per_query}", mined.short),
    )
    show_table(
        f"{mined.model} on {mined.data}, ranks {settings.first} to {settings.last}",
        ["", ""],
        [[name, f"{count:,}"] for name, count in counts],
    )
