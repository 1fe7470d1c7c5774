"""Graded ranking metrics while sentence-transformers trains, as `rankfield evaluate` has them."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.errors import DataError, MetricError
from rankfield.evaluation import EvaluationOptions, Results, evaluate
from rankfield.integrations.sentence_transformers.library import needs_library
from rankfield.integrations.sentence_transformers.score_weights import Scale, scale_of
from rankfield.metrics import STANDARD_METRICS, Mean, canonical_name
from rankfield.schema import Field, RankingDataset

with needs_library(__name__):
    from sentence_transformers.base.evaluation import BaseEvaluator

__all__ = ["GradedRetrievalEvaluator"]

_LOGGER = logging.getLogger(__name__)


class GradedRetrievalEvaluator(BaseEvaluator):  # type: ignore[misc]
    """nDCG, ERR, RBP and the other standard metrics on float scores, with 95 % intervals.

    Each query is answered from the whole corpus by exact search; an unjudged document counts 0.
    The figures are those of `rankfield evaluate` on the same data. A call returns
    ``{name_metric: mean, name_metric_low: …, name_metric_high: …}`` (``split_metric`` where there
    are several splits), and keeps what it found in `results`, with a table of all queries.

    With a trainer, ``metric_for_best_model=f"eval_{evaluator.primary_metric}"`` and
    ``load_best_model_at_end=True`` keep the best checkpoint.

    Args:
        queries: id → text.
        corpus: id → text.
        scores: query id → document id → score, any finite float, larger is better.
        score_scale: (minimum, maximum) of the scores, or a `ScoreScale`; by default that of these
            scores, of which those up to 0 gain nothing.
        name: a prefix of the metrics' names.
        primary_metric: what decides which checkpoint is best.
        metrics: what to return, in the names of `rankfield metrics`; all of them stand in
            `results`.
        batch_size: texts encoded at once.
        k: how many documents are retrieved for each query.
        query_prompt, corpus_prompt: put before the texts; by default the model's own.
        query_prompt_name, corpus_prompt_name: of the model's prompts.
        truncate_dim: cut embeddings to so many dimensions.
        show_progress_bar: while encoding.
        write_csv: append a row for each call to a CSV file in the trainer's folder, and write the
            latest results there, as `rankfield compare` reads them.

    Raises:
        DataError: nothing is judged, or an id that is not among the queries.
        MetricError: an unknown metric.
    """

    def __init__(
        self,
        queries: Mapping[str, str],
        corpus: Mapping[str, str],
        scores: Mapping[str, Mapping[str, float]],
        *,
        score_scale: Scale | None = None,
        name: str = "",
        **settings: Any,
    ) -> None:
        pairs = [(q, d, float(s)) for q, judged in scores.items() for d, s in judged.items()]
        if not pairs:
            raise DataError("there is no judged pair", where=f"evaluator {name}".rstrip())
        judgments = pl.DataFrame(
            pairs,
            schema={"query_id": pl.String, "doc_id": pl.String, "score": pl.Float64},
            orient="row",
        )
        dataset = RankingDataset(
            name=name or "evaluator",
            query_fields=(Field("query", "text"),),
            document_fields=(Field("text", "text"),),
            score_scale=scale_of(score_scale, judgments["score"].to_numpy()),
            queries=_table("query_id", "query", queries),
            documents=_table("doc_id", "text", corpus),
            judgments=judgments,
        )
        unknown = set(scores) - set(queries)
        if unknown:
            raise DataError(f"unknown query {min(unknown)!r}", where=f"{dataset.name}, scores")
        self._prepare(dataset, ("query", "text"), ["all"], None, name, **settings)

    @classmethod
    def of_dataset(
        cls,
        dataset: RankingDataset,
        *,
        subset: str | None = "dev",
        splits: Sequence[str] | None = None,
        query_field: str | None = None,
        document_field: str | None = None,
        name: str = "",
        **settings: Any,
    ) -> GradedRetrievalEvaluator:
        """Return the evaluator of a ranking data set.

        With several splits the primary metric is the mean over them.

        Args:
            dataset: the data set.
            subset: "dev", "test", or None for both; ignored where the queries have no subsets.
            splits: which ones; by default all that have judged queries of the subset.
            query_field, document_field: the text that is encoded; needed where there are several.
            name: a prefix of the metrics' names.
            settings: further arguments of the class.

        Raises:
            DataError: no such text field, or several to choose from.
            SplitError: an unknown split or subset, or one without queries.
        """
        fields = (
            _text_field(dataset.query_fields, query_field, "query"),
            _text_field(dataset.document_fields, document_field, "document"),
        )
        known = subset if dataset.has_subsets else None
        chosen = list(splits or dataset.judged_splits(known) or ["all"])
        for split in chosen:
            dataset.view(split, known)
        made = cls.__new__(cls)
        made._prepare(dataset, fields, chosen, subset, name, **settings)
        return made

    def _prepare(
        self,
        dataset: RankingDataset,
        fields: tuple[str, str],
        splits: Sequence[str],
        subset: str | None,
        name: str,
        *,
        primary_metric: str = "nDCG@10",
        metrics: Sequence[str] = ("nDCG@10", "ERR@10", "RBP@10"),
        batch_size: int = 32,
        k: int = 1000,
        query_prompt: str | None = None,
        query_prompt_name: str | None = None,
        corpus_prompt: str | None = None,
        corpus_prompt_name: str | None = None,
        truncate_dim: int | None = None,
        show_progress_bar: bool = False,
        write_csv: bool = True,
    ) -> None:
        super().__init__()
        self.dataset, self.fields, self.name = dataset, fields, name
        self.options = EvaluationOptions(splits=list(splits), subset=subset, k=k)
        main = _known(primary_metric)
        self.metrics = list(dict.fromkeys([main, *map(_known, metrics)]))
        self.prompts = {
            "query": {"prompt": query_prompt, "prompt_name": query_prompt_name},
            "document": {"prompt": corpus_prompt, "prompt_name": corpus_prompt_name},
        }
        self.encoding = {
            "batch_size": batch_size,
            "truncate_dim": truncate_dim,
            "show_progress_bar": show_progress_bar,
        }
        self.write_csv = write_csv
        self.primary_metric = f"{name}_{main}" if name else main
        self.results: Results | None = None

    def __call__(
        self,
        model: Any,
        output_path: str | None = None,
        epoch: float = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the metrics of a model.

        Args:
            model: a `SentenceTransformer`.
            output_path: the folder of the CSV file and the results; None: write none.
            epoch, steps: where training is, −1 outside.

        Raises:
            DataError: an embedding that is not finite.
        """
        self.results = evaluate(_Encoder(model, self), self.dataset, self.options)
        found = self._figures(self.results.splits)
        if output_path is not None and self.write_csv:
            self._write(Path(output_path), found, epoch, steps)
        found = dict(self.prefix_name_to_metrics(found, self.name))
        _LOGGER.info(
            "%s: %s %.4f", self.name or "dev", self.primary_metric, found[self.primary_metric]
        )
        self.store_metrics_in_model_card_data(model, found, epoch, steps)
        return found

    @property
    def per_query(self) -> pl.DataFrame:
        """The latest call's figures of each query: split, query_id and a column for each metric."""
        if self.results is None:
            raise DataError("nothing was evaluated yet", where=self.name or "evaluator")
        return self.results.queries

    def _figures(self, splits: Mapping[str, Mapping[str, Mean]]) -> dict[str, float]:
        found = {}
        if len(splits) > 1:
            for metric in self.metrics:
                values = [_number(means[metric].value) for means in splits.values()]
                found[metric] = float(np.mean(values))
        for split, means in splits.items():
            for metric in self.metrics:
                key, mean = metric if len(splits) == 1 else f"{split}_{metric}", means[metric]
                found[key] = _number(mean.value)
                if mean.low is not None and mean.high is not None:
                    found |= {f"{key}_low": mean.low, f"{key}_high": mean.high}
        return found

    def _write(self, folder: Path, found: Mapping[str, float], epoch: float, steps: int) -> None:
        assert self.results is not None
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"graded_retrieval_{self.name}" if self.name else "graded_retrieval"
        file = folder / f"{stem}.csv"
        new = not file.is_file()
        with file.open("a", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            if new:
                writer.writerow(["epoch", "steps", *found])
            writer.writerow([epoch, steps, *found.values()])
        self.results.save(folder / f"{stem}.json", overwrite=True)

    def get_config_dict(self) -> dict[str, Any]:
        """Return the settings, for the model card."""
        given = {f"{side}_{k}": v for side, p in self.prompts.items() for k, v in p.items() if v}
        return {"splits": self.options.splits, "k": self.options.k, **given}


class _Encoder:
    """A `SentenceTransformer` as evaluation takes models."""

    def __init__(self, model: Any, evaluator: GradedRetrievalEvaluator) -> None:
        self.model, self.evaluator = model, evaluator
        self.name = evaluator.name or "sentence-transformers"

    def embed_queries(
        self, _dataset: RankingDataset, queries: pl.DataFrame
    ) -> npt.NDArray[np.float32]:
        """Return the unit embeddings of queries."""
        field = self.evaluator.fields[0]
        return self._embed(self.model.encode_query, queries[field], "query")

    def embed_documents(
        self, _dataset: RankingDataset, documents: pl.DataFrame
    ) -> npt.NDArray[np.float32]:
        """Return the unit embeddings of documents."""
        field = self.evaluator.fields[1]
        return self._embed(self.model.encode_document, documents[field], "document")

    def _embed(self, encode: Any, texts: pl.Series, side: str) -> npt.NDArray[np.float32]:
        # A record without a text is not found and finds nothing: its embedding is 0.
        present = texts.fill_null("").str.strip_chars().str.len_chars().to_numpy() > 0
        evaluator = self.evaluator
        found = encode(
            texts.to_frame().filter(present).to_series().to_list(),
            normalize_embeddings=True,
            convert_to_numpy=True,
            **evaluator.prompts[side],
            **evaluator.encoding,
        )
        out = np.zeros((len(texts), found.shape[-1]), dtype=np.float32)
        out[present] = found
        return out


def _table(id_column: str, text_column: str, texts: Mapping[str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            id_column: pl.Series(list(texts), dtype=pl.String),
            text_column: pl.Series(list(texts.values()), dtype=pl.String),
        }
    )


def _text_field(fields: Sequence[Field], wanted: str | None, side: str) -> str:
    names = [field.name for field in fields if field.modality == "text"]
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted not in names:
        found = "none" if wanted is None else repr(wanted)
        raise DataError(
            f"expected one of the {side}'s text fields, {', '.join(names) or 'none'}; "
            f"found {found}",
            where=f"{side}_field",
            remedy=f"Name one: {side}_field={names[0]!r}." if names else "",
        )
    return wanted


def _known(metric: str) -> str:
    name = canonical_name(metric)
    if name not in STANDARD_METRICS:
        raise MetricError(
            f"expected one of {', '.join(STANDARD_METRICS)}, found {metric!r}",
            where="metrics of the evaluator",
        )
    return name


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
