"""What crosses from the seen to the unseen side of a split, and would flatter its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from rankfield.curation.criteria import Criterion
from rankfield.curation.keys import ImageHashes, hash_images, text_keys
from rankfield.curation.near_clusters import near_duplicates_across
from rankfield.curation.near_images import ImageCriterion
from rankfield.curation.near_rules import normalised_texts
from rankfield.curation.near_texts import TextCriterion
from rankfield.curation.split_keys import column_of
from rankfield.curation.texts import joined_text
from rankfield.engines import Engine, LocalEngine
from rankfield.errors import SplitError
from rankfield.field_values import flat_values
from rankfield.progress import progress
from rankfield.schema import Field, Tables
from rankfield.terminal import cell
from rankfield.validate.images import image_slices

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
        from rich.table import Table

        table = Table("", "between the sides", "unseen", "example (seen · unseen)", title="leaks")
        table.columns[2].justify = "right"
        for leak in self.leaks:
            example = cell(" · ".join(leak.examples[0]) if leak.examples else "")
            table.add_row(cell(leak.table), cell(leak.kind), f"{leak.count:,}", example)
        table.caption = cell("; ".join(self.notes)) if self.notes else None
        return table


def leak_report(
    dataset: Tables,
    *,
    group_documents_by: str | None = None,
    group_queries_by: str | None = None,
    near_texts: float | None = None,
    near_images: int | None = None,
    max_images: int | None = 20_000,
    engine: Engine | None = None,
) -> LeakReport:
    """Look for queries and documents on the unseen side that have a duplicate on the seen side.

    Looked for: the same id (none, by construction); the same text after `texts.normalised`, and
    the same words after `texts.near_key` where the text is not the same, for queries (all text
    fields) and documents (the field title or name, else the first text field); the same image
    to the byte (sha256); the same value of the columns to group by. If asked for: texts and
    images that are nearly the same, other than those that are the same.

    Of texts 128-bit digests are kept (`texts.digests`), 32 bytes a record.

    Args:
        dataset: a split data set, in memory or in its folder.
        group_documents_by, group_queries_by: a column of the documents, of the queries.
        near_texts: least Jaccard similarity (`near_texts.TextCriterion`); None: not looked for.
        near_images: most bits apart (`near_images.ImageCriterion`); None: not looked for.
        max_images: with more images they are not compared, and a note says so; None: no limit.
        engine: where texts are normalised and images hashed; threads of this machine if None.

    Raises:
        SplitError: the data set was never split, or lacks the column.
        InputError: a threshold out of range.
        MissingExtraError: near duplicates are looked for, and a package for it is not installed.
    """
    if not dataset.is_split:
        raise SplitError(
            "the data set has no splits", where=dataset.name, remedy="Run `rankfield split` first."
        )
    engine = engine or LocalEngine()
    notes: list[str] = []
    leaks: list[Leak] = []
    for table, identity in _IDS.items():
        ids = dataset.frame(table, [identity, "seen"])
        names = _shown(dataset, table, identity)
        leaks.append(_crossing(table, "same id", ids["seen"], ids[identity], names))
        leaks += _text_leaks(dataset, table, ids["seen"], engine)
        leaks += _image_leaks(dataset, table, ids["seen"], engine, limit=max_images, notes=notes)
        if near_texts is not None:
            leaks += _near_texts(dataset, table, ids["seen"], near_texts, engine)
        if near_images is not None:
            leaks += _near_images(dataset, table, ids["seen"], near_images, engine)
        column = {"queries": group_queries_by, "documents": group_documents_by}[table]
        if column is not None:
            leaks.append(_group_leak(dataset, table, column))
    return LeakReport(tuple(leaks), tuple(notes))


_Show = Callable[[list[int]], list[str]]


def _shown(dataset: Tables, table: str, *columns: str) -> _Show:
    """Return what shows records by their rows: id and, joined by a space, these columns."""

    def show(rows: list[int]) -> list[str]:
        names = list(dict.fromkeys([_IDS[table], *columns]))
        # few rows are asked for: the columns are read once more rather than kept
        records = dataset.frame(table, names)[rows]
        texts = joined_text(records.cast(pl.String), [Field(name, "text") for name in columns])
        return (records[_IDS[table]] + ": " + texts).to_list()

    return show


def _crossing(
    table: str,
    kind: str,
    seen: pl.Series,
    keys: pl.Series,
    show: _Show,
    *,
    records: pl.Series | None = None,
) -> Leak:
    """Count the unseen records with a key, not null and not "", that a seen one has.

    `records` names the record of each key where there are several keys to one; `show` gets the
    places of keys.
    """
    if keys.dtype == pl.String:
        keys = keys.replace("", None)
    both = seen & keys.is_not_null()
    unseen = ~seen & keys.is_in(keys.filter(both).unique().implode())
    found = pl.DataFrame({"place": unseen.arg_true()})
    record = found["place"] if records is None else records.gather(found["place"])
    # of several images of a record, the first that crosses stands for it
    found = found.filter(record.is_first_distinct())
    first = found["place"].head(_EXAMPLES)
    wanted = keys.gather(first)
    counterparts = (both & keys.is_in(wanted.unique().implode())).arg_true()
    partners = pl.DataFrame({"key": keys.gather(counterparts), "seen": counterparts})
    partners = partners.unique("key", keep="first", maintain_order=True)
    pairs = pl.DataFrame({"key": wanted}).join(partners, on="key", maintain_order="left")
    examples: tuple[tuple[str, str], ...] = ()
    if len(first):
        examples = tuple(zip(show(pairs["seen"].to_list()), show(first.to_list()), strict=True))
    return Leak(table, kind, found.height, examples)


def _group_leak(dataset: Tables, table: str, column: str) -> Leak:
    groups = column_of(dataset, table, column, "group by").cast(pl.String)
    seen = dataset.frame(table, ["seen"])["seen"]
    return _crossing(table, f"same {column}", seen, groups, _shown(dataset, table, column))


def _near_texts(
    dataset: Tables, table: str, seen: pl.Series, threshold: float, engine: Engine
) -> Iterator[Leak]:
    fields = _text_fields(dataset, table)
    if fields:
        name = "text" if table == "queries" else fields[0].name
        texts = normalised_texts(dataset, table, fields, engine)
        show = _shown(dataset, table, *(f.name for f in fields))
        yield _near(table, TextCriterion(texts, threshold, name=name), seen, show)


def _near_images(
    dataset: Tables, table: str, seen: pl.Series, bits: int, engine: Engine
) -> Iterator[Leak]:
    show = _shown(dataset, table, *(f.name for f in _text_fields(dataset, table)))
    for f in dataset.fields(table):
        if f.modality == "image":
            criterion = ImageCriterion.of(dataset, table, f.name, bits, engine)
            yield _near(table, criterion, seen, show)


def _near(table: str, criterion: Criterion, seen: pl.Series, show: _Show) -> Leak:
    """Count the unseen records that are like a seen one, but not the same."""
    same = ~seen & criterion.same.is_in(criterion.same.filter(seen).unique().implode())
    pairs = near_duplicates_across(
        [criterion], seen.to_numpy(), (~seen & ~same.fill_null(False)).to_numpy()
    )
    some = pairs[:_EXAMPLES]
    examples = zip(show(some[:, 0].tolist()), show(some[:, 1].tolist()), strict=True)
    return Leak(table, f"near: {criterion.how}", len(pairs), tuple(examples) if len(some) else ())


def _text_leaks(dataset: Tables, table: str, seen: pl.Series, engine: Engine) -> Iterator[Leak]:
    fields = _text_fields(dataset, table)
    if not fields:
        return
    what = "text" if table == "queries" else fields[0].name
    keys = text_keys(dataset, table, fields, engine, near=True)
    show = _shown(dataset, table, *(f.name for f in fields))
    yield _crossing(table, f"same {what}", seen, keys["text"], show)
    seen_texts = keys["text"].filter(seen).drop_nulls().unique().implode()
    # what crosses with the very same text is counted above, so not here again
    other = seen | ~keys["text"].is_in(seen_texts)
    near = keys.select(pl.when(other.fill_null(True)).then("words"))["words"]
    yield _crossing(table, f"same words in the {what}", seen, near, show)


def _text_fields(dataset: Tables, table: str) -> list[Field]:
    """Return what tells records apart: all of a query's texts, a document's title."""
    fields = [f for f in dataset.fields(table) if f.modality == "text"]
    if table == "documents":
        fields = sorted(fields, key=lambda f: f.name not in _TITLES)[:1]
    return fields


def _image_leaks(
    dataset: Tables,
    table: str,
    seen: pl.Series,
    engine: Engine,
    *,
    limit: int | None,
    notes: list[str],
) -> Iterator[Leak]:
    for f in dataset.fields(table):
        if f.modality != "image":
            continue
        count = sum(engine.map(_count, image_slices(dataset, table, f.name)))
        if limit is not None and count > limit:
            notes.append(f"{count:,} images in {table}, {f.name} were not compared")
            continue
        found = _hashes(dataset, table, f.name, count, engine)
        unread = found.hashes.null_count()
        if unread:
            notes.append(f"{unread:,} images could not be read")
        records = found.rows

        def show(
            places: list[int], found: ImageHashes = found, records: pl.Series = records
        ) -> list[str]:
            rows = records.gather(places)
            ids = dataset.frame(table, [_IDS[table]])[_IDS[table]].gather(rows)
            return (ids + ": " + found.shown.gather(places)).to_list()

        kind = f"identical {f.name}"
        yield _crossing(table, kind, seen.gather(records), found.hashes, show, records=records)


def _count(images: pl.Series) -> int:
    return len(flat_values(images)[1])


def _hashes(dataset: Tables, table: str, name: str, count: int, engine: Engine) -> ImageHashes:
    found = ImageHashes.none()
    start = 0
    with progress("comparing images", count, unit="images") as advance:
        look = partial(hash_images, dataset.root)
        for height, part in engine.map(look, image_slices(dataset, table, name)):
            found.extend(part, start)
            start += height
            advance(len(part.hashes))
    return found
