"""The page of a loop that has run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rankfield.loop.run import Loop
from rankfield.report.loop_page import LoopContent, write_loop_page

__all__ = ["write_page"]


def write_page(loop: Loop, next_steps: Sequence[str] = ()) -> Path:
    """Write report.html into the folder of a loop, and return its path.

    Args:
        loop: that has run.
        next_steps: what the reader may do next; text between backticks is set as code.

    Raises:
        OutputError: it cannot be written.
    """
    page = loop.out / "report.html"
    content = LoopContent(
        loop.shop.data.name,
        loop.start,
        loop.rounds,
        loop.visitors.propensities.tolist(),
        _facts(loop),
        next_steps,
    )
    write_loop_page(page, content)
    return page


def _facts(loop: Loop) -> list[tuple[str, str]]:
    """Return how it was made."""
    data, options = loop.shop.data, loop.options
    sizes = dict(data.queries["subset"].value_counts().rows())
    return [
        ("Data set", f"{data.name}, {data.documents.height:,} documents"),
        (
            "Queries",
            f"{loop.shop.visitors.height:,} of the visitors; held out {sizes.get('dev', 0):,} dev,"
            f" which decide, and {sizes.get('test', 0):,} test, which report",
        ),
        (
            "Visitors",
            f"{options.visitors:,} a round; place k is examined with probability"
            f" k^−{options.bias:g}, and clicked with {options.noise:g} +"
            f" {1 - options.noise:g} · relevance²",
        ),
        (
            "Training",
            f"{options.steps} steps a round from the served model on, on judgments from clicks"
            f" alone; learning rate {options.learning_rate:g}, batches of {options.batch}",
        ),
        ("Seed", str(options.seed)),
    ]
