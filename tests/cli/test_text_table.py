from __future__ import annotations

import pytest

from rankfield.cli.results_table import show_results
from rankfield.cli.text_table import show_table
from rankfield.evaluation import evaluate_baseline
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
    results = evaluate_baseline("random", ranking_shop(), protocol=protocol)
    show_results(results)
    shown = capsys.readouterr().out
    assert "novel_document" in shown
    for means in results.splits.values():
        mean = means["nDCG@10" if protocol == "rankfield" else "NDCG@10"]
        assert mean.low is not None
        assert mean.high is not None
        assert f"{mean.value:.3f}" in shown
        assert f"±{(mean.high - mean.low) / 2:.3f}" in shown
    assert "…" not in shown
