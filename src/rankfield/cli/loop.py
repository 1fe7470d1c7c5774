"""`rankfield loop`: search that learns from clicks, on the shop of a demo."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankfield.cli.clock import clock
from rankfield.cli.program import program
from rankfield.extras import needs_extra
from rankfield.terminal import echo

if TYPE_CHECKING:
    from rankfield.loop import Loop

__all__ = ["command"]


def command(
    demo: Annotated[
        Path, typer.Argument(help="The folder of `rankfield demo`.", show_default=False)
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for what the loop makes; default: DEMO/loop.", show_default=False
        ),
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="How often; of a loop that ended, more go on from there.")
    ] = 3,
    visitors: Annotated[
        int, typer.Option(min=1, help="Simulated visitors of each round, one query each.")
    ] = 8000,
    lists: Annotated[int, typer.Option(min=1, help="Interleaved lists that confirm a swap.")] = 400,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of each round.")] = 60,
    bias: Annotated[
        float,
        typer.Option(min=0, max=10, help="η: a visitor looks at place k with probability k^−η."),
    ] = 1.0,
    noise: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="How likely an irrelevant document that is seen is clicked."
        ),
    ] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Of the visitors and the training.")] = 0,
) -> None:
    """Let simulated visitors click, learn from their clicks, prove it, swap, confirm; three rounds.

    Visitors with position bias search the service of the demo's shop. Their clicks, as UBI events,
    become judgments without that bias; the served model is trained further on them; what is better
    on held-out queries goes into service, and interleaved results show whether visitors agree. A
    page shows the curve.

    Example: rankfield loop demo-out

    Interrupted, the same command goes on where it stopped.
    """
    with needs_extra("serve", "fastapi is not installed", "rankfield loop"):
        import fastapi  # noqa: F401
    from rankfield.loop import LoopOptions, run_loop, write_page

    folder = demo / "loop" if out is None else out
    options = LoopOptions(
        rounds=rounds, visitors=visitors, lists=lists, steps=steps, bias=bias, noise=noise,
        seed=seed,
    )  # fmt: skip
    loop = run_loop(demo, folder, options, say=clock())
    next_steps = _next_steps(loop)
    page = write_page(loop, next_steps)
    _show(loop)
    echo(f"The page with the curve: {page}")
    echo("\nNext:")
    for line in next_steps:
        echo(f"  · {line}")


def _show(loop: Loop) -> None:
    from rankfield.cli.text_table import show_table
    from rankfield.report.style import decimal, percent, signed

    rows = [["0", "served at first", decimal(loop.start.value), "", ""]]
    for found in loop.rounds:
        share = percent(found.preference.share) if found.preference else "–"
        rows.append(
            [
                str(found.number),
                found.verdict,
                decimal(found.test.value),
                signed(found.difference.value),
                share,
            ]
        )
    show_table(
        "nDCG@10 against the hidden relevance",
        ["round", "candidate", "test", "on dev,\nto served", "lists\nwon"],
        rows,
        words=2,
    )


def _next_steps(loop: Loop) -> list[str]:
    run = program()
    index, first, last = (
        shlex.quote(str(path))
        for path in (loop.index, loop.results_file(0), loop.results_file(loop.rounds[-1].serves))
    )
    return [
        f"Search what has learnt: `{run} serve {index}`",
        f"Put the former model back: `{run} rollback {index}`",
        f"Compare the first model with the last: `{run} compare {first} {last} --details`",
        "Do the same with your own traffic: docs/loop.md",
    ]
