"""Plain tables: documents, queries and judgments as CSV, TSV, JSON Lines or Parquet."""

from __future__ import annotations

from pathlib import Path

from rankfield.engines import EngineName, make_engine
from rankfield.formats.layout import (
    BAD_IMAGES,
    FIELD,
    LICENCE,
    NAME,
    RELEVANT,
    SCORE_MAX,
    SCORE_MIN,
    Layout,
    Option,
)
from rankfield.formats.tables.reading import import_folder, read_tables
from rankfield.formats.tables.writing import looks_like_tables, write_tables

__all__ = ["LAYOUT"]

LAYOUT = Layout(
    name="tables",
    description="documents, queries and judgments as CSV, TSV, JSON Lines or Parquet",
    signs="a folder with documents.*, queries.* and judgments.*",
    example="rankfield import tables shop-export shop --relevant 2",
    source="Folder with documents, queries and judgments as .csv, .tsv, .jsonl or .parquet; the"
    " paths of images start here.",
    help="""
    Make a data set from tables of documents, queries and judgments, and say what was guessed.

    Every value and every image is checked first; nothing is written unless all is well. A text
    file must be UTF-8 with a header (JSON Lines: one object per line).

    Example: rankfield import tables shop-export shop --document-field title:text:0.1
    --document-field photo:image:0.9 --relevant 2
    """,
    read=read_tables,
    convert=import_folder,
    write=write_tables,
    looks_like=looks_like_tables,
    options=(
        Option(
            "query-id",
            "Column with the query's id, or in the judgments its text; of one table:"
            " judgments.COLUMN; repeat. Guessed if left out.",
            metavar="[TABLE.]COLUMN",
            repeated=True,
        ),
        Option(
            "doc-id",
            "Column with the document's id, or in the judgments another column of the documents;"
            " repeat. Guessed if left out.",
            metavar="[TABLE.]COLUMN",
            repeated=True,
        ),
        Option(
            "score",
            "Column with the score; larger is better. Guessed if left out.",
            metavar="COLUMN",
        ),
        Option(
            "query-field",
            "A field of the queries; repeat. Guessed if left out.",
            metavar=FIELD,
            repeated=True,
            argument="query_fields",
        ),
        Option(
            "document-field",
            "A field of the documents, as photo:image:0.9, or photos:images for paths with"
            ' "|" between them; repeat. Guessed if left out.',
            metavar=FIELD,
            repeated=True,
            argument="document_fields",
        ),
        SCORE_MIN,
        SCORE_MAX,
        RELEVANT,
        *(
            Option(
                table,
                f"The {table}, if not SRC/{table}.*",
                Path,
                metavar="FILE",
                argument=f"{table}_file",
            )
            for table in ("queries", "documents", "judgments")
        ),
        NAME,
        LICENCE,
        BAD_IMAGES,
        Option(
            "engine",
            "Check images on this machine's cores, or on Ray's: same result.",
            EngineName,
            "local",
            parse=make_engine,
        ),
    ),
)
