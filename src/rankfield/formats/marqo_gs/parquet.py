"""Marqo-GS as on Hugging Face: Parquet with one row a pair, images as bytes.

Columns image, query, product_id, position, title, pair_id, score_linear, score_reciprocal,
no_score, query_id; splits in_domain, novel_document, novel_query, zero_shot, in files such as
`data/in_domain-00000-of-00500.parquet` (https://huggingface.co/datasets/Marqo/marqo-GS-10M).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from rankfield.errors import DataError
from rankfield.files import new_folder
from rankfield.formats.checks import BadImages, check_images, require_columns
from rankfield.formats.describing_columns import differing_records, first_value_note
from rankfield.formats.exports import pair_notes, text_field, write_record
from rankfield.formats.foreign_columns import set_aside
from rankfield.formats.hugging_face.folders import find_parts
from rankfield.formats.hugging_face.writing import ParquetRows, hub_card
from rankfield.formats.image_files import image_bytes
from rankfield.formats.layout import BAD_IMAGES, DOCUMENT_FIELD, NAME, PUBLISHED_LICENCE, Layout
from rankfield.formats.marqo_gs.pairs import (
    DEV,
    LICENCE,
    PAIR_NAMES,
    SCORE,
    SIDES,
    MarqoPairs,
    assemble,
    chosen_score,
    document_fields_of,
    require_split,
    score_column,
    with_free_columns,
)
from rankfield.io.arrow import arrow_batches
from rankfield.io.table import Table, stack
from rankfield.io.tables import file_columns, read_files
from rankfield.schema import Field, Provenance, RankingDataset

__all__ = [
    "LAYOUT",
    "looks_like_marqo_gs_parquet",
    "read_marqo_gs_parquet",
    "write_marqo_gs_parquet",
]

_FIELDS = {"image": Field("image", "image", 0.9), "title": Field("title", "text", 0.1)}
_ROWS = 1000


def looks_like_marqo_gs_parquet(src: Path) -> str | None:
    """Return why `src` looks like this layout, or None."""
    try:
        parts = find_parts(src) if src.is_dir() else {}
        files = parts.get("in_domain", [])
        if files and {"query", "product_id"} <= set(file_columns(files[0], sample=True)):
            return "it holds files of the split in_domain with columns query and product_id"
    except DataError:
        pass
    return None


def read_marqo_gs_parquet(
    src: str | Path,
    *,
    name: str | None = None,
    score: str | None = None,
    document_fields: Sequence[Field | str] | None = None,
    dev: float = 0.5,
    licence: str = LICENCE,
    bad_images: BadImages = "ignore",
) -> tuple[RankingDataset, list[str]]:
    """Read the Parquet layout, or one that `datasets` saved, with its splits; write nothing.

    As `marqo_gs.read_marqo_gs`, but the products come from the pairs (the first row of each counts)
    and images stay bytes. There is no ground truth: dev and test are drawn by a hash of the
    query's text. Files are read in batches, and an image once for each product: memory is that of
    the result. Without images (`document_fields=["title:text"]`) their column is not read at all.

    Args:
        src: the folder; in_domain must be there, a split that is missing is left out with a note.
        name: of the data set; the folder's name by default.
        score: the score's column, with the default and the scales of `read_marqo_gs`.
        document_fields: each a `Field` or text "NAME[:MODALITY[:WEIGHT]]"; image 0.9 and title 0.1
            by default. These columns belong to the products, all others to the pairs.
        dev: fraction of the queries in "dev", in (0, 1).
        licence: for the provenance.
        bad_images: "ignore" opens no image; "error" stops at a bad one; "drop" clears it.

    Returns:
        The data set and, one per line, what was guessed or left out.

    Raises:
        DataError: no files, one that is missing, broken or cut off, a missing column, an empty text
            or id, a score that is not finite or off its scale; with file and row.
        ImageError: a bad image, if `bad_images` is "error".
    """
    folder = Path(src)
    notes: list[str] = []
    found = find_parts(folder)
    parts = {split: found[split] for split in SIDES if split in found}
    if "in_domain" not in parts:
        raise DataError(
            f"expected files of the split in_domain, found {', '.join(found)}",
            where=str(folder),
            remedy="Name the folder that holds them, or import it as huggingface.",
        )
    if missing := [split for split in SIDES if split not in parts]:
        notes.append(f"splits: no files of {', '.join(missing)}")
    names = [f.name if isinstance(f, Field) else f.partition(":")[0] for f in document_fields or ()]
    described = names or list(_FIELDS)
    score = score or chosen_score(file_columns(parts["in_domain"][0]))
    tables = [_read_pairs(paths, split, described, score, notes) for split, paths in parts.items()]
    pairs = stack(tables)
    files = [path for paths in parts.values() for path in paths]
    documents = _read_documents(files, pairs, described, notes)
    fields = document_fields_of(documents, folder, document_fields, _FIELDS, notes)
    dataset = assemble(
        MarqoPairs(pairs, documents, score, None, notes),
        name=name or folder.resolve().name,
        document_fields=fields,
        dev=dev,
        provenance=Provenance(
            source=f"{len(files)} files of {', '.join(parts)}",
            licence=licence,
            made_by="rankfield import marqo-gs-parquet",
        ),
        root=folder,
    )
    dataset, cleared = check_images(dataset, bad_images)
    return dataset, notes + cleared


def _read_pairs(
    paths: list[Path], split: str, described: list[str], score: str, notes: list[str]
) -> Table:
    """Return a split's pairs and sides, without the columns that describe the products."""
    columns = file_columns(paths[0])
    for path in paths:
        require_columns(path, file_columns(path), ("query", "product_id", score))
    left_out = {*_FIELDS, *described} - {"query", "product_id", score}
    table = read_files(paths, [c for c in columns if c not in left_out])
    table = set_aside(table, PAIR_NAMES - {score}, "judgments", notes)
    query_seen, document_seen = SIDES[split]
    sides = table.frame.with_columns(
        query_seen=pl.lit(query_seen), document_seen=pl.lit(document_seen)
    )
    return table.with_frame(sides)


def _read_documents(
    files: list[Path], pairs: Table, described: list[str], notes: list[str]
) -> pl.DataFrame:
    """Return the products, each as its first row describes it: seen ones come first."""
    first = pairs.frame["product_id"].is_first_distinct()
    frames, texts, start = [], [], 0
    for path in files:
        for batch in arrow_batches(path, ["product_id", *described]):
            plain = [n for n, t in batch.schema.items() if t != pl.Binary and not t.is_nested()]
            texts.append(batch.select(plain).unique(maintain_order=True))
            rows = first.slice(start, batch.height)
            start += batch.height
            if rows.any():
                frames.append(batch.filter(rows))
    documents = pl.concat(frames, how="diagonal_relaxed")
    _note_others(pl.concat(texts, how="diagonal_relaxed"), notes)
    key = pl.col("product_id").cast(pl.String).alias("doc_id")
    seen = pairs.frame.filter(first)["document_seen"].alias("seen")
    return documents.select(key, pl.exclude("product_id"), seen)


def _note_others(texts: pl.DataFrame, notes: list[str]) -> None:
    """Note the columns in which a product's rows differ, of which the first counts."""
    for name in texts.columns:
        found = differing_records(texts, "product_id", name)
        if name != "product_id" and found.row is not None:
            where = f"product_id {texts['product_id'][found.row]!r}"
            notes.append(first_value_note(found, name, "documents", where))


def write_marqo_gs_parquet(dataset: RankingDataset, out: str | Path) -> list[str]:
    """Write a split data set as Parquet with images as bytes, which `load_dataset` reads.

    The first text field of the queries becomes `query`, the first image field of the documents
    `image`, the document's id `product_id`; other fields keep their names. The score stands in
    `score_linear`, `score_reciprocal` or `score`, as in the archive.

    Args:
        dataset: split, as by `rankfield split`.
        out: the folder to make, with `data/SPLIT-00000-of-00001.parquet` and a card.

    Returns:
        What the layout cannot hold, one per line.

    Raises:
        SplitError: the data set has no splits.
        DataError: the queries have no text field.
        ImageError: an image is missing.
        OutputError: `out` exists or cannot be written; nothing is left there.
    """
    require_split(dataset, "marqo-gs-parquet")
    fields = [f.name for f in dataset.document_fields]
    notes = pair_notes(dataset, queries=("seen",), documents=("seen", *fields))
    judged = dataset.judgments["doc_id"].unique().implode()
    if unjudged := int((~dataset.documents["doc_id"].is_in(judged)).sum()):
        notes.append(f"documents: {unjudged:,} without a judgment are left out")
    dataset = with_free_columns(dataset, notes, first_image="image")
    notes.append(f"judgments: the score is the column {score_column(dataset.judgments)!r}")
    splits = [s for s in SIDES if not dataset.judgments.filter(pl.col("split") == s).is_empty()]
    with new_folder(out) as folder:
        (folder / "data").mkdir()
        for split in splits:
            rows = dataset.judgments.filter(pl.col("split") == split)
            with ParquetRows(folder / "data" / f"{split}-00000-of-00001.parquet") as writer:
                for start in range(0, rows.height, _ROWS):
                    writer.write(_described(dataset, rows.slice(start, _ROWS)))
        (folder / "README.md").write_text(hub_card(splits), "utf-8")
        write_record(folder, dataset, "marqo-gs-parquet")
    return notes


def _described(dataset: RankingDataset, rows: pl.DataFrame) -> pl.DataFrame:
    """Return judgments with their query's text and their document's fields."""
    query = dataset.queries.select("query_id", query=text_field(dataset, "queries"))
    names = [f.name for f in dataset.document_fields]
    images = [f.name for f in dataset.document_fields if f.modality == "image"]
    wanted = dataset.documents.filter(pl.col("doc_id").is_in(rows["doc_id"].implode()))
    fields = wanted.select(
        "doc_id",
        *(image_bytes(dataset, wanted[name]) if name in images else pl.col(name) for name in names),
    )
    table = rows.join(query, on="query_id", how="left", maintain_order="left")
    table = table.join(fields, on="doc_id", how="left", maintain_order="left")
    return table.select(
        *(name for name in images if name == "image"),
        "query",
        pl.col("doc_id").alias("product_id"),
        *(name for name in names if name != "image"),
        *(c for c in rows.columns if c not in ("query_id", "doc_id", "score", "split")),
        pl.col("score").alias(score_column(dataset.judgments)),
        "query_id",
    )


LAYOUT = Layout(
    name="marqo-gs-parquet",
    description="Marqo-GS as on the Hugging Face Hub: Parquet with images",
    signs="Parquet files of the split in_domain with query and product_id",
    example="rankfield import marqo-gs-parquet marqo-GS-10M gs",
    source="Folder with the Parquet files of in_domain and others.",
    help="""
    Make a data set from Marqo-GS as published on the Hugging Face Hub, with its splits.

    Images stay bytes; `--document-field title:text` leaves them out. Nothing is written unless
    all is well.

    Example: rankfield import marqo-gs-parquet marqo-GS-10M gs --document-field title:text
    """,
    read=read_marqo_gs_parquet,
    write=write_marqo_gs_parquet,
    looks_like=looks_like_marqo_gs_parquet,
    options=(SCORE, DOCUMENT_FIELD, DEV, BAD_IMAGES, NAME, PUBLISHED_LICENCE),
)
