"""What a run says of its data before its first step: what is trained on, what dev measures."""

from __future__ import annotations

import polars as pl

from rankfield.evaluation import DevSet, dev_splits
from rankfield.formats.published_splits import PARTS, part_name
from rankfield.schema import SUBSETS, RankingDataset
from rankfield.terminal import echo
from rankfield.training.dev_set import DevSection
from rankfield.training.run_log import RunLog

__all__ = ["data_notes", "note_data"]

_NAMES = ("split", "subset", "part", "partition", "set")
_HELD_OUT = "Queries to choose by: `rankfield split`, or `--held-out` at the import."


def note_data(
    log: RunLog,
    dataset: RankingDataset,
    section: DevSection,
    dev: DevSet | None,
    *,
    skipped: int = 0,
    further: bool = False,
) -> None:
    """Write the notes and what dev measures as the event "data" of step 0; print the notes."""
    notes = data_notes(dataset, section, dev, skipped=skipped, further=further)
    log.write("data", 0, {"dev": dev.sizes() if dev is not None else {}, "notes": notes})
    for note in notes:
        echo(f"note: {note}", err=True)


def data_notes(
    dataset: RankingDataset,
    section: DevSection,
    dev: DevSet | None,
    *,
    skipped: int = 0,
    further: bool = False,
) -> list[str]:
    """Return what a user should know before training, one sentence or two each.

    Empty if the data set has all wanted splits and all of its dev is measured.

    Args:
        dataset: what is trained on.
        section: the recipe's.
        dev: what dev is measured on; None: nothing.
        skipped: how many judgments have a query or document without any field that is used.
        further: whether there are judgments beside the data set's own.
    """
    notes = [*_training_notes(dataset, further), *_dev_notes(dataset, section, dev)]
    if skipped:
        notes.append(
            f"{skipped:,} judgments are not trained on: their query or document has none of the "
            "fields that the recipe uses."
        )
    return notes


def _training_notes(dataset: RankingDataset, further: bool) -> list[str]:
    if dataset.is_split:
        return []
    own = f"{dataset.training_judgments().height:,} judgments"
    count = f"{own} of the data set, and further ones," if further else own
    if dataset.has_subsets:
        marked = dataset.queries.group_by(pl.col("subset").cast(pl.String)).len()
        sizes = dict(marked.rows())
        held_out = " and ".join(f"{sizes.get(name, 0):,} {name}" for name in SUBSETS)
        others = [repr(name) for name in sizes if name is not None and name not in SUBSETS]
        also = f" Those of the subset {', '.join(sorted(others))} are trained on." if others else ""
        return [f"{count} are trained on; {held_out} queries are held out.{also}"]
    return [
        f"The data set has no splits: all {count} are trained on, and none is left "
        "to evaluate with. `rankfield split` holds queries and documents out.",
        *_unused_parts(dataset),
    ]


def _unused_parts(dataset: RankingDataset) -> list[str]:
    """Name columns that seem to divide train, dev and test, but that training does not follow."""
    notes = []
    for table in ("queries", "judgments"):
        frame: pl.DataFrame = getattr(dataset, table)
        for name, dtype in frame.schema.items():
            plain = name.lower().removeprefix("source_")
            if plain not in _NAMES or not isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
                continue
            values = frame[name].drop_nulls().unique().cast(pl.String)
            parts = {part_name(value) for value in values} & set(PARTS)
            if parts - {"train"}:
                notes.append(
                    f"Training does not follow the column {name!r} of the {table}, which names "
                    f"{', '.join(part for part in PARTS if part in parts)}: its dev and test are "
                    "trained on too."
                )
    return notes


def _dev_notes(dataset: RankingDataset, section: DevSection, dev: DevSet | None) -> list[str]:
    if not section.used:
        return ['Dev is off (dev.every = "off"): the last model is kept.']
    found = dev_splits(dataset, section.splits)
    if dev is None:
        least = (
            "No dev query has a document of positive gain" if found else "There are no dev queries"
        )
        return [f"{least}: the last model is kept. {_HELD_OUT}"]
    notes = []
    measured = [view.name for view in dev.views]
    missing = [s for s in dataset.judged_splits() if s in section.splits and s not in found]
    if missing:
        notes.append(f"There are no dev queries in {', '.join(missing)}: not measured there.")
    if undefined := [split for split in found if split not in measured]:
        notes.append(
            f"No dev query in {', '.join(undefined)} has a document of positive gain: not measured "
            "there."
        )
    if measured == ["in_domain"] and (missing or undefined):
        notes.append(f"The model is chosen by queries that it is trained on. {_HELD_OUT}")
    if any(
        (view.queries.height, view.documents.height) != total
        for view, total in zip(dev.views, dev.totals, strict=True)
    ):
        sizes = "; ".join(f"{split}: {size}" for split, size in dev.sizes().items())
        notes.append(f"Dev is measured on a fixed sample (dev.queries, dev.documents). {sizes}.")
    return notes
