"""What a layout declares: its functions, and the options of its import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import polars as pl

    from rankfield.io.table import Table
    from rankfield.schema import DatasetFolder, RankingDataset

__all__ = [
    "BAD_IMAGES",
    "DATASET_OPTIONS",
    "DOCUMENT_FIELD",
    "DUPLICATES",
    "FIELD",
    "HELD_OUT",
    "LICENCE",
    "LIST_OPTIONS",
    "NAME",
    "PUBLISHED_LICENCE",
    "QUERY_FIELD",
    "RELEVANT",
    "SCORE_MAX",
    "SCORE_MIN",
    "UNKNOWN",
    "Layout",
    "Option",
]


@dataclass(frozen=True)
class Option:
    """An option of an import.

    name: as the command line spells it, without "--".
    help: one line.
    kind: of its value: a type or a `Literal`; a list of them if `repeated`.
    default: None has the reader's own default.
    metavar: what stands for the value in the help.
    minimum, maximum: of a number.
    argument: the reader's keyword; the name with "_" for "-" if "".
    parse: from the value to what the reader takes.
    """

    name: str
    help: str
    kind: Any = str
    default: Any = None
    metavar: str | None = None
    repeated: bool = False
    minimum: float | None = None
    maximum: float | None = None
    argument: str = ""
    parse: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Layout:
    """A layout of ranking data, by which `rankfield import NAME` and `rankfield export NAME` exist.

    name: as the command line spells it.
    description: one line.
    signs: what a source in this layout is detected from.
    example: a complete import command.
    source: help of the import's SRC.
    help: of the import.
    read: ``(src, **options) -> (dataset, notes)``; writes nothing.
    write: ``(dataset, out, **options) -> notes``; whole or not at all. Its keyword arguments are
        the options of the export.
    looks_like: ``(src)`` → a sentence why `src` looks like the layout, or None.
    options: of the import, in the order of its help.
    convert: ``(src, out, **options) -> (dataset, notes)``, in place of `read` for the command line:
        reads and writes data of any size.
    judgments: ``(src, notes)`` → queries, judgments and whether texts are the queries' ids, of a
        list that can be read without its documents; it has `LIST_OPTIONS`.
    general: it is guessed only where no other layout fits.
    """

    name: str
    description: str
    signs: str
    example: str
    source: str
    help: str
    read: Callable[..., tuple[RankingDataset, list[str]]]
    write: Callable[..., list[str]]
    looks_like: Callable[[Path], str | None]
    options: tuple[Option, ...] = ()
    convert: Callable[..., tuple[DatasetFolder, list[str]]] | None = None
    judgments: Callable[[Path, list[str]], tuple[pl.DataFrame, Table, bool]] | None = None
    general: bool = False


FIELD = "NAME[:MODALITY[:WEIGHT]]"
QUERY_FIELD = Option(
    "query-field",
    "A field of the queries; repeat. Default: the layout's.",
    metavar=FIELD,
    repeated=True,
    argument="query_fields",
)
DOCUMENT_FIELD = Option(
    "document-field",
    "A field of the documents; repeat. Default: the layout's.",
    metavar=FIELD,
    repeated=True,
    argument="document_fields",
)
SCORE_MIN = Option("score-min", "Lowest score possible; default: 0 or the data's.", float)
SCORE_MAX = Option("score-max", "Highest score possible; default: the data's.", float)
RELEVANT = Option(
    "relevant", "Scores from here on are relevant; default: the smallest above 0.", float
)
UNKNOWN = Option(
    "unknown",
    "At judgments of queries or documents not there: stop, or leave them out.",
    Literal["error", "drop"],
    "error",
)
DUPLICATES = Option(
    "duplicates",
    "At a pair judged twice: stop, or keep the first or the highest score.",
    Literal["error", "first", "highest"],
    "error",
)
BAD_IMAGES = Option(
    "bad-images",
    "At a bad image: stop, or clear the field.",
    Literal["error", "drop"],
    "error",
)
HELD_OUT = Option(
    "held-out",
    "Fraction of the train queries that become dev, where there is no dev.",
    float,
    minimum=0,
    maximum=1,
)
NAME = Option("name", "Name; default: the source's.")
LICENCE = Option("licence", "Licence of the data, for the record.", default="")
PUBLISHED_LICENCE = Option("licence", "Licence of the data; default: what it was published under.")
DATASET_OPTIONS = (
    *(QUERY_FIELD, DOCUMENT_FIELD, SCORE_MIN, SCORE_MAX, RELEVANT),
    *(UNKNOWN, DUPLICATES, NAME, LICENCE),
)
"""Those of `assemble.DatasetOptions`."""
LIST_OPTIONS = (
    Option(
        "documents",
        "Table of the documents, as .csv, .tsv, .jsonl or .parquet, with their id in _id,"
        " doc_id, docId, id or product_id; exports of an index with _source too.",
        Path,
        metavar="FILE",
    ),
    *(QUERY_FIELD, DOCUMENT_FIELD, SCORE_MIN, SCORE_MAX, RELEVANT),
    Option(
        "judgments-only",
        "Make a table of query_id, doc_id and score alone: OUT ends in .csv, .tsv, .jsonl or"
        " .parquet.",
        bool,
        False,
    ),
    Option(
        "dataset",
        "With --judgments-only: the data set whose query ids to take, by id or by text.",
        Path,
        metavar="DATASET",
    ),
    *(UNKNOWN, DUPLICATES, NAME, LICENCE),
)
"""Of judgment lists, which have `Layout.judgments`."""
