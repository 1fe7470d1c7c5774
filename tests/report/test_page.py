from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from parsed_page import Page
from rankfield.errors import InputError, MetricError
from rankfield.evaluation import Results, paired_test
from rankfield.metrics import Mean
from rankfield.report import (
    gather,
    render_markdown,
    render_model_card,
    render_page,
    write_report,
)
from rankfield.schema import SPLITS, Field, RankingDataset

MakeResults = Callable[..., Results]


def _write(
    path: Path,
    dataset: RankingDataset,
    results: list[Results],
    logs: dict[str, Path] | None = None,
    *,
    title: str = "A report",
    shown: int = 12,
) -> tuple[str, Page]:
    write_report(
        path,
        dataset=dataset,
        results=results,
        training_logs=logs or {},
        title=title,
        next_steps=["Run `rankfield search <MODEL>` now"],
        queries_shown=shown,
    )
    source = path.read_text("utf-8")
    return source, Page(source)


@pytest.fixture
def results(make_results: MakeResults) -> list[Results]:
    return [make_results("CLIP", 0.5), make_results("GCL", 0.625, 0.01)]


def test_the_page_is_well_formed_accessible_and_complete(
    tmp_path: Path, dataset: RankingDataset, results: list[Results], log: Path
) -> None:
    _, page = _write(
        tmp_path / "report.html", dataset, results, {"CLIP": log, "GCL": log}, title="T & C"
    )
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    for before, after in zip(page.headings, page.headings[1:], strict=False):
        assert after <= before + 1
    assert all(attrs.get("alt") for attrs in page.all("img"))
    assert all(attrs.get("scope") for attrs in page.all("th"))
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in page.all("svg"))
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    links = [(attrs["href"] or "") for attrs in page.all("a")]
    assert all(link[1:] in ids for link in links)
    assert len(page.all("article")) == 12 + 3  # drawn fairly, and the three largest wins
    for words in ("In domain", "Novel query", "Novel document", "Zero-shot", "CC0-1.0"):
        assert words in page.words
    assert dataset.fingerprint() in page.words
    trained = "weight function inverse, batch 64, seed 5, 60 steps, 60 s, best dev nDCG@10 0.625"
    assert trained in page.words


def test_nothing_is_fetched_from_elsewhere(
    tmp_path: Path, dataset: RankingDataset, results: list[Results], log: Path
) -> None:
    source, page = _write(tmp_path / "report.html", dataset, results, {"CLIP": log})
    for _, attrs in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert re.match(r"data:|#|$", attrs.get(name) or ""), attrs
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", source))
    assert "@import" not in source
    assert page.all("script") == []
    assert "rdf:RDF" not in source


def test_hostile_texts_are_escaped(
    tmp_path: Path, dataset: RankingDataset, make_results: MakeResults, log: Path
) -> None:
    label = '"><script>x</script>'
    results = [make_results("CLIP", 0.5), make_results(label, 0.6)]
    title = '</title><script>alert("1")</script>'
    source, page = _write(tmp_path / "r.html", dataset, results, {label: log}, title=title)
    assert page.all("script") == []
    assert page.all("b") == []
    assert title in page.words
    assert re.search(r'<script>alert\("\d"\)</script> & mug', page.words)
    assert "Mug <b>2</b>" in page.words
    assert "rankfield search <MODEL>" in page.words
    assert "<script" not in source


def test_the_numbers_are_those_of_the_results(
    tmp_path: Path, dataset: RankingDataset, results: list[Results]
) -> None:
    _, page = _write(tmp_path / "report.html", dataset, results)
    assert page.words.count("+25.0 %") == 4
    assert page.words.count("0.625") >= 4
    assert page.words.count("0.3125") == 4  # half of it, as mrr
    assert "GCL ranks 25.0 % better than CLIP in domain (within chance)" in page.words
    # All of 6 queries differ in one direction: 2 of 2^6 flips are as far, times 4 tests (Holm).
    z = np.array([one.queries.filter(split="in_domain")["nDCG@10"] for one in results])
    difference = paired_test(*z).difference
    interval = f"{difference.low:+.3f} to {difference.high:+.3f}"
    assert f"+0.125 ({interval}) , p = 0.125 , not clear" in page.words
    assert "about these models on these queries" in page.words
    assert "−" not in page.words.split("How it was made")[0]


def test_a_loss_is_called_a_loss(
    tmp_path: Path, dataset: RankingDataset, make_results: MakeResults
) -> None:
    results = [make_results("CLIP", 0.5), make_results("GCL", 0.45)]
    worse = results[1].splits
    worse["zero_shot"]["nDCG@10"] = Mean(0.6, 3)
    _, page = _write(tmp_path / "report.html", dataset, results)
    lead = page.words.split("Query by query")[0]
    assert "GCL ranks 20.0 % better than CLIP on zero-shot (within chance), but" in lead
    assert "10.0 % worse than CLIP in domain (within chance)" in lead
    assert "worse on 100 % of the 18 rankings compared" in page.words


def test_relevance_ideal_rank_and_unjudged(
    tmp_path: Path, dataset: RankingDataset, results: list[Results]
) -> None:
    _, page = _write(tmp_path / "report.html", dataset, results, shown=100)
    assert "18 queries, wins and losses alike" in page.words
    # q0 in domain: d0 … d10 even with scores 0 2 4 1 3 0, so d4 is ideal and d2 third.
    assert "relevance 4 · ideal rank 1 of 6" in page.words
    assert "relevance 2 · ideal rank 3 of 6" in page.words
    assert "unjudged" in page.words  # d11 is in rankings, not in judgments


def test_images_are_small_and_a_missing_one_is_said(
    tmp_path: Path, dataset: RankingDataset, results: list[Results]
) -> None:
    path = tmp_path / "report.html"
    _, page = _write(path, dataset, results)
    assert len(page.all("img")) > 50
    assert "no image" in page.words
    assert path.stat().st_size < 500_000


def test_images_in_the_table_itself(
    tmp_path: Path, dataset: RankingDataset, make_results: MakeResults
) -> None:
    root = dataset.root
    assert root is not None
    data = [
        (root / name).read_bytes() if (root / name).exists() else b"broken"
        for name in dataset.documents["image"]
    ]
    inside = dataset.with_tables(
        documents=dataset.documents.with_columns(pl.Series("image", data, pl.Binary))
    )
    results = [_measured_on(make_results("CLIP", 0.5), inside)]
    _, page = _write(tmp_path / "report.html", inside, results)
    assert len(page.all("img")) > 20
    assert "no image" in page.words


def _measured_on(results: Results, dataset: RankingDataset) -> Results:
    identity = dataclasses.replace(results.dataset, fingerprint=dataset.fingerprint())
    return dataclasses.replace(results, dataset=identity)


def test_without_image_fields(
    tmp_path: Path, dataset: RankingDataset, results: list[Results]
) -> None:
    text_only = dataclasses.replace(dataset, document_fields=(Field("title", "text"),))
    measured = [_measured_on(one, text_only) for one in results]
    _, page = _write(tmp_path / "report.html", text_only, measured)
    assert page.all("img") == []
    assert "no image" not in page.words
    assert "Mug" in page.words


def test_a_single_model(tmp_path: Path, dataset: RankingDataset, make_results: MakeResults) -> None:
    _, page = _write(tmp_path / "report.html", dataset, [make_results("GCL", 0.625)])
    assert "GCL reaches an nDCG@10 of 0.625 in domain, 0.625 on novel queries" in page.words
    assert "p =" not in page.words
    assert "Won and lost" not in page.words
    assert not re.search(r"[+−]\d", page.words)
    assert "sorted by nDCG@10" in page.words


def test_a_metric_that_no_query_defines(
    tmp_path: Path, dataset: RankingDataset, results: list[Results]
) -> None:
    for one in results:
        one.splits["zero_shot"]["nDCG@10"] = Mean(None, 0)
    blank = [
        dataclasses.replace(
            one,
            queries=one.queries.with_columns(
                pl.when(pl.col("split") == "zero_shot")
                .then(None)
                .otherwise(pl.col("nDCG@10"))
                .alias("nDCG@10")
            ),
        )
        for one in results
    ]
    source, page = _write(tmp_path / "report.html", dataset, blank)
    assert "nan" not in re.sub(r"base64,[^\"]*", "", source).lower()
    assert "Zero-shot new queries and new documents · 0 queries –" in page.words
    assert "on zero-shot" not in page.words


def test_runs_of_one_label_are_averaged(
    tmp_path: Path, dataset: RankingDataset, make_results: MakeResults
) -> None:
    results = [make_results("CLIP", 0.5), make_results("GCL", 0.6), make_results("GCL", 0.7)]
    _, page = _write(tmp_path / "report.html", dataset, results)
    # Six equal values and a seventh that was not seen: its share is Beta(1, 6).
    share = 1 - 0.025 ** (1 / 6)
    found = re.search(r"0\.650 \+30\.0 % (\S+) to (\S+) · 2 runs, ± 0\.071", page.words)
    assert found
    assert float(found[1]) == pytest.approx(0.65 * (1 - share), abs=0.03)
    assert float(found[2]) == pytest.approx(0.65 + 0.35 * share, abs=0.03)
    assert "each query’s mean over the runs" in page.words
    assert "The p is of a bootstrap of runs and queries: about the recipes." in page.words


def test_over_zero_both_figures_stand_in_place_of_a_gain(
    tmp_path: Path, dataset: RankingDataset, make_results: MakeResults
) -> None:
    results = [make_results("CLIP", 0.0), make_results("GCL", 0.25)]
    content = gather(dataset, results, title="A report", training_logs={})
    assert content.summary[0] == (
        "In nDCG@10, GCL has 0.250 and CLIP 0.000 in domain (within chance), GCL has 0.250 and "
        "CLIP 0.000 on novel queries (within chance), GCL has 0.250 and CLIP 0.000 on novel "
        "documents (within chance) and GCL has 0.250 and CLIP 0.000 on zero-shot (within chance), "
        "where a relative gain is undefined."
    )
    for text in (render_markdown(content), render_model_card(content), render_page(content)):
        assert "GCL has 0.250 and CLIP 0.000 on zero-shot" in text

    # One split of four over zero is named beside the others.
    first = make_results("CLIP", 0.2)
    zero = pl.when(pl.col("split") == "zero_shot").then(0.0).otherwise(pl.col("nDCG@10"))
    first.splits["zero_shot"]["nDCG@10"] = Mean(0.0, 3)
    first = dataclasses.replace(first, queries=first.queries.with_columns(zero.alias("nDCG@10")))
    content = gather(dataset, [first, results[1]], title="A report", training_logs={})
    lead = content.summary[0]
    assert lead.startswith(
        "In nDCG@10, GCL ranks 25.0\N{NO-BREAK SPACE}% better than CLIP in domain"
    )
    assert lead.endswith(
        "; GCL has 0.250 and CLIP 0.000 on zero-shot (within chance), where a relative gain is "
        "undefined."
    )
    # Nothing on both sides is no missing figure either.
    content = gather(
        dataset, [results[0], make_results("GCL", 0.0)], title="A report", training_logs={}
    )
    assert content.summary[0].startswith("In nDCG@10, GCL ranks the same as CLIP in domain, on nov")


def test_single_runs_are_said_to_be_single(
    dataset: RankingDataset, make_results: MakeResults
) -> None:
    results = [make_results("CLIP", 0.5), make_results("GCL", 0.6)]
    sentence = "Each is one run: this compares two models, not the recipes they came from."
    assert gather(dataset, results, title="x", training_logs={}).summary[-1] == sentence
    results.append(make_results("GCL", 0.7))
    assert sentence not in gather(dataset, results, title="x", training_logs={}).summary


def test_fields_left_out(tmp_path: Path, dataset: RankingDataset, results: list[Results]) -> None:
    """The change is to the value with all fields; a model that was not measured has a dash."""
    without = {"document.title": {str(split): {"nDCG@10": Mean(0.2, 6)} for split in SPLITS}}
    measured = [results[0], dataclasses.replace(results[1], robustness=without)]
    _, page = _write(tmp_path / "report.html", dataset, measured)
    assert "document.title – 0.200 (−0.425)" in page.words
    _, page = _write(tmp_path / "plain.html", dataset, results)
    assert "When a field is missing" not in page.words


def test_no_query_at_all(
    tmp_path: Path, dataset: RankingDataset, make_results: MakeResults
) -> None:
    results = make_results("GCL", 0.5)
    empty = dataclasses.replace(
        results,
        splits={split: {"nDCG@10": Mean(None, 0)} for split in SPLITS},
        queries=results.queries.clear(),
        rankings=results.rankings.clear(),
    )
    _, page = _write(tmp_path / "report.html", dataset, [empty])
    assert "GCL was measured on no query." in page.words
    assert page.all("article") == []


def test_an_empty_log(tmp_path: Path, dataset: RankingDataset, results: list[Results]) -> None:
    log = tmp_path / "empty.jsonl"
    log.touch()
    _, page = _write(tmp_path / "report.html", dataset, results, {"GCL": log})
    assert "Training of GCL its log is empty" in page.words
    assert "Losses of different" not in page.words


def test_the_same_input_gives_the_same_bytes(
    tmp_path: Path, dataset: RankingDataset, results: list[Results], log: Path
) -> None:
    pages = []
    for name in ("a.html", "b.html"):
        _write(tmp_path / name, dataset, results, {"GCL": log})
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]


def test_results_that_do_not_belong_together(
    tmp_path: Path, dataset: RankingDataset, results: list[Results]
) -> None:
    path = tmp_path / "report.html"
    other = dataset.with_tables(judgments=dataset.judgments.head(50))
    with pytest.raises(MetricError, match="measured on other data"):
        _write(path, other, results)
    with pytest.raises(MetricError, match="none"):
        _write(path, dataset, [])
    with pytest.raises(InputError, match="training log"):
        _write(path, dataset, results, {"GCL": tmp_path / "absent.jsonl"})
    assert not path.exists()
