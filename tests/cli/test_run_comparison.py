"""Runs of other systems, compared and reported as evaluations are: one kind of results."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command_line import run
from rankfield.escaping import latex_text
from rankfield.evaluation import (
    EvaluationOptions,
    Results,
    compare,
    evaluate,
    holm,
    paired_test,
)
from rankfield.evaluation.run_files import save_run_files
from rankfield.evaluation.table_file import latex_table, markdown_table
from rankfield.schema import RankingDataset
from ranking_shop import FakeModel, ranking_shop

METRICS = ["nDCG@10", "RR@10", "mAP@1000", "R@100", "P@10"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RankingDataset:
    """Save a data set and the lists of two models, of which one is much better."""
    monkeypatch.chdir(tmp_path)
    data = ranking_shop(split=False).save(tmp_path / "shop")
    for name, noise in (("weak", 3.0), ("strong", 0.3)):
        model = FakeModel(name, noise=noise)
        results = evaluate(model, data, EvaluationOptions(keep=1000))
        save_run_files(results, f"{name}.run")
        evaluate(model, data).save(f"{name}.model.json")
    return data


def test_compare_tests_each_run_against_the_first(
    data: RankingDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("metrics", "shop/judgments.parquet", "weak.run", "best_1=strong.run", "--compare")
    files = ["--table", "t.tex", "--per-query", "q.parquet", "--out", "m.json"]
    assert run(*words, *files) == 0
    shown = capsys.readouterr().out
    assert "differences to weak.run, with 95 % intervals" in shown
    assert "Holm's correction over the 5 comparisons shown" in shown
    weak, strong = Results.load("m.weak.json"), Results.load("m.best_1.json")
    assert (weak.model, weak.label) == ("weak.run", None)
    assert (strong.model, strong.label) == ("strong.run", "best_1")
    comparison = compare([weak, strong], metrics=METRICS)
    values = pl.read_parquet("q.parquet")
    p = []
    for metric in METRICS:
        sides = [values.filter(run=name)[metric] for name in ("weak.run", "best_1")]
        test = paired_test(*(side.fill_null(np.nan).to_numpy() for side in sides))
        p.append(test.p_randomisation)
        row = comparison.tests.filter(metric=metric).row(0, named=True)
        assert row["difference"] == pytest.approx(test.difference.value)
        assert row["better"] == test.better
    assert comparison.tests["p_adjusted"].to_list() == pytest.approx(holm(p).tolist())
    assert f"{comparison.tests['difference'][0]:+.3f}" in shown
    assert Path("t.tex").read_text("utf-8") == latex_table(comparison)
    assert data.queries.height == weak.sizes["all"].queries


def test_results_of_runs_and_of_models_compare_where_the_judgments_are_the_same(
    data: RankingDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    scale = data.score_scale
    words = ["metrics", "shop/judgments.parquet", "strong.run", "--out", "run.json"]
    exact = ["--scale", f"{scale.minimum}:{scale.maximum}", "--relevant", scale.relevant]
    assert run(*words, *exact) == 0
    one, other = Results.load("strong.model.json"), Results.load("run.json")
    assert other.dataset.fingerprint != one.dataset.fingerprint
    for metric in METRICS:
        found, wanted = (result.splits["all"][metric] for result in (other, one))
        assert found.queries == wanted.queries
        assert found.value == pytest.approx(wanted.value)
    tests = compare([one, other], metrics=METRICS).tests
    assert set(tests["equal"].to_list()) <= {
        data.queries.height,
        other.splits["all"]["R@100"].queries,
    }
    assert run("compare", "weak.model.json", "run.json", "--table", "t.md") == 0
    assert "nDCG@10" in capsys.readouterr().out
    assert run("report", "weak.model.json", "run.json", "--out", "r.html", "--out", "r.md") == 0
    assert "strong.run" in Path("r.md").read_text("utf-8")
    assert run("report", "run.json", "--out", "alone.md") == 2
    assert "Say where it is (--data)" in capsys.readouterr().err
    assert run("report", "run.json", "--out", "alone.md", "--data", "shop") == 0
    assert run("compare", "run.json", "weak.model.json", "--slice", "length", "--data", "shop") == 0
    # other judgments, or another scale, are other figures
    data.judgments.head(200).write_parquet("few.parquet")
    capsys.readouterr()
    for file, more in (
        ("few.parquet", [*exact, "--ignore-unknown"]),
        ("shop/judgments.parquet", ["--scale", "0:9"]),
    ):
        again = ["metrics", file, "strong.run", "--out", "other.json", "--overwrite"]
        assert run(*again, *more) == 0
        assert run("compare", "weak.model.json", "other.json") == 2
        assert "expected the same" in capsys.readouterr().err
    assert run("report", "other.json", "--data", "shop", "--out", "no.md") == 2
    assert "measured on other data" in capsys.readouterr().err


def cells(table: str, divider: str) -> list[list[str]]:
    rows = [line.removesuffix(r" \\").strip("| ") for line in table.splitlines()]
    found = [re.split(rf"\s*(?<!\\){re.escape(divider)}\s*", row) for row in rows]
    return [row for row in found if len(row) > 2]


def test_tables_hold_means_intervals_and_marks(data: RankingDataset) -> None:
    del data
    found = [Results.load(f"{name}.model.json") for name in ("weak", "strong")]
    comparison = compare(found, metrics=METRICS)
    latex, markdown = cells(latex_table(comparison), "&"), cells(markdown_table(comparison), "|")
    assert latex[0] == markdown[0] == ["split", "system", *METRICS]
    for number, (one, tex, md) in enumerate(zip(found, latex[1:], markdown[2:], strict=True)):
        assert tex[:2] == md[:2] == ["all", one.model]
        for metric, in_tex, in_md in zip(METRICS, tex[2:], md[2:], strict=True):
            mean = one.splits["all"][metric]
            best = mean.value == max(f.splits["all"][metric].value or 0 for f in found)
            test = comparison.tests.filter(metric=metric).row(0, named=True)
            marked = bool(number) and test["p_adjusted"] < 0.05
            value = f"{mean.value:.3f}"
            interval = f"{mean.low:.3f}", f"{mean.high:.3f}"
            dagger = r"$^{\dagger}$" if marked else ""
            bold = rf"\textbf{{{value}}}" if best else value
            assert in_tex == rf"{bold}{dagger} {{\scriptsize [{interval[0]}, {interval[1]}]}}"
            bold = f"**{value}**" if best else value
            assert in_md == f"{bold}{' †' if marked else ''} ({interval[0]}–{interval[1]})"
    assert comparison.tests["p_adjusted"].min() < 0.05  # type: ignore[operator]
    assert "over 5 comparisons" in latex_table(comparison)
    assert latex_table(compare(found[:1])).count("dagger") == 0


EVIL = r"\input{x}_&%$#~^|<b>[a](http://e.example) `c` {{7*7}}" + "\x1b[2J\u202e\n"


def test_labels_are_escaped(data: RankingDataset) -> None:
    del data
    label = EVIL
    runs = [Results.load("weak.model.json"), Results.load("strong.model.json")]
    named = [Results(**{**vars(r), "label": f"{label}{i}"}) for i, r in enumerate(runs)]
    comparison = compare(named, metrics=METRICS)
    for text in (latex_table(comparison), markdown_table(comparison)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    latex = latex_table(comparison)
    assert r"\input" not in latex
    assert r"\textbackslash{}input\{x\}\_\&\%\$\#\textasciitilde{}\textasciicircum{}" in latex
    assert {len(row) for row in cells(latex, "&")} == {2 + len(METRICS)}
    markdown = markdown_table(comparison)
    assert "<b>" not in markdown
    assert {len(row) for row in cells(markdown, "|")} == {2 + len(METRICS)}


def test_latex_text() -> None:
    assert latex_text("bm25-k_1 50%") == r"bm25-k\_1 50\%"
    assert latex_text("a -- b ''c''") == "a -{-} b '{'}c'{'}"
    assert latex_text("x\ny") == "x y"
