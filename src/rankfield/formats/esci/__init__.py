"""Amazon's Shopping Queries data set (ESCI)."""

from __future__ import annotations

from typing import Literal

from rankfield.formats.esci.reading import looks_like_esci, read_esci
from rankfield.formats.esci.writing import write_esci
from rankfield.formats.grades import parse_grades
from rankfield.formats.layout import (
    DOCUMENT_FIELD,
    HELD_OUT,
    NAME,
    PUBLISHED_LICENCE,
    Layout,
    Option,
)

__all__ = ["LAYOUT"]

LAYOUT = Layout(
    name="esci",
    description="Amazon's Shopping Queries: examples and products in Parquet",
    signs="a folder with shopping_queries_dataset_examples.parquet and …_products.parquet",
    example="rankfield import esci shopping_queries_dataset esci --locale us",
    source="Folder with the two Parquet files, or its parent.",
    help="""
    Make a data set from Amazon's Shopping Queries (ESCI), with the published split by queries.

    Nothing is written unless all is well.

    Example: rankfield import esci shopping_queries_dataset esci --locale us --version small
    """,
    read=read_esci,
    write=write_esci,
    looks_like=looks_like_esci,
    options=(
        Option("locale", "One marketplace; default: all.", Literal["us", "es", "jp"]),
        Option(
            "version",
            "small leaves out easy queries, as the ranking task does.",
            Literal["small", "large"],
            "large",
        ),
        Option(
            "grades",
            "What each label is worth, as E=1,S=0.1,C=0.01,I=0.",
            metavar="LABEL=SCORE,…",
            parse=parse_grades,
        ),
        Option("relevant", "Scores from here on are relevant; default: that of E.", float),
        DOCUMENT_FIELD,
        Option("judged-only", "Leave out products that no example judges.", bool, False),
        HELD_OUT,
        NAME,
        PUBLISHED_LICENCE,
    ),
)
