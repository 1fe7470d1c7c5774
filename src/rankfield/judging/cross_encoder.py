"""A cross-encoder of sentence-transformers scores pairs, resumable to the batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from rankfield.curation.texts import joined_text
from rankfield.errors import InputError, ModelError
from rankfield.extras import needs_extra
from rankfield.judging.record import (
    JOURNAL,
    finish,
    finished_before,
    human_agreement,
    judging_folder,
)
from rankfield.messages import first_line
from rankfield.progress import progress
from rankfield.schema import RankingDataset
from rankfield.web import Journal

__all__ = ["score_pairs"]

_CHUNK = 256


def score_pairs(
    dataset: RankingDataset,
    pairs: pl.DataFrame,
    model: str,
    out: str | Path,
    *,
    batch_size: int = 32,
    device: str | None = None,
    human: pl.DataFrame | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Score `pairs` with a cross-encoder, write the folder `out`, and return its judge.json.

    The texts are the text fields of query and document, joined by a space; images are not seen.
    ``judgments.parquet`` has ``query_id``, ``doc_id`` and ``score``, on the model's own scale.
    Scores of each 256 pairs are kept in ``OUT.partial``: the same call goes on after a kill.

    Args:
        dataset: texts of the pairs.
        pairs: ``query_id``, ``doc_id``.
        model: a folder, or a name on the hub.
        human: ``query_id``, ``doc_id``, ``score`` of people, to compare with.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        ModelError: no such model, or one with more than one score for a pair.
        OutputError: `out` exists, or cannot be written.
    """
    target = Path(out)
    asked = {"cross_encoder": model, "pairs": pairs.height}
    if (before := finished_before(target, dataset, asked)) is not None:
        return before
    texts = _texts(dataset, pairs)
    encoder = _load(model, device)
    with judging_folder(target) as work:
        with Journal(work.path / JOURNAL, opener=work.opener) as journal:
            scores = _all_scores(encoder, texts, journal, model=model, batch_size=batch_size)
        judgments = pairs.with_columns(score=pl.Series(scores, dtype=pl.Float64))
        given = None if human is None else human_agreement(judgments, human, None)
        record = asked | {"judged": judgments.height, "agreement_with_human": given}
        report(f"scores {min(scores):.3g} to {max(scores):.3g}")
        finish(target, work, dataset=dataset, judgments=judgments, votes=None, record=record)
        work.remove()
    return record


def _texts(dataset: RankingDataset, pairs: pl.DataFrame) -> list[tuple[str, str]]:
    for table in ("queries", "documents"):
        if not any(f.modality == "text" for f in dataset.fields(table)):
            raise InputError(
                f"a cross-encoder reads texts, but the {table} have no text field",
                where=dataset.name,
                remedy="Judge them with a language model that sees images.",
            )
    queries = dataset.queries.select("query_id").with_columns(
        left=joined_text(dataset.queries, dataset.query_fields)
    )
    documents = dataset.documents.select("doc_id").with_columns(
        right=joined_text(dataset.documents, dataset.document_fields)
    )
    joined = pairs.join(queries, on="query_id", how="left", maintain_order="left").join(
        documents, on="doc_id", how="left", maintain_order="left"
    )
    return joined.select("left", "right").rows()


def _load(model: str, device: str | None) -> Any:
    from rankfield.encoders.pretrained import no_pickles, require_plain_files
    from rankfield.encoders.quiet import quiet_transformers

    require_plain_files(model)
    missing = "sentence-transformers is not installed"
    with needs_extra("sentence-transformers", missing, "--cross-encoder"):
        from sentence_transformers import CrossEncoder
    try:
        with quiet_transformers(), no_pickles():
            encoder = CrossEncoder(
                model,
                device=device,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
    except Exception as error:  # whatever a foreign or damaged folder raises in the libraries
        raise ModelError(
            f"not a usable cross-encoder ({first_line(error)})", where=model
        ) from error
    if (labels := encoder.num_labels) != 1:
        raise ModelError(
            f"expected one score a pair, found {labels}",
            where=model,
            remedy="Take a cross-encoder with one label.",
        )
    return encoder


def _all_scores(
    encoder: Any,
    texts: list[tuple[str, str]],
    journal: Journal,
    *,
    model: str,
    batch_size: int,
) -> list[float]:
    scores: list[float] = []
    with progress("score", len(texts), unit="pairs") as advance:
        for start in range(0, len(texts), _CHUNK):
            chunk = texts[start : start + _CHUNK]
            key = _key(model, chunk)
            if key not in journal:
                journal.put(key, _scores(encoder, chunk, model, batch_size))
            scores += journal.read(key, partial(_numbers, len(chunk))) or []
            advance(len(chunk))
    return scores


def _numbers(count: int, value: Any) -> list[float]:
    """Return the scores that the journal holds for `count` pairs."""
    scores = [float(score) for score in value]
    if len(scores) != count or not np.isfinite(scores).all():
        raise ValueError("expected a finite number for each pair")
    return scores


def _key(model: str, chunk: list[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps([model, chunk], ensure_ascii=False).encode()).hexdigest()


def _scores(encoder: Any, chunk: list[tuple[str, str]], model: str, batch_size: int) -> list[float]:
    scores = np.asarray(
        encoder.predict(chunk, batch_size=batch_size, show_progress_bar=False), dtype=np.float64
    )
    if not np.isfinite(scores).all():
        raise ModelError("the model gives scores that are not finite", where=model)
    return [float(score) for score in scores]
