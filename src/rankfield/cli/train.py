"""`rankfield train`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from rankfield.cli.options import AllowCode
from rankfield.cli.program import program
from rankfield.cli.text_table import show_table
from rankfield.terminal import echo

__all__ = ["command"]


def command(
    recipe: Annotated[Path, typer.Argument(help="TOML recipe; `rankfield recipe` prints one.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: model, log, checkpoints.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a value: optimizer.learning_rate=3e-4. Repeatable."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last whole checkpoint in --out.")
    ] = False,
    allow_code: AllowCode = False,
) -> None:
    """Train a ranking model.

    Example: rankfield train gcl.toml --out runs/gcl --set optimizer.steps=2000

    Ctrl-C writes a checkpoint; with --resume and the run's own recipe.toml it goes on from there.
    """
    from rankfield.encoders.own_modules import is_factory
    from rankfield.errors import RecipeError
    from rankfield.training import load_recipe, train
    from rankfield.training.checkpoint_folders import has_checkpoint
    from rankfield.training.dev_course import dev_rows
    from rankfield.training.rates import rate_warning
    from rankfield.validate import load_valid

    wanted = load_recipe(recipe, set_ or (), allow_code=allow_code)
    if not wanted.data.dataset:
        raise RecipeError(
            "names no data set",
            where=f"{recipe}, data.dataset",
            remedy="Add it, or --set data.dataset=FOLDER.",
        )
    warning = rate_warning(wanted)
    if warning and _speaks():
        echo(f"warning: {warning}", err=True)
    dataset = load_valid(wanted.data.dataset)
    try:
        model = train(wanted, dataset, out, resume=resume)
    except KeyboardInterrupt:
        own = out / "recipe.toml"  # with the values that --set gave
        if has_checkpoint(out) and _speaks():
            words = ["rankfield", "train", str(own), "--out", str(out), "--resume"]
            again = shlex.join([*words, *(["--allow-code"] if allow_code else [])])
            echo(f"stopped; go on with: {again}", err=True)
        raise
    if not _speaks():
        return
    step, best = model.metadata["step"], model.metadata["dev_ndcg@10"]
    at = f"step {step}" + (f", dev nDCG@10 {best:.4f}" if best is not None else "")
    echo(f"{out / 'model'}: {at}")
    rows = dev_rows(model.metadata)
    if rows:
        columns = list(rows["base model"])
        show_table(
            "nDCG@10 on the dev queries",
            ["", *columns],
            [[name, *(f"{row[c]:.4f}" for c in columns)] for name, row in rows.items()],
        )
    own_tower = any(is_factory(n) for n in (wanted.encoder.text_model, wanted.encoder.vision_model))
    allowed = " --allow-code" if own_tower else ""
    echo(f"Next: {program()} evaluate {out / 'model'} {wanted.data.dataset}{allowed}")


def _speaks() -> bool:
    """Return whether this process is the one of several that says what all of them do."""
    return os.environ.get("RANK", "0") == "0"
