"""`rankfield interleaving`: which index the visitors of a service prefer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rankfield.terminal import echo

__all__ = ["command"]


def command(
    data: Annotated[
        Path, typer.Argument(help="The folder of `rankfield serve --data`.", show_default=False)
    ],
    *,
    action: Annotated[
        list[str] | None,
        typer.Option(help="Events that count; repeatable. Default: click.", show_default=False),
    ] = None,
    unit: Annotated[
        str,
        typer.Option(help="What is independent: query_id (each list), client_id or session_id."),
    ] = "query_id",
) -> None:
    """Print which of the interleaved indexes got more clicks in more lists, and how sure that is.

    Example: rankfield interleaving feedback
    """
    from rankfield.serving import index_preferences

    for (first, second), found in index_preferences(
        data, actions=action or ["click"], unit=unit
    ).items():
        decided = found.first + found.second
        echo(
            f"{second} over {first}: {found.second:,} of {decided:,} ({found.share:.1%}, 95 % "
            f"interval {found.low:.1%} to {found.high:.1%}), {found.ties:,} ties, "
            f"p = {found.p_value:.3g}"
        )
