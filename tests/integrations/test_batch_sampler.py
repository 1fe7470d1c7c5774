"""The batch sampler: several documents of a query in a batch, the same order for the same seed."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rankfield.errors import DataError
from rankfield.integrations.sentence_transformers import (
    QueryGroupBatchSampler,
    RankedLoss,
    with_weights,
)
from rankfield.integrations.sentence_transformers.score_weights import scale_of
from rankfield.training.order import epoch_order
from tiny_sentence_transformer import WORDS, tiny_sentence_transformer

datasets = pytest.importorskip("datasets")

QUERIES = [f"{a} {b}" for a in WORDS.split()[:5] for b in WORDS.split()[:4]]
EACH = 9


@pytest.fixture(scope="module")
def rows() -> Any:
    """Return 9 rows of each of 20 queries, of which one has a high score, in random order."""
    pairs = [(q, f"nice {d}", float(d == 0) + 1) for q in QUERIES for d in range(EACH)]
    pairs = [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))]
    anchor, document, score = zip(*pairs, strict=True)
    return datasets.Dataset.from_dict({"anchor": anchor, "document": document, "score": score})


def batches(rows: Any, *, epoch: int = 0, size: int = 16, **settings: Any) -> list[list[int]]:
    sampler = QueryGroupBatchSampler(rows, size, **{"drop_last": False, **settings})
    sampler.set_epoch(epoch)
    found = list(sampler)
    assert len(found) == len(sampler)
    return found


def test_a_batch_holds_several_documents_of_each_query(rows: Any) -> None:
    texts = rows["anchor"][:]
    for choice in ("balanced", "soft_balanced", "stratified", "uniform"):
        found = batches(rows, choice=choice)
        assert [len(batch) for batch in found] == [16] * 11 + [4]
        counts = [Counter(texts[row] for row in batch) for batch in found]
        assert np.mean([n for count in counts for n in count.values()]) > 2.3
    assert len(batches(rows, drop_last=True)) == 11
    alone = [Counter(texts[row] for row in b) for b in batches(rows, documents_per_query=1)]
    assert np.mean([n for count in alone for n in count.values()]) < 1.7


def test_the_order_is_that_of_training(rows: Any) -> None:
    found = [row for batch in batches(rows, seed=3, epoch=2) for row in batch]
    known = dict.fromkeys(rows["anchor"])
    numbers = np.array([list(known).index(text) for text in rows["anchor"]])
    expected = epoch_order(
        numbers,
        np.array(rows["score"][:]),
        np.ones(len(rows)),
        documents_per_query=4,
        choice="balanced",
        clusters=None,
        scale=scale_of(None, np.array(rows["score"][:])),
        rng=np.random.default_rng([3, 2]),
    )
    assert found == expected.tolist()


def test_seed_and_epoch_alone_decide(rows: Any) -> None:
    assert batches(rows, seed=1) == batches(rows, seed=1)
    assert batches(rows, seed=1) != batches(rows, seed=2)
    assert batches(rows, epoch=0) != batches(rows, epoch=1)
    for choice in ("stratified", "uniform"):
        every = [row for batch in batches(rows, choice=choice) for row in batch]
        assert sorted(every) == list(range(len(rows)))


def test_weights_of_the_labels_draw(rows: Any) -> None:
    texts = with_weights(rows, "constant", score_scale=(0.0, 2.0))
    assert len(batches(texts, choice="score")) == 12
    weighted = with_weights(rows, "exponential", score_scale=(0.0, 2.0))
    drawn = Counter(row for b in batches(weighted, choice="score") for row in b)
    best = [row for row, score in enumerate(rows["score"]) if score == 2.0]
    assert np.mean([drawn[row] for row in best]) > 1.5


def test_what_is_refused(rows: Any) -> None:
    with pytest.raises(DataError, match=r"the labels have none\. Use with_weights"):
        batches(rows, choice="score")
    with pytest.raises(ValueError, match="choice='best': expected one of uniform"):
        batches(rows, choice="best")
    with pytest.raises(ValueError, match="documents_per_query=0: expected at least 1"):
        batches(rows, documents_per_query=0)
    with pytest.raises(DataError, match="expected a column named label, labels, score or scores"):
        batches(rows.remove_columns("score"))


@pytest.mark.filterwarnings("ignore")  # of the other libraries
@pytest.mark.parametrize("partial", [False, True])
def test_the_trainer_takes_it(partial: bool, rows: Any, tmp_path: Path) -> None:
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )

    model = tiny_sentence_transformer(tmp_path / "model")
    seen: list[list[float]] = []

    class Watched(RankedLoss):
        def forward(self, sentence_features: Any, labels: Any) -> Any:
            seen.append(labels.tolist())
            return super().forward(sentence_features, labels)

    sampler = functools.partial(QueryGroupBatchSampler, documents_per_query=3)
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            str(tmp_path / "run"),
            num_train_epochs=2,
            per_device_train_batch_size=60,
            batch_sampler=sampler if partial else QueryGroupBatchSampler,
            seed=5,
            report_to="none",
            save_strategy="steps",
            save_steps=6,
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=rows,
        loss=Watched(model),
    )
    trainer.train()
    settings = {"documents_per_query": 3} if partial else {}
    expected = [
        [rows["score"][row] for row in batch]
        for epoch in (0, 1)
        for batch in batches(rows, epoch=epoch, size=60, seed=5, **settings)
    ]
    assert seen == expected
    assert (tmp_path / "run" / "checkpoint-6" / "training_args.bin").is_file()
