"""A split data set in the layout of the Marqo-GS archive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import polars as pl

from rankfield.files import new_folder
from rankfield.formats.exports import pair_notes, write_record
from rankfield.formats.image_files import with_image_files
from rankfield.formats.marqo_gs.pairs import SIDES, require_split, score_column, with_free_columns
from rankfield.io.numbers import number_texts
from rankfield.schema import RankingDataset

__all__ = ["write_marqo_gs"]

_CHUNK = 50_000
_SIDES = ("seen_documents_subset", "unseen_documents_subset")


def write_marqo_gs(dataset: RankingDataset, out: str | Path) -> list[str]:
    """Write a split data set as CSV triplets, corpora and ground truth, with its images.

    The first text field of the queries becomes `query`, the document's id `product_id`; fields keep
    their names. Images held as bytes become files. The score stands in the first
    of `score_linear` (1 to 100), `score_reciprocal` (0 to 1) and `score` that the judgments do not
    have already and whose scale holds all scores. The ground
    truth's scores are whole numbers from 1 to 100 as the published evaluation makes them:
    ⌊99 (s − min) / (max − min) + 1⌋ over the split, or the scores themselves if they are such.

    Args:
        dataset: split, as by `rankfield split`.
        out: the folder to make.

    Returns:
        What the layout cannot hold, one per line.

    Raises:
        SplitError: the data set has no splits.
        DataError: the queries have no text field, or a record several images in one field.
        ImageError: an image is missing.
        OutputError: `out` exists or cannot be written; nothing is left there.
    """
    require_split(dataset, "marqo-gs")
    notes = pair_notes(dataset, queries=("seen", "subset", *_SIDES))
    dataset = with_free_columns(dataset, notes)
    notes.append(f"judgments: the score is the column {score_column(dataset.judgments)!r}")
    with new_folder(out) as folder:
        documents = _as_json(with_image_files(dataset, folder), notes)
        for seen in (True, False):
            corpus = documents.filter(pl.col("seen") == seen).drop("seen")
            with (folder / f"corpus_{1 if seen else 2}.json").open("w", encoding="utf-8") as file:
                _write_object(file, _corpus(corpus))
        for split, (query_seen, document_seen) in SIDES.items():
            rows = dataset.judgments.filter(pl.col("split") == split)
            stem = f"query_{int(not query_seen)}_product_id_{int(not document_seen)}"
            if rows.is_empty():
                notes.append(f"judgments: none in {split}; {stem}.csv is not written")
                continue
            _write_pairs(dataset, rows, documents, folder / f"{stem}.csv")
            for subset in ("dev", "test"):
                path = folder / f"{stem}_gt_{subset}.json"
                with path.open("w", encoding="utf-8") as file:
                    _write_object(file, _truth(dataset, rows, subset, document_seen))
        write_record(folder, dataset, "marqo-gs")
    return notes


def _write_pairs(
    dataset: RankingDataset, rows: pl.DataFrame, documents: pl.DataFrame, path: Path
) -> None:
    text = next(f.name for f in dataset.query_fields if f.modality == "text")
    names = [f.name for f in dataset.document_fields]
    queries = dataset.queries.select("query_id", query=text)
    table = rows.join(queries, on="query_id", how="left", maintain_order="left")
    fields = documents.select("doc_id", *names)
    table = table.join(fields, on="doc_id", how="left", maintain_order="left")
    further = [c for c in rows.columns if c not in ("query_id", "doc_id", "score", "split")]
    table.select(
        "query",
        pl.col("doc_id").alias("product_id"),
        *names,
        *further,
        number_texts("score").alias(score_column(dataset.judgments)),
        "query_id",
    ).write_csv(path, quote_style="non_numeric")


def _as_json(documents: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Return the documents with what JSON can hold: no bytes, times as text, NaN as nothing."""
    data = [name for name, dtype in documents.schema.items() if dtype == pl.Binary]
    if data:
        notes.append(f"documents: the layout has no place for the bytes of {', '.join(data)}")
    return documents.drop(data).with_columns(
        pl.col(column.name).cast(pl.String)
        if column.dtype.is_temporal()
        else pl.when(pl.col(column.name).is_finite()).then(pl.col(column.name))
        for column in documents.drop(data)
        if column.dtype.is_temporal() or column.dtype.is_float()
    )


def _corpus(documents: pl.DataFrame) -> Iterator[tuple[str, Any]]:
    for start in range(0, documents.height, _CHUNK):
        for record in documents.slice(start, _CHUNK).to_dicts():
            yield record.pop("doc_id"), record


def _truth(
    dataset: RankingDataset, rows: pl.DataFrame, subset: str, document_seen: bool
) -> Iterator[tuple[str, Any]]:
    """Yield the query's text (its id where texts repeat) and its products' grades."""
    text = next(f.name for f in dataset.query_fields if f.modality == "text")
    exact = _SIDES[0] if document_seen else _SIDES[1]
    column = exact if exact in dataset.queries.columns else "subset"
    distinct = dataset.queries[text].n_unique() == dataset.queries.height
    chosen = dataset.queries.filter(pl.col(column) == subset)
    names = chosen.select("query_id", key=text if distinct else "query_id")
    low, high = rows["score"].min(), rows["score"].max()
    grades = pl.col("score")
    if not (rows["score"] == rows["score"].clip(1, 100).round()).all():
        grades = (grades - low) / max(high - low, 1e-300) * 99 + 1  # type: ignore[operator]
    pairs = rows.select("query_id", "doc_id", "score")
    table = pairs.join(names, on="query_id", how="inner", maintain_order="left").select(
        "key", "doc_id", grade=grades.floor().cast(pl.Int64)
    )
    for key, part in table.group_by("key", maintain_order=True):
        best = part.sort("grade", descending=True, maintain_order=True)
        yield str(key[0]), dict(zip(best["doc_id"], best["grade"], strict=True))


def _write_object(file: IO[str], entries: Iterator[tuple[str, Any]]) -> None:
    divider = "{"
    for key, value in entries:
        file.write(f"{divider}{json.dumps(key, ensure_ascii=False)}: ")
        file.write(json.dumps(value, ensure_ascii=False, allow_nan=False))
        divider = ",\n"
    file.write("}\n" if divider != "{" else "{}\n")
