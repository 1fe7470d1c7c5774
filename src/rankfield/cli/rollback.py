"""`rankfield rollback`: the index that was there before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rankfield.terminal import echo

__all__ = ["command"]


def command(
    index: Annotated[
        Path, typer.Argument(help="An index that was built again.", show_default=False)
    ],
) -> None:
    """Exchange an index with the one that it replaced; a second time exchanges them back.

    Example: rankfield rollback shop-index
    """
    from rankfield.index import open_index, roll_back

    before = roll_back(index)
    now = open_index(index)
    built = now.metadata.built or "at an unknown time"
    echo(f"{index}: {len(now):,} documents, built {built}; the other one is in {before}")
