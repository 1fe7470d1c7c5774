"""A comparison as a table for a paper: LaTeX with booktabs, or Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from rankfield.errors import InputError
from rankfield.escaping import latex_text, markdown_text
from rankfield.evaluation.compare import Comparison
from rankfield.evaluation.statistics import SIGNIFICANT
from rankfield.files import new_file
from rankfield.outputs import OR_OVERWRITE, require_new

__all__ = ["check_table_file", "latex_table", "markdown_table", "save_table_file"]


def check_table_file(path: str | Path, *, overwrite: bool = False) -> None:
    """Make sure that `save_table_file` can write here: ask before a long comparison.

    Raises:
        InputError: an ending other than .tex and .md.
        OutputError: the file exists and `overwrite` is false.
    """
    target = Path(path)
    if target.suffix.lower() not in _FORMS:
        raise InputError(
            f"expected a name that ends with {' or '.join(_FORMS)}, found {target.name!r}",
            where="--table",
        )
    if not overwrite:
        require_new(target, remedy=OR_OVERWRITE)


def save_table_file(comparison: Comparison, path: str | Path, *, overwrite: bool = False) -> None:
    """Write `latex_table` or `markdown_table`, as the ending says.

    Raises:
        InputError, OutputError: as `check_table_file`; or the file cannot be written.
    """
    target = Path(path)
    check_table_file(target, overwrite=overwrite)
    text = _FORMS[target.suffix.lower()](comparison)
    with new_file(target) as temporary:
        temporary.write_text(text, "utf-8")


def markdown_table(comparison: Comparison) -> str:
    """Return a table of GitHub's Markdown: a row for each split and name, a column a metric.

    A cell is the mean with its 95 % interval, or ± the standard deviation over several runs; the
    best of a split is bold, and † marks a difference to the first name by `Comparison.tests`,
    p_adjusted < 0.05.
    """
    heads = ["split", "system", *comparison.metrics]
    lines = [_row(map(markdown_text, heads)), _row(["---", "---", *["---:"] * (len(heads) - 2)])]
    for split in comparison.splits:
        for name in comparison.names:
            found = [_cell(comparison, split, name, metric) for metric in comparison.metrics]
            texts = [c.text("**{}**", " †", " ({}–{})", " ± {}") for c in found]
            lines.append(_row([markdown_text(split), markdown_text(name), *texts]))
    return "\n".join([*lines, "", markdown_text(_note(comparison))]) + "\n"


def latex_table(comparison: Comparison) -> str:
    """Return the same as `markdown_table` as a LaTeX table, which needs the package booktabs."""
    heads = ["split", "system", *comparison.metrics]
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{latex_text(_note(comparison)).replace('†', _DAGGER)}}}",
        f"\\begin{{tabular}}{{ll{'r' * len(comparison.metrics)}}}",
        "\\toprule",
        " & ".join(map(latex_text, heads)) + r" \\",
    ]
    for split in comparison.splits:
        lines.append("\\midrule")
        for name in comparison.names:
            found = [_cell(comparison, split, name, metric) for metric in comparison.metrics]
            interval = r" {\scriptsize [{}, {}]}"
            texts = [c.text(r"\textbf{{}}", _DAGGER, interval, r" $\pm$ {}") for c in found]
            lines.append(" & ".join([latex_text(split), latex_text(name), *texts]) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}"]) + "\n"


_DAGGER = r"$^{\dagger}$"

_FORMS: dict[str, Callable[[Comparison], str]] = {".tex": latex_table, ".md": markdown_table}


@dataclass(frozen=True)
class _Cell:
    """A mean, its interval or deviation, whether it is the best, and whether it differs."""

    value: float | None
    low: float | None
    high: float | None
    deviation: float | None
    best: bool
    differs: bool

    def text(self, bold: str, mark: str, interval: str, deviation: str) -> str:
        """Return the cell, by forms in which {} is a number."""
        if self.value is None:
            return "–"
        text = _filled(bold, self.value) if self.best else f"{self.value:.3f}"
        text += mark if self.differs else ""
        if self.deviation is not None:
            return text + _filled(deviation, self.deviation)
        if self.low is None or self.high is None:
            return text
        return text + _filled(interval, self.low, self.high)


def _filled(form: str, *numbers: float) -> str:
    for number in numbers:
        form = form.replace("{}", f"{number:.3f}", 1)
    return form


def _cell(comparison: Comparison, split: str, name: str, metric: str) -> _Cell:
    here = comparison.table.filter(split=split, metric=metric)
    row = here.filter(name=name).row(0, named=True)
    tests = comparison.tests.filter(split=split, metric=metric, name=name)
    runs = comparison.runs[name]
    mean = runs[0].splits[split][metric]
    alone, value = len(runs) == 1, row["value"]
    return _Cell(
        value,
        mean.low if alone else None,
        mean.high if alone else None,
        row["standard_deviation"],
        len(comparison.names) > 1 and value is not None and value == here["value"].max(),
        bool(tests.height) and tests["p_adjusted"][0] < SIGNIFICANT,
    )


def _note(comparison: Comparison) -> str:
    """Say what the numbers are, and by which test the marks were set."""
    sizes = ", ".join(
        f"{split}: {max(comparison.table.filter(split=split)['queries'].to_list()):,} queries"
        for split in comparison.splits
    )
    several = any(len(runs) > 1 for runs in comparison.runs.values())
    spread = " or ± standard deviations over runs" if several else ""
    said = f"Means with 95 % intervals over queries{spread} ({sizes})."
    if len(comparison.names) < 2:
        return said
    tests = comparison.tests
    of_recipes = tests["p_seeds"].null_count() < tests.height
    test = "bootstrap of runs and queries" if of_recipes else "paired randomisation test"
    return (
        f"{said} Bold: the highest. †: differs from {comparison.names[0]}, p < {SIGNIFICANT}, "
        f"{test}, two-sided, Holm's correction over {tests.height:,} comparisons."
    )


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
