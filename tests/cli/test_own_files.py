"""Each file that rankfield writes, given to rankfield as judgments or a run: rightly or refused."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import pytrec_eval

from command_line import run
from rankfield.evaluation import BASELINES, EvaluationOptions, Results, baseline, evaluate
from rankfield.evaluation.run_files import save_run_files
from rankfield.formats.own_tables import NEGATIVES
from rankfield.formats.rankings import read_judged_pairs, read_ranked_pairs
from rankfield.schema import RankingDataset
from ranking_shop import FakeModel, ranking_shop


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RankingDataset:
    monkeypatch.chdir(tmp_path)
    return ranking_shop(split=False).save(tmp_path / "shop")


def means_of(path: str) -> dict[str, float]:
    (means,) = json.loads(Path(path).read_text("utf-8"))["splits"].values()
    return {name: mean["value"] for name, mean in means.items()}


def test_metrics_deeper_than_kept_rankings_are_left_out_or_refused(
    data: RankingDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    results = evaluate(FakeModel(noise=1.0), data)
    results.save("r.json")
    words = ("metrics", "shop/judgments.parquet", "r.rankings.parquet")
    assert run(*words, "--out", "default.json") == 0
    said = capsys.readouterr().err
    assert "holds the 10 best documents, too few for mAP@1000, R@100" in said
    found = means_of("default.json")
    assert set(found) == {"nDCG@10", "RR@10", "P@10", "Judged@10"}
    for name, value in found.items():
        assert value == pytest.approx(results.splits["all"][name].value, abs=1e-12), name
    for name in ("R@100", "nDCG", "P@11"):
        assert run(*words, "-m", name) == 2
        assert "--run FILE" in capsys.readouterr().err
    # Lists that are shorter than what is kept are whole.
    few = ranking_shop(split=False, documents=17).with_tables(
        documents=data.documents.head(9), judgments=data.judgments.filter(pl.col("doc_id") < "d009")
    )
    evaluate(FakeModel(noise=1.0), few).save("few.json")
    few.judgments.write_parquet("few.parquet")
    assert run("metrics", "few.parquet", "few.rankings.parquet", "-m", "R@100") == 0


@pytest.mark.parametrize("damage", ["cut", "text", "nested"])
def test_damaged_rankings_are_refused_in_one_line(
    data: RankingDataset, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    evaluate(FakeModel(noise=1.0), data).save("r.json")
    path = Path("r.rankings.parquet")
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    else:
        rank = pl.lit("first") if damage == "text" else pl.concat_list("rank")
        pl.read_parquet(path).with_columns(rank=rank).write_parquet(path)
    capsys.readouterr()
    assert run("metrics", "shop/judgments.parquet", path) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: r.rankings.parquet")
    assert said.count("\n") == 1


def test_what_is_no_run_and_no_judgments_is_refused(
    data: RankingDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(FakeModel("a", noise=1.0), data).save("a.json")
    evaluate(FakeModel("b", noise=2.0), data).save("b.json")
    for name in ("csv", "parquet", "json"):
        assert run("compare", "a.json", "b.json", "--out", f"compared.{name}") == 0
    words = ("metrics", "shop/judgments.parquet", "a.rankings.parquet")
    values = ["--per-query", "values.parquet", "--out", "means.json"]
    assert run(*words, *values) == 0
    assert run("report", "a.json", "b.json", "--out", "report.json") == 0
    found = pl.read_parquet("a.rankings.parquet").select("query_id", "doc_id", "rank", "similarity")
    found.write_parquet("negatives.parquet", metadata={NEGATIVES: "{}"})
    capsys.readouterr()
    neither = ["a.json", "a.queries.parquet", "values.parquet", "means.json", "report.json"]
    neither += [f"compared.{name}" for name in ("csv", "parquet", "json")]
    for name in [*neither, "a.rankings.parquet"]:
        assert run("metrics", name, "a.rankings.parquet") == 2, name
        assert name in capsys.readouterr().err
    for name in [*neither, "negatives.parquet"]:
        assert run("metrics", "shop/judgments.parquet", name) == 2, name
        assert name in capsys.readouterr().err
        assert run("evaluate", name, "shop") == 2, name
        assert name in capsys.readouterr().err
    assert run("evaluate", "a.rankings.parquet", "shop") == 2
    assert "expected whole lists" in capsys.readouterr().err


@pytest.mark.parametrize("layout", ["trec", "beir", "tables"])
def test_exported_judgments_are_the_same(data: RankingDataset, layout: str) -> None:
    assert run("export", layout, data.root, "out") == 0
    files = {"trec": "qrels.txt", "beir": "qrels/test.tsv", "tables": "judgments.csv"}
    found = read_judged_pairs(next(Path("out").glob(files[layout])))
    keys = ["query_id", "doc_id"]
    wanted = data.judgments.select(*keys, "score")
    assert found.sort(keys).equals(wanted.sort(keys))


@pytest.mark.parametrize("name", ["model", *BASELINES])
def test_a_run_that_evaluate_writes_gives_the_same_figures_everywhere(
    data: RankingDataset, name: str
) -> None:
    """Similarities that tie keep the order of the lists, for trec_eval's single precision too."""
    if name == "model":  # without noise most of its similarities tie
        results = evaluate(FakeModel(noise=0.0), data, EvaluationOptions(keep=1000))
        save_run_files(results, "x.run")
    else:
        assert run("evaluate", "shop", "--baseline", name, "--run", "x.run", "--out", "x.json") == 0
        results = Results.load("x.json")
        assert results.rankings["rank"].max() == 10
        assert results.sizes == evaluate(baseline(name), data).sizes
    measured = ["nDCG@10", "RR@10", "mAP@1000", "R@100", "P@10", "Judged@10"]
    words = [word for metric in measured for word in ("-m", metric)]
    assert run("metrics", "shop/judgments.parquet", "x.run", *words, "--out", "m.json") == 0
    for metric, value in means_of("m.json").items():
        assert value == pytest.approx(results.splits["all"][metric].value, abs=1e-12), metric
    assert Results.load("m.json").metadata["tied"] == 0
    grades: dict[str, dict[str, int]] = {}
    for query, document, score in data.judgments.select("query_id", "doc_id", "score").rows():
        grades.setdefault(query, {})[document] = int(score)
    with Path("x.run").open() as file:
        lists = pytrec_eval.parse_run(file)
    peer = pytrec_eval.RelevanceEvaluator(grades, {"ndcg_cut_10", "map", "recip_rank"})
    theirs = peer.evaluate(lists).values()
    for ours, their in (("nDCG@10", "ndcg_cut_10"), ("mAP@1000", "map")):
        mean = sum(one[their] for one in theirs) / data.queries.height
        assert results.splits["all"][ours].value == pytest.approx(mean, abs=1e-6)
    assert read_ranked_pairs("x.run").height <= 1000 * data.queries.height


def test_runs_of_several_splits_and_depths(
    tmp_path: Path, data: RankingDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data.root
    ranking_shop().save(tmp_path / "split")
    words = ("evaluate", "split", "--baseline", "bm25", "--run", "b.run", "--depth")
    assert run(*words, 3) == 0
    splits = ("in_domain", "novel_query", "novel_document", "zero_shot")
    files = {split: Path(f"b.{split}.run") for split in splits}
    assert all(file.is_file() for file in files.values())
    lines = [line.split() for line in files["zero_shot"].read_text("utf-8").splitlines()]
    assert {line[3] for line in lines} == {"1", "2", "3"}
    assert {line[5] for line in lines} == {"bm25"}
    capsys.readouterr()
    assert run(*words, 3) == 2
    assert "b.in_domain.run: already exists" in capsys.readouterr().err
    assert run(*words, 3, "--overwrite", "--split", "zero_shot") == 0
    assert Path("b.run").is_file()
    both = ("evaluate", "shop", "--baseline", "random", "--baseline", "oracle", "--run", "c.run")
    assert run(*both) == 0
    assert Path("c.random.run").is_file()
    assert Path("c.oracle.run").is_file()
    assert run(*words, 2000, "--protocol", "beir", "--overwrite") == 2
    assert "at most 1,000" in capsys.readouterr().err
    queries = data.queries.with_columns(query_id=pl.col("query_id").str.replace("q", "q "))
    judgments = data.judgments.with_columns(query_id=pl.col("query_id").str.replace("q", "q "))
    data.with_tables(queries=queries, judgments=judgments).save("blank")
    assert run("evaluate", "blank", "--baseline", "bm25", "--run", "d.run") == 2
    assert "delimited by blanks" in capsys.readouterr().err
    assert not Path("d.run").exists()
