from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

import reference_metrics as reference
from rankfield.errors import DataError, ModelError, SplitError
from rankfield.evaluation import (
    EvaluationOptions,
    dev_ndcg,
    evaluate,
    evaluate_rankings,
    join_judgments,
)
from rankfield.metrics import STANDARD_METRICS
from rankfield.schema import SPLITS, RankingDataset, SplitView
from rankfield.search import Hits
from ranking_shop import FakeModel, ranking_shop


def scores_of(view: SplitView) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {query: {} for query in view.queries["query_id"]}
    for row in view.judgments.iter_rows(named=True):
        found[row["query_id"]][row["doc_id"]] = row["score"]
    return found


def test_figures_equal_a_plain_evaluation() -> None:
    dataset, model = ranking_shop(), FakeModel(noise=0.5)
    results = evaluate(model, dataset)
    assert tuple(results.splits) == SPLITS
    for split in SPLITS:
        view = dataset.view(split, "test")
        judged = scores_of(view)
        similarity = (
            model.embed_queries(dataset, view.queries)
            @ model.embed_documents(dataset, view.documents).T
        )
        values = []
        for row, query in enumerate(view.queries["query_id"]):
            order = np.argsort(-similarity[row], kind="stable")
            ranked = [view.documents["doc_id"][int(i)] for i in order]
            values.append(reference.ndcg(ranked, judged[query], 10, judged[query]))
        found = results.queries.filter(pl.col("split") == split)
        assert found["query_id"].to_list() == view.queries["query_id"].to_list()
        ours = found["nDCG@10"].fill_null(float("nan")).to_numpy()
        np.testing.assert_allclose(ours, values, rtol=1e-9)
        mean = results.splits[split]["nDCG@10"]
        assert mean.value == pytest.approx(np.nanmean(values))
        assert mean.queries == np.isfinite(values).sum()


def test_a_better_model_has_better_figures() -> None:
    dataset = ranking_shop()
    good, bad = (evaluate(FakeModel(noise=noise), dataset) for noise in (0.1, 3.0))
    for split in SPLITS:
        for name in ("nDCG@10", "nDCG(gain=exp)@10", "ERR@10", "RBP@10", "mAP@1000"):
            better, worse = good.splits[split][name].value, bad.splits[split][name].value
            assert better is not None
            assert worse is not None
            assert better > worse


def test_each_corpus_is_embedded_once() -> None:
    dataset, model = ranking_shop(documents=80), FakeModel()
    evaluate(
        model,
        dataset,
        EvaluationOptions(splits=["zero_shot", "in_domain", "novel_document", "novel_query"]),
    )
    assert [size for side, size in model.embedded if side == "documents"] == [40, 40]


def test_what_results_hold() -> None:
    dataset = ranking_shop()
    results = evaluate(FakeModel("mine"), dataset, EvaluationOptions(keep=3, label="first"))
    assert (results.model, results.label, results.subset) == ("mine", "first", "test")
    assert results.dataset.fingerprint == dataset.fingerprint()
    assert results.queries.columns == ["split", "query_id", *STANDARD_METRICS]
    for split in SPLITS:
        view, size = dataset.view(split, "test"), results.sizes[split]
        assert size.queries == view.queries.height
        assert size.documents == 40
        assert size.judgments == view.judgments.height
        # Without noise, documents of the same words embed the same.
        assert size.tied_queries == size.queries
    judgments = dataset.judgments.select("query_id", "doc_id", known="score")
    kept = results.rankings.join(judgments, on=["query_id", "doc_id"], how="left")
    assert kept["judged_score"].to_list() == kept["known"].to_list()
    assert kept["judged_score"].null_count() not in (0, kept.height)
    for _, group in kept.group_by("split", "query_id"):
        assert group["rank"].to_list() == [1, 2, 3]
        assert group["similarity"].is_sorted(descending=True)


def test_unsplit_data_and_subsets() -> None:
    unsplit = evaluate(FakeModel(), ranking_shop(split=False))
    assert list(unsplit.splits) == ["all"]
    assert unsplit.subset == "all"
    assert unsplit.sizes["all"].documents == 80
    dataset = ranking_shop()
    counts = [
        evaluate(
            FakeModel(), dataset, EvaluationOptions(splits=["in_domain"], subset=subset)
        ).sizes["in_domain"]
        for subset in ("dev", "test", None)
    ]
    assert counts[0].queries + counts[1].queries == counts[2].queries
    with pytest.raises(SplitError, match="unknown split"):
        evaluate(FakeModel(), dataset, EvaluationOptions(splits=["in-domain"]))
    with pytest.raises(SplitError, match="unknown subset"):
        evaluate(FakeModel(), dataset, EvaluationOptions(subset="train"))


def test_dev_ndcg_equals_the_full_evaluation() -> None:
    dataset, model = ranking_shop(), FakeModel(noise=1.0)
    full = evaluate(model, dataset, EvaluationOptions(subset="dev"))
    quick = dev_ndcg(model, dataset, SPLITS)
    assert quick == {split: full.splits[split]["nDCG@10"].value for split in SPLITS}


def test_dev_ndcg_without_anything_relevant() -> None:
    dataset = ranking_shop()
    dataset = dataset.with_tables(judgments=dataset.judgments.with_columns(score=pl.lit(0.0)))
    assert math.isnan(dev_ndcg(FakeModel(), dataset, ["in_domain"])["in_domain"])
    empty = evaluate(FakeModel(), dataset, EvaluationOptions(splits=["in_domain"]))
    assert empty.splits["in_domain"]["nDCG@10"].value is None
    assert empty.queries["nDCG@10"].null_count() == empty.queries.height


def test_lists_shorter_than_the_depth() -> None:
    dataset = ranking_shop()

    def first_documents(view: SplitView) -> Hits:
        rows = np.full((view.queries.height, 4), -1, dtype=np.int64)
        rows[:, :2] = [0, 1]
        rows[0] = -1
        return Hits(rows, np.where(rows < 0, -np.inf, 1).astype(np.float32))

    results = evaluate_rankings(
        "first", first_documents, dataset, EvaluationOptions(splits=["in_domain"])
    )
    queries = results.sizes["in_domain"].queries
    assert results.rankings.height == 2 * (queries - 1)
    assert results.queries["Judged@10"][0] == 0
    assert results.sizes["in_domain"].tied_queries == queries - 1


def test_a_judged_document_outside_the_corpus_counts_in_the_ideal() -> None:
    view = ranking_shop().view("in_domain", "test")
    hits = Hits(
        np.zeros((view.queries.height, 1), np.int64), np.zeros((view.queries.height, 1), np.float32)
    )
    shrunk = replace(view, documents=view.documents.head(1))
    np.testing.assert_array_equal(
        join_judgments(view, hits).ideal_scores, join_judgments(shrunk, hits).ideal_scores
    )
    np.testing.assert_array_equal(
        join_judgments(view, hits).scores, join_judgments(shrunk, hits).scores
    )


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("judgments", lambda f: pl.concat([f, f]), "judged twice"),
        ("judgments", lambda f: f.with_columns(score=pl.lit(float("nan"))), "finite score"),
        ("documents", lambda f: pl.concat([f, f]), "same doc_id occurs twice"),
        ("queries", lambda f: pl.concat([f, f]), "same query_id occurs twice"),
    ],
)
def test_refuses_damaged_tables(table: str, change: object, message: str) -> None:
    dataset = ranking_shop()
    damaged = {table: change(getattr(dataset, table))}  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        evaluate(FakeModel(), dataset.with_tables(**damaged))


def test_refuses_embeddings_of_another_shape() -> None:
    class Short(FakeModel):
        def embed_documents(
            self, dataset: RankingDataset, documents: pl.DataFrame
        ) -> npt.NDArray[np.float32]:
            return super().embed_documents(dataset, documents)[1:]

    with pytest.raises(ModelError, match="one embedding for each of 40 documents"):
        evaluate(Short(), ranking_shop())
