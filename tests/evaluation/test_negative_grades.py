"""Negative grades and grades of nothing, from the import to the figures of every command."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import pytrec_eval
from typer.testing import CliRunner

from rankfield.cli.main import app
from rankfield.evaluation import Results
from rankfield.formats.trec.runs import read_qrels, write_run
from rankfield.schema import RankingDataset
from rankfield.training.pairs import TrainingPairs
from rankfield.training.recipe import parse_recipe

QUERIES, DOCUMENTS = 8, 30
COLOURS = ("red", "blue", "oak", "clay", "tall")


def collection(folder: Path) -> Path:
    """Write topics, documents and qrels with grades from −2 to 3."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    words = [" ".join(rng.choice(COLOURS, 3)) for _ in range(DOCUMENTS)]
    (folder / "documents.tsv").write_text(
        "".join(f"d{i}\t{text} mug\n" for i, text in enumerate(words)), "utf-8"
    )
    (folder / "topics.tsv").write_text(
        "".join(f"q{q}\t{COLOURS[q % 5]} {COLOURS[(q + 2) % 5]} mug\n" for q in range(QUERIES)),
        "utf-8",
    )
    lines = []
    for q in range(QUERIES):
        for d in rng.choice(DOCUMENTS, 20, replace=False):
            lines.append(f"q{q} 0 d{d} {rng.integers(-2, 4)}\n")
    (folder / "qrels.txt").write_text("".join(lines), "utf-8")
    return folder


def rankfield(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collection(tmp_path_factory.mktemp("negative") / "src")


def test_evaluate_metrics_and_trec_eval_agree(source: Path, tmp_path: Path) -> None:
    shown = rankfield("import", "trec", source, tmp_path / "data")
    assert "score scale: -2 to 3, scores up to 0 gain nothing, relevant from 1;" in shown
    rankfield("evaluate", tmp_path / "data", "--baseline", "bm25", "--out", tmp_path / "bm25.json")
    results = Results.load(tmp_path / "bm25.json")
    assert results.metadata["gain_floor"] == 0
    names = ("nDCG@10", "RR@10", "P@10")
    run = results.rankings.select("query_id", "doc_id", "rank", score=-pl.col("rank")).cast(
        {"score": pl.Float64}
    )
    write_run(run.with_columns(tag=pl.lit("bm25")), tmp_path / "bm25.run")
    words = [word for name in names for word in ("-m", name)]
    out = tmp_path / "metrics.json"
    rankfield("metrics", source / "qrels.txt", tmp_path / "bm25.run", *words, "--out", out)
    measured = json.loads(out.read_text("utf-8"))["splits"]["all"]
    grades: dict[str, dict[str, int]] = {}
    for query, document, score in read_qrels(source / "qrels.txt").iter_rows():
        grades.setdefault(query, {})[document] = int(score)
    runs: dict[str, dict[str, float]] = {}
    for query, document, _, score in run.iter_rows():
        runs.setdefault(query, {})[document] = score
    peer = pytrec_eval.RelevanceEvaluator(grades, {"ndcg_cut_10", "recip_rank", "P_10"})
    values = peer.evaluate(runs)
    for name, theirs in zip(names, ("ndcg_cut_10", "recip_rank", "P_10"), strict=True):
        expected = np.mean([values[query][theirs] for query in grades])
        assert 0.05 < expected < 0.95
        assert results.splits["all"][name].value == pytest.approx(expected, abs=1e-9)
        assert measured[name]["value"] == pytest.approx(expected, abs=1e-9)


def test_a_stated_minimum_says_where_gains_begin(source: Path, tmp_path: Path) -> None:
    rankfield("import", "trec", source, tmp_path / "data", "--score-min", -2)
    scale = RankingDataset.load(tmp_path / "data").score_scale
    assert (scale.floor, scale.gain_floor) == (-2, None)
    words = ["import", "trec", str(source), str(tmp_path / "zero"), "--score-min", "0"]
    refused = CliRunner().invoke(app, words)
    assert "without --score-min, scores of 0 and below" in str(refused.exception)
    # What the refusal advises works.
    rankfield(*words[:4])
    back = RankingDataset.load(tmp_path / "zero").score_scale
    assert (back.minimum, back.floor, back.relevant) == (-2, 0, 1)


@pytest.mark.parametrize("method", ["ranked", "gcl", "clip"])
def test_no_method_trains_on_a_pair_of_no_gain(source: Path, tmp_path: Path, method: str) -> None:
    rankfield("import", "trec", source, tmp_path / "data")
    data = RankingDataset.load(tmp_path / "data")
    text = rankfield("recipe", tmp_path / "data", "--method", method)
    pairs = TrainingPairs.of(parse_recipe(tomllib.loads(text)), data)
    assert pairs.scores.min() == -2
    assert (pairs.scores[pairs.pool] > 0).all()
    assert len(pairs.pool) == (pairs.scores > 0).sum()


@pytest.mark.parametrize("grades", [[0, 0], [-1, -2]])
def test_nothing_relevant_counts_as_relevant_nowhere(tmp_path: Path, grades: list[int]) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "documents.csv").write_text("doc_id,title\nd1,red mug\n", "utf-8")
    (source / "queries.csv").write_text("query_id,query\nq1,red mug\nq2,blue mug\n", "utf-8")
    rows = "".join(f"q{i},d1,{grade}\n" for i, grade in enumerate(grades, 1))
    (source / "judgments.csv").write_text("query_id,doc_id,score\n" + rows, "utf-8")
    rankfield("import", "tables", source, tmp_path / "data")
    assert "query without a relevant document, 2 ×" in rankfield("check", tmp_path / "data")
    rankfield("evaluate", tmp_path / "data", "--baseline", "random", "--out", tmp_path / "r.json")
    means = Results.load(tmp_path / "r.json").splits["all"]
    for name in ("nDCG@10", "nDCG(gain=exp)@10", "mAP@1000", "R@10", "R@1000"):
        assert (means[name].value, means[name].queries) == (None, 0)
    for name in ("RR@10", "P@10", "ERR@10", "RBP@10"):
        assert (means[name].value, means[name].queries) == (0, 2)
    assert means["Judged@10"].value == 1
