"""The training data of sentence-transformers."""

from __future__ import annotations

from rankfield.formats.layout import (
    BAD_IMAGES,
    HELD_OUT,
    NAME,
    PUBLISHED_LICENCE,
    SCORE_MIN,
    Layout,
    Option,
)
from rankfield.formats.sentence_transformers.reading import (
    looks_like_sentence_transformers,
    read_sentence_transformers,
)
from rankfield.formats.sentence_transformers.writing import write_sentence_transformers

__all__ = ["LAYOUT"]

LAYOUT = Layout(
    name="sentence-transformers",
    description="pairs, triplets, scored pairs or labelled lists",
    signs="columns anchor, positive; sentence1, sentence2; or sentence_A, sentence_B",
    example="rankfield import sentence-transformers triplets.parquet triplets-data",
    source="File, or folder with train, dev and test files.",
    help="""
    Make a data set from pairs, triplets, n-tuples, scored pairs or labelled lists.

    Nothing is written unless all is well.

    Example: rankfield import sentence-transformers triplets.parquet triplets --column anchor
    --column positive --column negative
    """,
    read=read_sentence_transformers,
    write=write_sentence_transformers,
    looks_like=looks_like_sentence_transformers,
    options=(
        Option(
            "column",
            "Query, document, negatives, in this order; repeat. Default: all but the label.",
            metavar="NAME",
            repeated=True,
            argument="columns",
        ),
        Option(
            "label",
            "Column with the score; default: label, labels, score or scores.",
            metavar="COLUMN",
        ),
        SCORE_MIN,
        Option(
            "score-max", "Highest score possible; default: 1, or the data's if one is above.", float
        ),
        Option(
            "relevant",
            "Scores from here on are relevant; default: 1 of pairs and triplets, the middle of the"
            " scale of labels.",
            float,
        ),
        HELD_OUT,
        BAD_IMAGES,
        NAME,
        PUBLISHED_LICENCE,
    ),
)
