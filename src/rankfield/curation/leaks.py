"""What crosses from the seen to the unseen side of a split, and would flatter its figures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from rankfield.curation.texts import joined_text, near_key, normalised
from rankfield.errors import SplitError
from rankfield.field_values import flat_values
from rankfield.progress import progress
from rankfield.schema import RankingDataset

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Leak", "LeakReport", "leak_report"]

_EXAMPLES = 10
_TITLES = ("title", "name")
_IDS = {"queries": "query_id", "documents": "doc_id"}


@dataclass(frozen=True)
class Leak:
    """One kind of crossing: `count` unseen records have a counterpart among the seen.

    `examples` holds up to 10 pairs (seen, unseen), each as "id: what they share".
    """

    table: str
    kind: str
    count: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LeakReport:
    """Every kind that was looked for, those that found nothing too, and what was skipped."""

    leaks: tuple[Leak, ...]
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """How many crossings there are, of all kinds together."""
        return sum(leak.count for leak in self.leaks)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain dicts and lists, ready for JSON."""
        return {"leaks": [asdict(leak) for leak in self.leaks], "notes": list(self.notes)}

    def __rich__(self) -> Table:
        from rich.markup import escape
        from rich.table import Table

        table = Table("", "between the sides", "unseen", "example (seen · unseen)", title="leaks")
        table.columns[2].justify = "right"
        for leak in self.leaks:
            example = escape(" · ".join(leak.examples[0])) if leak.examples else ""
            table.add_row(leak.table, leak.kind, f"{leak.count:,}", example)
        table.caption = escape("; ".join(self.notes)) or None
        return table


def leak_report(
    dataset: RankingDataset,
    *,
    group_documents_by: str | None = None,
    max_images: int | None = 20_000,
) -> LeakReport:
    """Look for queries and documents on the unseen side that have a twin on the seen side.

    Looked for: the same id (none, by construction); the same text after `texts.normalised`, and
    the same words after `texts.near_key` where the text is not the same, for queries (all text
    fields) and documents (the field title or name, else the first text field); the same picture
    to the byte (sha256); the same value of `group_documents_by`.

    Args:
        dataset: a split data set.
        group_documents_by: a column of the documents.
        max_images: with more pictures they are not compared, and a note says so; None: no limit.

    Raises:
        SplitError: the data set was never split, or lacks the column.
    """
    if not dataset.is_split:
        raise SplitError(
            "the data set has no splits", where=dataset.name, remedy="Run `rankfield split` first."
        )
    notes: list[str] = []
    leaks: list[Leak] = []
    for table, identity in _IDS.items():
        frame: pl.DataFrame = getattr(dataset, table)
        leaks.append(_crossing(frame, table, "same id", frame[identity]))
        leaks += _text_leaks(dataset, table)
        leaks += _image_leaks(dataset, table, max_images, notes)
    if group_documents_by is not None:
        documents = dataset.documents
        if group_documents_by not in documents.columns:
            raise SplitError(
                f"the documents have no column {group_documents_by!r};"
                f" found {', '.join(documents.columns)}",
                where=dataset.name,
            )
        groups = documents[group_documents_by].cast(pl.String)
        leaks.append(_crossing(documents, "documents", f"same {group_documents_by}", groups))
    return LeakReport(tuple(leaks), tuple(notes))


def _crossing(
    frame: pl.DataFrame, table: str, kind: str, keys: pl.Series, shown: pl.Series | None = None
) -> Leak:
    """Count the unseen records with a row whose key, not null and not "", is that of a seen one."""
    identity = _IDS[table]
    rows = pl.DataFrame(
        {
            "key": keys,
            "record": frame[identity],
            "seen": frame["seen"],
            "shown": frame[identity] + ": " + (keys if shown is None else shown).fill_null(""),
        }
    ).filter(pl.col("key") != "")
    seen = rows.filter("seen").unique("key", keep="first", maintain_order=True)
    pairs = rows.filter(~pl.col("seen")).join(
        seen, on="key", how="inner", suffix="_seen", maintain_order="left"
    )
    # of several pictures of a record, the first that crosses stands for it
    pairs = pairs.unique("record", keep="first", maintain_order=True)
    examples = pairs.select("shown_seen", "shown").head(_EXAMPLES).rows()
    return Leak(table, kind, pairs.height, tuple(examples))


def _text_leaks(dataset: RankingDataset, table: str) -> Iterator[Leak]:
    frame: pl.DataFrame = getattr(dataset, table)
    fields = [f for f in dataset.fields(table) if f.modality == "text"]
    if not fields:
        return
    if table == "documents":
        fields = sorted(fields, key=lambda f: f.name not in _TITLES)[:1]
    what = "text" if table == "queries" else fields[0].name
    texts = joined_text(frame, fields)
    words = normalised(texts)
    yield _crossing(frame, table, f"same {what}", words, texts)
    seen_words = words.filter(frame["seen"]).unique().implode()
    # what crosses with the very same text is counted above, so not here again
    other = frame["seen"] | ~words.is_in(seen_words)
    near = near_key(texts).to_frame("key").select(pl.when(other).then("key"))["key"]
    yield _crossing(frame, table, f"same words in the {what}", near, texts)


def _image_leaks(
    dataset: RankingDataset, table: str, limit: int | None, notes: list[str]
) -> Iterator[Leak]:
    frame: pl.DataFrame = getattr(dataset, table)
    for f in dataset.fields(table):
        if f.modality != "image":
            continue
        rows, values = flat_values(frame[f.name])
        count = len(values)
        if limit is not None and count > limit:
            notes.append(f"{count:,} pictures in {table}, {f.name} were not compared")
            continue
        hashes = _hashes(dataset, values, notes)
        shown = values if values.dtype == pl.String else hashes.str.slice(0, 8)
        yield _crossing(frame[rows], table, f"identical {f.name}", hashes, shown)


def _hashes(dataset: RankingDataset, values: pl.Series, notes: list[str]) -> pl.Series:
    """Return the sha256 of each picture's bytes; null where there is none to read."""

    def sha256(value: str | bytes) -> str | None:
        source = dataset.image_source(value)
        try:
            data = source if isinstance(source, bytes) else source.read_bytes()
        except OSError:
            return None
        return hashlib.sha256(data).hexdigest()

    hashes: list[str | None] = []
    workers = min(16, 2 * (os.cpu_count() or 1))
    with (
        progress("comparing pictures", len(values), unit="pictures") as advance,
        ThreadPoolExecutor(workers) as pool,
    ):
        for start in range(0, len(values), 1024):
            part = values.slice(start, 1024).to_list()
            hashes += pool.map(sha256, part)
            advance(len(part))
    unread = sum(h is None for h in hashes)
    if unread:
        notes.append(f"{unread:,} pictures could not be read")
    return pl.Series(hashes, dtype=pl.String)
