from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from rankfield.escaping import markdown_text
from rankfield.evaluation import Results, protocol_named
from rankfield.metrics import Mean
from rankfield.report import Content, gather, render_markdown, render_model_card, render_page
from rankfield.schema import SPLITS, RankingDataset

MakeResults = Callable[..., Results]


@pytest.fixture
def content(dataset: RankingDataset, make_results: MakeResults, log: Path) -> Content:
    without = {"document.title": {str(split): {"nDCG@10": Mean(0.2, 6)} for split in SPLITS}}
    best = dataclasses.replace(make_results("GCL|x", 0.625, 0.01), robustness=without)
    return gather(
        dataset, [make_results("CLIP", 0.5), best], title="A *report*", training_logs={"GCL|x": log}
    )


def test_json_holds_the_figures_and_no_image(content: Content) -> None:
    value = json.loads(json.dumps(content.to_json(), allow_nan=False))
    cell = value["rows"][0]["cells"][1]
    assert (cell["value"], cell["gain"]) == (0.625, pytest.approx(0.25))
    assert cell["low"] < 0.625 < cell["high"]
    assert value["recipes"]["GCL|x"]["loss"]["weight"] == "inverse"
    assert value["version"]
    assert "data:image" not in json.dumps(value)
    assert len(value["extremes"]) == 3


def test_json_keeps_models_of_any_name(
    dataset: RankingDataset, make_results: MakeResults, log: Path
) -> None:
    results = [make_results("logs", 0.5), make_results("thumbnail", 0.6), make_results("x", 0.7)]
    content = gather(
        dataset, results, title="Names", training_logs={"logs": log, "thumbnail": log, "x": log}
    )
    value = content.to_json()
    for named in ("models", "runs", "recipes"):
        assert list(value[named]) == ["logs", "thumbnail", "x"]


def test_markdown_says_the_same_and_escapes(content: Content) -> None:
    text = render_markdown(content)
    assert text.startswith("# A \\*report\\*\n")
    assert "**+25.0\N{NO-BREAK SPACE}%**" in text
    for heading in ("Result", "Every metric", "When a field is missing", "How it was made"):
        assert f"\n## {heading}\n" in text
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 5
    for table in tables:  # an unescaped bar in a name would add a column
        columns = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(columns) == 1, table
    assert "<script" not in text.replace("\\<script", "")


def test_text_is_one_line_in_which_nothing_is_markdown() -> None:
    assert (
        markdown_text("a\n| b *c* <d> [e](f) `g`") == "a \\| b \\*c\\* \\<d\\> \\[e\\](f) \\`g\\`"
    )


def test_the_model_card_is_of_the_last_model(content: Content) -> None:
    card = render_model_card(content)
    _, front, body = card.split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in front.splitlines())
    index = json.loads(fields["model-index"])
    assert index[0]["name"] == "GCL|x"
    first = index[0]["results"][0]
    assert first["dataset"]["split"] == "in_domain"
    assert {"type": "nDCG@10", "name": "nDCG@10", "value": 0.625} in first["metrics"]
    for words in ('weight = "inverse"', "CC0-1.0", "Without document.title", "RankingModel.load"):
        assert words in body


def test_the_page_of_the_same_content(content: Content) -> None:
    page = render_page(content)
    assert "Recipe of GCL|x" in page
    assert "weight = &#34;inverse&#34;" in page


def test_other_protocols_are_reported_by_their_own_names(
    dataset: RankingDataset, make_results: MakeResults
) -> None:
    figures = protocol_named("beir").main

    def by_beir(label: str, value: float) -> Results:
        own = make_results(label, value)
        return dataclasses.replace(
            own,
            protocol="beir",
            splits={split: dict.fromkeys(figures, m["nDCG@10"]) for split, m in own.splits.items()},
            queries=own.queries.select(
                "split", "query_id", *(pl.col("nDCG@10").alias(name) for name in figures)
            ),
            robustness={"document.title": {"in_domain": {"NDCG@10": Mean(0.25, 6)}}},
        )

    results = [by_beir("a", 0.5), by_beir("b", 0.625)]
    content = gather(dataset, results, title="t", training_logs={})
    assert {metric for _, metric, _ in content.every_metric} == set(figures)
    assert content.rows[0].cells[1].gain == pytest.approx(0.25)
    assert content.rank_scores == (), "grades of the protocol are not scores of the data set"
    assert content.robustness[1].values == (0.25, 0.25)
    assert "by the protocol beir" in render_page(content)


def test_the_card_uses_the_data_s_own_query_and_no_path(
    dataset: RankingDataset, make_results: MakeResults, tmp_path: Path
) -> None:
    content = gather(dataset, [make_results("m", 0.5)], title="t", training_logs={})
    assert content.query
    card = render_model_card(content)
    use = card.split("## Use")[1].split("## Training")[0]
    assert json.dumps(content.query, ensure_ascii=False) in use
    assert 'load("data")' in use
    assert str(tmp_path) not in card
    compile(use.split("```python")[1].split("```")[0], "card", "exec")


def test_every_baseline_that_is_asked_for_is_tested(
    dataset: RankingDataset, make_results: MakeResults
) -> None:
    results = [make_results("bm25", 0.5), make_results("clip", 0.55), make_results("gcl", 0.7)]
    content = gather(dataset, results, title="t", training_logs={}, against=["bm25", "clip"])
    assert [(p.against, p.name) for p in content.pairs[:3]] == [
        ("bm25", "clip"),
        ("bm25", "gcl"),
        ("clip", "gcl"),
    ]
    page, text = render_page(content), render_markdown(content)
    assert "gcl − clip" in page
    assert "| gcl − clip |" in text
    assert content.to_json()["pairs"][2]["difference"] == pytest.approx(0.15)
    plain = gather(dataset, results, title="t", training_logs={})
    assert "Against each baseline" not in render_page(plain) + render_markdown(plain)
