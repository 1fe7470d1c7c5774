from __future__ import annotations

import pytest

from rankfield.cli.results_table import show_results
from rankfield.cli.text_table import show_table
from rankfield.evaluation import EvaluationOptions, baseline, evaluate, protocol_named
from ranking_shop import ranking_shop


def test_brackets_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("runs of [/red]", ["split", "gcl[bold]"], [["all", "0.500 [0.4, 0.6]"]])
    title, _, heading, _, row, *_ = capsys.readouterr().out.splitlines()
    assert title == "runs of [/red]"
    assert heading.split() == ["split", "gcl[bold]"]
    assert row.split(maxsplit=1) == ["all", "0.500 [0.4, 0.6] "]


@pytest.mark.parametrize("protocol", ["rankfield", "marqo-gs", "beir"])
def test_80_columns_hold_the_figures(
    protocol: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    results = evaluate(baseline("random"), ranking_shop(), EvaluationOptions(protocol=protocol))
    show_results(results)
    shown = capsys.readouterr().out
    assert "novel_document" in shown
    lines = shown.splitlines()
    for split, means in results.splits.items():
        columns = protocol_named(protocol).main
        place = next(i for i, line in enumerate(lines) if line.split()[:1] == [split])
        for i, (name, end) in enumerate([("", "value"), ("low", "low"), ("high", "high")]):
            figures = [f"{getattr(means[column], end):.3f}" for column in columns]
            assert lines[place + i].split()[-len(figures) :] == figures
            assert lines[place + i].split()[0] == (name or split)
    assert "…" not in shown
