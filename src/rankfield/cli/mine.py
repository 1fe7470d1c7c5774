"""`rankfield mine`: hard negatives for training."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.opening import AnyModel, Opening, opens_a_model
from rankfield.cli.options import Device, Overwrite, chosen_device, setting_option
from rankfield.cli.text_table import show_table
from rankfield.terminal import echo
from rankfield.training.mining_settings import MineSettings, Sample

if TYPE_CHECKING:
    from rankfield.training.mining import Mined

__all__ = ["command"]


_setting = partial(setting_option, MineSettings)


@opens_a_model
def command(
    model: AnyModel,
    dataset: Annotated[Path, typer.Argument(help="The data set that will be trained on.")],
    *,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    per_query: Annotated[int, _setting("per_query")] = MineSettings.per_query,
    first: Annotated[int, _setting("first")] = MineSettings.first,
    last: Annotated[int, _setting("last")] = MineSettings.last,
    margin: Annotated[float | None, _setting("margin")] = MineSettings.margin,
    relative_margin: Annotated[
        float | None, _setting("relative_margin")
    ] = MineSettings.relative_margin,
    near_duplicate: Annotated[float, _setting("near_duplicate")] = MineSettings.near_duplicate,
    sample: Annotated[Sample, _setting("sample")] = MineSettings.sample,
    seed: Annotated[int, _setting("seed")] = MineSettings.seed,
    memory: Annotated[int, _setting("memory_mib", "--memory")] = MineSettings.memory_mib,
    device: Device = None,
    overwrite: Overwrite = False,
    opening: Opening,
) -> None:
    """Find hard negatives for the training queries with a model.

    Each query is searched exactly over the documents that training may see. Its judged documents
    are never negatives, and neither is what is as close to it as its relevant ones.

    Example: rankfield mine runs/gcl/model shop-split --out negatives.parquet
    """
    from rankfield.training.mining import mine
    from rankfield.training.negatives import require_new_negatives, save_negatives
    from rankfield.validate import load_valid

    settings = MineSettings(
        per_query=per_query,
        first=first,
        last=last,
        margin=margin,
        relative_margin=relative_margin,
        near_duplicate=near_duplicate,
        sample=sample,
        seed=seed,
        memory_mib=memory,
    )
    if not overwrite:
        require_new_negatives(out)
    where = chosen_device(device)
    data = load_valid(dataset)
    mined = mine(opening.open(model, data, where).model, data, settings, device=where)
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
