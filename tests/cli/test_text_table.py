from __future__ import annotations

from dataclasses import replace

import pytest

from rankfield.cli.results_table import chosen_metrics, show_results, with_metrics
from rankfield.cli.text_table import show_table
from rankfield.errors import InputError, MetricError
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


def test_the_metrics_that_are_asked_for_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["recall@10", "RBP@10", "R@10", "hit_rate@3", "R@2000"]
    metrics = chosen_metrics(words, "rankfield", allow_code=False)
    names = [str(metric) for metric in metrics]
    assert names == ["R@10", "RBP@10", "Success@3", "R@2000"]
    options = with_metrics(EvaluationOptions(), metrics)
    assert ([str(metric) for metric in options.metrics], options.k) == (names[2:], 2000)
    results = evaluate(baseline("random"), ranking_shop(), options)
    show_results(results, names)
    lines = capsys.readouterr().out.splitlines()
    for split, means in results.splits.items():
        (row,) = (line.split() for line in lines if line.split()[:1] == [split])
        assert row[-len(names) :] == [f"{means[name].value:.3f}" for name in names]
    with pytest.raises(MetricError, match="Did you mean 'nDCG'"):
        chosen_metrics(["nDGC@10"], "rankfield", allow_code=False)
    with pytest.raises(InputError, match="is for rankfield's own rules, found --protocol beir"):
        chosen_metrics(["P@10"], "beir", allow_code=False)
    for wrong, message in (
        (replace(options, k=1000), "R@2000: needs more than the 1,000 documents"),
        (replace(options, protocol="beir"), "is not among the metrics of beir"),
    ):
        with pytest.raises(MetricError, match=message):
            evaluate(baseline("random"), ranking_shop(), wrong)
