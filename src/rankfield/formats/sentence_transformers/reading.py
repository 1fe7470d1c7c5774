"""The training data of sentence-transformers: pairs, triplets, scored pairs and labelled lists.

The library goes by the order of the columns: first the query (anchor), then the document
(positive), then negatives. Only the label's name counts: label, labels, score or scores. Files are
Parquet, CSV, JSON Lines or a data set saved by `datasets`.
https://sbert.net/docs/sentence_transformer/dataset_overview.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from rankfield.column_names import find_column, normalised_name, quoted_names
from rankfield.errors import DataError
from rankfield.field_values import is_absent
from rankfield.formats.checks import (
    BadImages,
    best_of_pairs,
    check_images,
    require_columns,
    require_values,
    require_within,
)
from rankfield.formats.guesses import guess_scale
from rankfield.formats.hugging_face.folders import find_parts, read_parts
from rankfield.formats.published_splits import split_by_queries
from rankfield.formats.sentence_transformers.input_examples import examples_apart
from rankfield.formats.sentence_transformers.writing import write_sentence_transformers
from rankfield.io.numbers import finite_numbers
from rankfield.io.table import Table
from rankfield.io.tables import file_columns
from rankfield.io.text_values import require_texts
from rankfield.schema import Field, Modality, Provenance, RankingDataset, ScoreScale

__all__ = [
    "looks_like_sentence_transformers",
    "read_sentence_transformers",
    "write_sentence_transformers",
]

_LABELS = ("label", "labels", "score", "scores")
_SIGNS = (
    {"texts", "label"},
    {"anchor", "positive"},
    {"sentence1", "sentence2"},
    {"sentence_a", "sentence_b"},
)
_PART, _ROW = "\0part", "\0row"
_OFF_SCALE = (
    "Fix the score, or --score-min and --score-max; without --score-min, scores of 0 and below may"
    " stand there and gain nothing."
)


def looks_like_sentence_transformers(src: Path) -> str | None:
    """Return why `src` looks like this layout, or None."""
    try:
        files = [paths[0] for paths in find_parts(src).values()]
        columns = set(map(normalised_name, file_columns(files[0], sample=True)))
    except DataError:
        return None
    found = next((signs for signs in _SIGNS if signs <= columns), None)
    return f"{files[0].name} has columns {' and '.join(sorted(found))}" if found else None


def read_sentence_transformers(
    src: str | Path,
    *,
    name: str | None = None,
    columns: Sequence[str] | None = None,
    label: str | None = None,
    score_min: float | None = None,
    score_max: float | None = None,
    relevant: float | None = None,
    held_out: float = 0.0,
    licence: str = "",
    bad_images: BadImages = "ignore",
) -> tuple[RankingDataset, list[str]]:
    """Read pairs, triplets, n-tuples, scored pairs, labelled lists or examples; write nothing.

    A positive has score 1, a negative 0; a label is the score itself. Equal texts are one query or
    document: q0, q1, …; d0, d1, … in the order of the file. Of a repeated pair the highest score
    counts. Files named train, dev and test split the data set by its queries, if no query is in
    two of them.

    Args:
        src: a file or a folder, as `hub_folders.find_parts` takes them.
        name: of the data set; the file's or folder's name by default.
        columns: query, document and negatives, in this order; all but the label by default.
        label: the column with the score; by default the first of label, labels, score, scores.
        score_min, score_max: the scale's ends. By default 0 and 1 where all scores lie there, else
            the data's.
        relevant: scores from here on are relevant; by default 1 for pairs and triplets, else the
            middle of the scale.
        held_out: fraction of the train queries that become dev where there is a test file and no
            dev file, in [0, 1).
        licence: for the provenance.
        bad_images: of images in place of texts; "ignore" opens none, "error" stops at a bad one,
            "drop" clears it.

    Returns:
        The data set and, one per line, what was guessed or left out.

    Raises:
        DataError: a broken file, fewer than two columns, an empty text, a label that is no finite
            number or of another length than its documents; with file and row.
    """
    path = Path(src)
    parts = find_parts(path)
    table, left_out = examples_apart(read_parts(parts, _PART))
    names = [c for c in table.frame.columns if c != _PART]
    chosen = label or find_column(names, _LABELS, where=str(path))
    inputs = list(columns or [c for c in names if c != chosen])
    file = table.path
    require_columns(file, names, [*inputs, *([chosen] if chosen else [])])
    if len(inputs) < 2:
        raise DataError(
            f"expected columns with queries and documents, found {', '.join(names)}",
            where=str(file),
            remedy="Name them in order with --column, and the label with --label.",
        )
    notes = [f"columns: {inputs[0]!r} is the query, {quoted_names(inputs[1:])} the documents"]
    notes += left_out
    require_values(table, inputs[0])
    if chosen and _is_margin(table.frame, inputs, chosen):
        notes.append(f"column {chosen!r}: not kept; of triplets it is a margin, not a score")
        chosen = None
    rows = _judged(table, inputs, chosen)
    given = chosen is not None
    scale = _scale(rows.frame["score"], given, score_min, score_max, relevant)
    require_within(rows, chosen or inputs[1], rows.frame["score"], scale, _OFF_SCALE)
    if given:
        notes.append(f"score scale: {scale}; set it with --score-min, --score-max, --relevant")
    dataset, of_parts = _assemble(rows.frame, scale, notes)
    dataset.name = name or path.resolve().stem
    dataset.provenance = Provenance(
        source=", ".join(dict.fromkeys(file.name for paths in parts.values() for file in paths)),
        licence=licence,
        made_by="rankfield import sentence-transformers",
    )
    dataset, cleared = check_images(dataset, bad_images)
    return split_by_queries(dataset, of_parts, held_out=held_out, notes=notes), notes + cleared


def _is_margin(frame: pl.DataFrame, inputs: list[str], label: str) -> bool:
    """Return whether the label of a triplet is one number, which belongs to no document."""
    return len(inputs) > 2 and not isinstance(frame.schema[label], pl.List)


def _judged(table: Table, inputs: list[str], label: str | None) -> Table:
    """Return query, document, score and part: a row for each document of each row."""
    frame = table.frame.with_row_index(_ROW)
    lists = [name for name in inputs[1:] if isinstance(frame.schema[name], pl.List)]
    if lists and (label is not None or len(inputs) == 2):
        return _of_lists(table, frame, inputs, label)
    for name in inputs:
        dtype: Any = frame.schema[name]
        dtype = dtype.inner if name in lists else dtype
        if dtype not in (pl.String, pl.Binary):
            raise DataError(
                f"expected texts or the bytes of images, found {frame.schema[name]}",
                where=f"{table.path}, column {name!r}",
                remedy="Name the columns in order with --column, and the label with --label.",
            )
        if dtype == pl.String and name not in lists:
            require_texts(frame.lazy(), {name: dtype}, table.where)
    if lists:
        return _of_positives(table, frame, inputs)
    require_values(table, inputs[1])
    labels = None
    if label is not None and isinstance(frame.schema[label], pl.List):
        labels = pl.col(label).list
        _require_lengths(table, label, labels.len() == len(inputs) - 1)
    elif label is not None:
        frame = frame.with_columns(finite_numbers(table, label).alias("score"))
        return _placed(table, frame.select(_ROW, *_renamed(inputs[0], inputs[1]), "score"))
    columns = []
    for place, name in enumerate(inputs[1:]):
        score = pl.lit(1.0 if place == 0 else 0.0) if labels is None else labels.get(place)
        part = frame.select(_ROW, *_renamed(inputs[0], name), score.alias("score"))
        columns.append(part.filter(pl.col("document").cast(pl.Binary).bin.size() > 0))
    rows = pl.concat(columns).sort(_ROW, maintain_order=True)
    placed = _placed(table, rows)
    return placed.with_columns(score=finite_numbers(placed, "score"))


def _of_positives(table: Table, frame: pl.DataFrame, inputs: list[str]) -> Table:
    """Return a row for each document of lists, score 1 in the first column, 0 in the others."""
    columns = []
    for place, name in enumerate(inputs[1:]):
        part = frame.select(
            _ROW, *_renamed(inputs[0], name), pl.lit(0.0 if place else 1.0).alias("score")
        )
        if isinstance(part.schema["document"], pl.List):
            part = part.filter(pl.col("document").list.len() > 0).explode("document")
        columns.append(part.filter(~is_absent("document", part.schema["document"])))
    rows = pl.concat(columns).sort(_ROW, maintain_order=True)
    positive = frame[_ROW].is_in(rows.filter(score=1.0)[_ROW].implode())
    table.refuse(
        inputs[1],
        ~positive,
        "expected at least one document, found none",
        "Fill it in, or remove the row.",
    )
    return _placed(table, rows)


def _of_lists(table: Table, frame: pl.DataFrame, inputs: list[str], label: str | None) -> Table:
    if len(inputs) > 2 or label is None or not isinstance(frame.schema[label], pl.List):
        raise DataError(
            "expected a query, a list of documents and a list of labels",
            where=f"{table.path}, column {inputs[1]!r}",
            remedy="Name the columns in order with --column, and the labels with --label.",
        )
    documents, labels = pl.col(inputs[1]).list, pl.col(label).list
    _require_lengths(table, label, (documents.len() == labels.len()) & (documents.len() > 0))
    rows = frame.select(_ROW, *_renamed(*inputs), pl.col(label).alias("score"))
    placed = _placed(table, rows.explode("document", "score", empty_as_null=False))
    require_values(placed, "document")
    return placed.with_columns(score=finite_numbers(placed, "score"))


def _require_lengths(table: Table, label: str, fits: pl.Expr) -> None:
    bad = ~table.frame.select(fits.fill_null(False)).to_series()
    table.refuse(
        label,
        bad,
        "expected as many labels as documents, and at least one",
        "Fix or remove the row.",
    )


def _renamed(query: str, document: str) -> list[pl.Expr]:
    return [
        pl.col(query).alias("query"),
        pl.col(document).alias("document"),
        pl.col(_PART).alias("part"),
    ]


def _placed(table: Table, rows: pl.DataFrame) -> Table:
    return table.taken(rows.drop(_ROW), rows[_ROW])


def _scale(
    scores: pl.Series,
    given: bool,
    minimum: float | None,
    maximum: float | None,
    relevant: float | None,
) -> ScoreScale:
    if maximum is None and float(scores.min()) >= 0 and float(scores.max()) <= 1:  # type: ignore[arg-type]
        maximum = 1.0
    scale = guess_scale(scores, minimum=minimum, maximum=maximum, relevant=relevant)
    meaning = "label of sentence-transformers" if given else "1 = positive, 0 = negative"
    if relevant is None and scale.span:
        binary = not given or set(scores.unique()) <= {scale.minimum, scale.maximum}
        middle = scale.maximum if binary else (scale.floor + scale.maximum) / 2
        scale = replace(scale, relevant=middle)
    return replace(scale, meaning=meaning)


def _assemble(
    rows: pl.DataFrame, scale: ScoreScale, notes: list[str]
) -> tuple[RankingDataset, pl.DataFrame]:
    """Return the data set with an id for each distinct text, and the part of each judgment."""
    tables = {}
    for kind, sign, identity in (("query", "q", "query_id"), ("document", "d", "doc_id")):
        distinct = rows.select(kind).unique(maintain_order=True).with_row_index(identity)
        tables[kind] = distinct.with_columns(pl.format(sign + "{}", identity).alias(identity))
        rows = rows.join(tables[kind], on=kind, how="left", maintain_order="left")
    judged = best_of_pairs(rows.select("query_id", "doc_id", "score", "part"), notes)
    dataset = RankingDataset(
        name="pairs",
        query_fields=(Field("query", _modality(tables["query"], "query")),),
        document_fields=(Field("document", _modality(tables["document"], "document")),),
        score_scale=scale,
        queries=tables["query"],
        documents=tables["document"],
        judgments=judged.drop("part"),
    )
    return dataset, judged.select("query_id", "doc_id", "part")


def _modality(table: pl.DataFrame, name: str) -> Modality:
    return "image" if table.schema[name] == pl.Binary else "text"
