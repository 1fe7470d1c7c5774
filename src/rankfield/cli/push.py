"""`rankfield push`: a model on a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rankfield.terminal import echo, one_line

__all__ = ["command"]


def command(
    model: Annotated[
        Path,
        typer.Argument(
            help="Folder `model` of a training run, or what `rankfield publish` wrote.",
            show_default=False,
        ),
    ],
    repository: Annotated[
        str, typer.Argument(metavar="USER/NAME", help="The repository.", show_default=False)
    ],
    *,
    results: Annotated[
        list[Path] | None,
        typer.Option(
            help="Results of `rankfield evaluate --out`, of which the means go; repeatable.",
            show_default=False,
        ),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(help="The model card; default: the folder's own.", show_default=False),
    ] = None,
    private: Annotated[
        bool | None,
        typer.Option(
            "--private/--public",
            help="Of the repository; default: as the account has it.",
            show_default=False,
        ),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="The branch; default: the main one.", show_default=False)
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="The hub's address; default: HF_ENDPOINT, or Hugging Face's.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go where; no request is made.")
    ] = False,
) -> None:
    """Put a model on the Hugging Face hub, or on another one that speaks its protocol.

    The token comes from HF_TOKEN or `hf auth login`. A push that was interrupted goes on where it
    stopped when it is run again. Tables, images, logs, paths of this machine and keys never go.

    Example: rankfield push runs/gcl/model me/shop-search --results gcl.json --dry-run
    """
    from rankfield.publishing.pushing import push, push_plan

    options: dict[str, Any] = {
        "card": card,
        "results": results or [],
        "private": private,
        "revision": revision,
        "endpoint": endpoint,
    }
    plan = push_plan(model, repository, **options)
    for file in plan.files:
        echo(f"{file.size:>14,}  {one_line(file.name)}")
    for name in plan.left_out:
        echo(f"{'stays here':>14}  {one_line(name)}")
    for note in plan.notes():
        echo(f"note: {note}", err=True)
    target = f"{plan.endpoint}/{plan.repository}, branch {plan.revision}"
    total = f"{len(plan.files)} files, {plan.size:,} bytes"
    if dry_run:
        echo(f"{total} would go to {target}")
        return
    done = push(model, repository, **options)
    echo(f"{total}: {one_line(done.url)}")
