"""The page of a loop: the curve over its rounds, the proofs, the clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rankfield import __version__
from rankfield.files import new_file
from rankfield.metrics import Mean
from rankfield.report.line_figure import line_figure
from rankfield.report.loop_round import LoopRound
from rankfield.report.style import counted, decimal, percent, signed
from rankfield.report.templates import TEMPLATES, template_environment

__all__ = ["LoopContent", "write_loop_page"]

_WIDE = (9.6, 3.4)


@dataclass(frozen=True)
class LoopContent:
    """What the page says.

    name: of the data set.
    start: nDCG@10 of the first model on the test queries.
    rounds: in their order.
    propensities: θ by place that the visitors were simulated with.
    facts: (name, value) of how it was made.
    next_steps: what the reader may do next; text between backticks is set as code.
    """

    name: str
    start: Mean
    rounds: Sequence[LoopRound]
    propensities: Sequence[float]
    facts: Sequence[tuple[str, str]]
    next_steps: Sequence[str] = ()

    def served(self) -> list[Mean]:
        """Return nDCG@10 on the test queries of what is served at the start and after each round.

        All are of what was measured once: a round that was not swapped in repeats the one before.
        """
        tests = {0: self.start, **{found.number: found.test for found in self.rounds}}
        return [self.start, *(tests[found.serves] for found in self.rounds)]


def write_loop_page(path: str | Path, content: LoopContent) -> None:
    """Write the page: one HTML file that needs no network; the same content gives the same bytes.

    Raises:
        OutputError: it cannot be written.
    """
    environment = template_environment()
    environment.filters["percent"] = percent
    text = environment.get_template("loop_page.html").render(
        css=Markup((TEMPLATES / "page.css").read_text("utf-8")),
        version=__version__,
        decimal=decimal,
        signed=signed,
        content=content,
        summary=_sentences(content),
        curve=_curve(content),
        bias=_bias(content),
        next_steps=[step.split("`") for step in content.next_steps],
    )
    with new_file(path) as temporary:
        temporary.write_text(text, "utf-8")


def _sentences(content: LoopContent) -> tuple[str, str]:
    """Say in a sentence what the loop has gained, and in another what was swapped."""
    served = content.served()
    rounds = len(content.rounds)
    swapped = sum(found.serves == found.number for found in content.rounds)
    lead = (
        f"nDCG@10 against the hidden relevance went from {decimal(served[0].value)} to"
        f" {decimal(served[-1].value)} in {counted(rounds, 'round')} of clicks, on"
        f" {counted(content.start.queries, 'query', 'queries')} that no visitor was shown."
    )
    second = f"Of {counted(rounds, 'candidate')}, {swapped} went into service and stayed there."
    return lead, second


def _curve(content: LoopContent) -> dict[str, Any]:
    """Draw what is served by round, and the candidates that were not taken."""
    served = {i: mean.value for i, mean in enumerate(content.served()) if mean.value is not None}
    refused = {
        found.number: found.test.value
        for found in content.rounds
        if found.serves != found.number and found.test.value is not None
    }
    lines = [("in service", "accent", served)]
    if refused:
        lines.append(("candidates not in service", "faint", refused))
    said = ", ".join(f"round {i} {decimal(value)}" for i, value in served.items())
    return line_figure(
        lines, y_label="nDCG@10", x_label="round", wide=_WIDE,
        said=f"nDCG@10 of what is served: {said}",
    )  # fmt: skip


def _bias(content: LoopContent) -> dict[str, Any]:
    """Draw θ by place: what visitors do, and what each round's labels found of it."""
    truth = dict(enumerate(content.propensities, 1))
    last = content.rounds[-1]
    found = dict(enumerate(last.propensities[: len(truth)], 1))
    lines = [("simulated", "slate", truth), (f"found in round {last.number}", "accent", found)]
    said = ", ".join(f"{place}: {decimal(value, 2)}" for place, value in found.items())
    return line_figure(
        lines, y_label="examined", x_label="place", wide=_WIDE,
        said=f"Examination by place as found from clicks: {said}",
    )  # fmt: skip
