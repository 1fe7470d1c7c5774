"""Whole trainings by sentence-transformers' own trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rankfield.errors import DataError
from rankfield.integrations.sentence_transformers import (
    GradedLoss,
    GradedRetrievalEvaluator,
    RankedLoss,
    with_weights,
)
from rankfield.integrations.transformers import RunLogCallback
from rankfield.losses import LOSSES
from rankfield.report.log import read_log
from rankfield.schema import ScoreScale
from rankfield.weighting import pair_weights
from tiny_sentence_transformer import tiny_sentence_transformer

datasets = pytest.importorskip("datasets")

pytestmark = pytest.mark.filterwarnings("ignore")  # of the other libraries

QUERIES = ["red ball", "blue box", "green mug", "grey lamp", "large gift", "cheap number"]
DOCUMENTS = [f"{size} {what}" for what in QUERIES for size in ("nice", "small")]
SCORES = {
    query: {text: float(2 * (text == f"nice {query}") + (query in text)) for text in DOCUMENTS}
    for query in QUERIES
}


def rows() -> Any:
    judged = [(q, d, s) for q, of_query in SCORES.items() for d, s in of_query.items()]
    anchor, document, score = zip(*judged, strict=True)
    return datasets.Dataset.from_dict(
        {"anchor": list(anchor), "document": list(document), "score": list(score)}
    )


def evaluator() -> GradedRetrievalEvaluator:
    queries, documents = ({text: text for text in part} for part in (QUERIES, DOCUMENTS))
    return GradedRetrievalEvaluator(queries, documents, SCORES, score_scale=(0.0, 3.0), name="dev")


def trained(model: Any, folder: Path, loss: Any, data: Any, **arguments: Any) -> Any:
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )

    callbacks, measure = arguments.pop("callbacks", []), arguments.pop("evaluator", None)
    settings = {
        "max_steps": 2,
        "per_device_train_batch_size": 36,
        "learning_rate": 1e-2,
        "report_to": "none",
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(str(folder), **{**settings, **arguments}),
        train_dataset=data,
        loss=loss,
        evaluator=measure,
        callbacks=callbacks,
    )
    trainer.train()
    return trainer


@pytest.mark.parametrize("name", LOSSES)
def test_the_trainer_takes_every_loss_of_the_table(name: str, tmp_path: Path) -> None:
    model = tiny_sentence_transformer(tmp_path / "model")
    before = [x.detach().clone() for x in model.parameters()]
    loss = GradedLoss(model, name, weight="linear", mini_batch_size=16)
    trainer = trained(model, tmp_path / "run", loss, rows())
    assert np.isfinite(trainer.state.log_history[-1]["train_loss"])
    changed = [bool((a != b).any()) for a, b in zip(before, model.parameters(), strict=True)]
    assert any(changed)


def test_the_best_checkpoint_is_loaded_and_the_run_is_logged(tmp_path: Path) -> None:
    model = tiny_sentence_transformer(tmp_path / "model")
    measure = evaluator()
    before = measure(model)["dev_nDCG@10"]
    trainer = trained(
        model,
        tmp_path / "run",
        RankedLoss(model, learn_scale=True),
        with_weights(rows()),
        evaluator=measure,
        callbacks=[RunLogCallback()],
        max_steps=30,
        eval_strategy="steps",
        eval_steps=10,
        save_strategy="steps",
        save_steps=10,
        logging_steps=5,
        load_best_model_at_end=True,
        metric_for_best_model=f"eval_{measure.primary_metric}",
        greater_is_better=True,
    )
    best = trainer.state.best_metric
    assert best > before + 0.1
    assert measure(model)["dev_nDCG@10"] == pytest.approx(best, abs=1e-6)
    log = read_log(tmp_path / "run" / "log.jsonl")
    assert list(log.loss) == [5, 10, 15, 20, 25, 30]
    assert list(log.dev) == [10, 20, 30]
    assert max(log.dev.values()) == pytest.approx(best)
    assert log.facts["gradient_norm"] > 0
    assert (tmp_path / "run" / "eval" / "graded_retrieval_dev.json").is_file()


def test_weights_of_whole_lists() -> None:
    data = rows()
    expected = pair_weights(
        np.repeat(np.arange(len(QUERIES)), len(DOCUMENTS)),
        np.array(data["score"][:]),
        ScoreScale(0.0, 3.0, relevant=3.0),
        "discount",
    )
    found = np.array(with_weights(data)["score"][:])
    assert found[:, 0].tolist() == data["score"][:]
    np.testing.assert_allclose(found[:, 1], expected)
    linear = with_weights(data, "linear", score_scale=(0.0, 4.0))
    np.testing.assert_allclose(np.array(linear["score"][:])[:, 1], found[:, 0] / 4)
    assert linear.column_names == ["anchor", "document", "score"]
    with pytest.raises(DataError, match="expected a column named label, labels, score or scores"):
        with_weights(data.remove_columns("score"))
    with pytest.raises(DataError, match="expected a number in each row, found a score and"):
        with_weights(with_weights(data))
    with pytest.raises(DataError, match="expected a finite number"):
        with_weights(data.remove_columns("score").add_column("score", [float("nan")] * len(data)))
