"""A data set as pairs, triplets or scored pairs for sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl

from rankfield.errors import DataError
from rankfield.field_values import is_absent
from rankfield.files import new_folder
from rankfield.formats.exports import lost_columns, text_field, write_record
from rankfield.schema import Field, RankingDataset

__all__ = ["write_sentence_transformers"]


def write_sentence_transformers(
    dataset: RankingDataset,
    out: str | Path,
    *,
    kind: Literal["scored", "pairs", "triplets"] = "scored",
    negatives: int = 1,
    relevant: float | None = None,
    rescale: bool = True,
    ending: Literal["parquet", "csv", "jsonl"] = "parquet",
) -> list[str]:
    """Write a folder with train, and of a split data set with dev and test too.

    Train has the judgments of in_domain, dev and test those of novel_query by their queries'
    subset. Without splits dev and test have those of their queries, and train all others. A query
    and a document are their text fields, joined by a blank.

    Args:
        dataset: any with text fields on both sides.
        out: the folder to make.
        kind: "scored" writes sentence1, sentence2 and score; "pairs" anchor and positive;
            "triplets" anchor, positive and negative (negative_1, negative_2, … of several): each
            positive with the next negatives of its query, the highest scores first, in turn.
        negatives: for each positive of "triplets", at least 1.
        relevant: scores from here on are positive, others negative; the scale's by default.
        rescale: write the place on the scale (`ScoreScale.place`), 0 to 1, as the library's losses
            expect; else the score itself.
        ending: of the files.

    Returns:
        What is left out, one per line.

    Raises:
        DataError: no text field, or nothing to write, as for triplets without a negative.
        OutputError: `out` exists or cannot be written; nothing is left there.
    """
    if negatives < 1:
        raise DataError(
            "expected at least 1", where="negatives", remedy="Write --option negatives=1."
        )
    notes = _lost(dataset)
    limit = dataset.score_scale.relevant if relevant is None else relevant
    texts = _texts(dataset)
    files = {}
    for name, rows in _parts(dataset, notes).items():
        table = rows.join(texts[0], on="query_id", maintain_order="left")
        table = table.join(texts[1], on="doc_id", maintain_order="left")
        if kind == "scored":
            files[name] = _scored(dataset, table, rescale)
        elif kind == "pairs":
            files[name] = table.filter(pl.col("score") >= limit).select("anchor", "positive")
        else:
            files[name] = _triplets(table, limit, negatives)
    files = {name: frame for name, frame in files.items() if not frame.is_empty()}
    if "train" not in files:
        raise DataError(
            f"no judgment would be among the training {kind}: positives have a score of {limit:g}"
            " or more" + (", negatives less" if kind == "triplets" else ""),
            where=dataset.name,
            remedy="Choose another limit with --option relevant=SCORE, or another kind.",
        )
    if kind != "scored":
        notes.append(f"scores: only whether they are {limit:g} or more")
    with new_folder(out) as folder:
        for name, frame in files.items():
            _write(frame, folder / f"{name}.{ending}")
        settings = {"negatives": negatives, "relevant": limit, "rescale": rescale}
        name = "sentence-transformers"
        write_record(folder, dataset, name, kind=kind, **settings, ending=ending)
    return notes


def _write(frame: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".csv":
        frame.write_csv(path, quote_style="non_numeric")
    else:
        frame.write_ndjson(path)


def _parts(dataset: RankingDataset, notes: list[str]) -> dict[str, pl.DataFrame]:
    rows = dataset.judgments
    parts = {"train": dataset.training_judgments()}
    novel = rows.filter(pl.col("split") == "novel_query") if dataset.is_split else rows
    if dataset.has_subsets:
        novel = novel.join(dataset.queries.select("query_id", "subset"), on="query_id")
        parts |= {part: novel.filter(pl.col("subset") == part) for part in ("dev", "test")}
    written = sum(part.height for part in parts.values())
    if written < rows.height:
        notes.append(
            f"judgments: {rows.height - written:,} left out, of novel_document, zero_shot and"
            " queries in neither dev nor test"
        )
    return {name: part.select("query_id", "doc_id", "score") for name, part in parts.items()}


def _texts(dataset: RankingDataset) -> tuple[pl.DataFrame, pl.DataFrame]:
    return (
        dataset.queries.select("query_id", _joined(dataset.query_fields, "anchor")),
        dataset.documents.select("doc_id", _joined(dataset.document_fields, "positive")),
    )


def _joined(fields: tuple[Field, ...], name: str) -> pl.Expr:
    names = [f.name for f in fields if f.modality == "text"]
    present = [pl.when(~is_absent(n, pl.String())).then(pl.col(n)) for n in names]
    return pl.concat_str(present, separator=" ", ignore_nulls=True).alias(name)


def _scored(dataset: RankingDataset, table: pl.DataFrame, rescale: bool) -> pl.DataFrame:
    score = pl.col("score")
    if rescale:
        score = dataset.score_scale.place(score)
    return table.select(
        pl.col("anchor").alias("sentence1"), pl.col("positive").alias("sentence2"), score
    )


def _triplets(table: pl.DataFrame, limit: float, negatives: int) -> pl.DataFrame:
    """Return each positive with `negatives` of its query's negatives, in turn."""
    ordered = table.sort("score", descending=True, maintain_order=True)
    below = ordered.filter(pl.col("score") < limit).select(
        "query_id",
        negative="positive",
        place=pl.int_range(pl.len()).over("query_id"),
        count=pl.len().over("query_id"),
    )
    counts = below.select("query_id", "count").unique(maintain_order=True)
    rows = table.filter(pl.col("score") >= limit)
    rows = rows.with_columns(turn=pl.int_range(pl.len()).over("query_id"))
    rows = rows.join(counts, on="query_id", maintain_order="left")
    for slot in range(negatives):
        name = "negative" if negatives == 1 else f"negative_{slot + 1}"
        place = (pl.col("turn") * negatives + slot) % pl.col("count").cast(pl.Int64)
        rows = rows.with_columns(place=place).join(
            below.select("query_id", "place", pl.col("negative").alias(name)),
            on=["query_id", "place"],
            maintain_order="left",
        )
    return rows.select("anchor", "positive", pl.col("^negative.*$"))


def _lost(dataset: RankingDataset) -> list[str]:
    notes, kept = ["not in the layout: ids"], {}
    for table, identity in (("queries", "query_id"), ("documents", "doc_id")):
        text_field(dataset, table)
        texts = [f.name for f in dataset.fields(table) if f.modality == "text"]
        if len(texts) > 1:
            notes.append(f"{table}: {', '.join(texts)} are joined to one text")
        kept[table] = [identity, *texts, "seen", "subset"]
    lost_columns(dataset, kept, notes)
    return notes
