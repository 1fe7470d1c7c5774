"""What dev says of a run's course: the base model before the first step, what is kept, warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rankfield.terminal import echo
from rankfield.training.dev_set import mean_ndcg
from rankfield.training.run_log import RunLog

__all__ = [
    "Measurement",
    "below_base",
    "cold_split_warnings",
    "dev_rows",
    "note_outcome",
    "note_warnings",
]

_KNOWN = "in_domain"
_NOTABLE = 0.02
"""A cold split that loses less of its best value is not warned of: dev queries are few."""
_REMEDY = "Try fewer optimizer.steps or a lower optimizer.learning_rate"
_SHARE = ", or keep a share of the base model, average.wise = [0.3, 0.5, 0.7]"


@dataclass(frozen=True)
class Measurement:
    """nDCG@10 on the dev queries of each split after `step` steps; step 0 is the base model."""

    step: int
    splits: dict[str, float]


def cold_split_warnings(course: Sequence[Measurement]) -> list[str]:
    """Return warnings that the last measurement gives rise to: a sentence for each cold split.

    A split with new queries or documents is more than 2 % below its best value so far, and
    in_domain above its value then: what is known is being memorised. Each split is named once in a
    course.
    """
    return [
        f"From step {best.step:,} to {now.step:,} in_domain rose from {best.splits[_KNOWN]:.3f} to "
        f"{now.splits[_KNOWN]:.3f}, while {split} fell from {best.splits[split]:.3f} to "
        f"{now.splits[split]:.3f}: training memorises the known queries and documents."
        for split, best, now in _falls(course)
        if not any(split == s for n in range(len(course)) for s, _, _ in _falls(course[:n]))
    ]


def _falls(course: Sequence[Measurement]) -> list[tuple[str, Measurement, Measurement]]:
    """Return the cold splits that are low at the last measurement, with their best one and it."""
    if not course or _KNOWN not in course[-1].splits:
        return []
    now = course[-1]
    found = []
    for split, value in now.splits.items():
        best = max(course, key=lambda one: one.splits[split])
        fell = value < (1 - _NOTABLE) * best.splits[split]
        if split != _KNOWN and fell and now.splits[_KNOWN] > best.splits[_KNOWN]:
            found.append((split, best, now))
    return found


def below_base(base: Mapping[str, float], model: Mapping[str, float]) -> list[str]:
    """Return the splits on which a model ranks worse than the base model, in their order."""
    return [split for split, value in base.items() if model.get(split, value) < value]


def dev_rows(metadata: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the rows of a table of dev nDCG@10 from a model's metadata: name → split → value.

    "base model", before the first step, and the model that was kept; each has "mean" last. Nothing
    where no base model was measured, or of metadata in another form.
    """
    found = metadata.get("dev_splits")
    if not isinstance(found, dict):
        return {}
    rows = {}
    for name, key in (("base model", "base"), ("trained model", "model")):
        splits = found.get(key)
        if not isinstance(splits, dict) or not splits:
            return {}
        if not all(isinstance(value, float) for value in splits.values()):
            return {}
        rows[name] = {**splits, "mean": mean_ndcg(splits)}
    return rows


def note_warnings(log: RunLog, course: Sequence[Measurement]) -> None:
    """Write what `cold_split_warnings` finds as the event "warning", and print it."""
    for warning in cold_split_warnings(course):
        log.note("warning", course[-1].step, {"warning": warning})
        echo(f"warning: {warning}", err=True)


def note_outcome(log: RunLog, step: int, metadata: Mapping[str, Any], *, wise: bool) -> None:
    """Write the base model and the kept model as the event "outcome"; say what is below the base.

    Args:
        log: of the run.
        step: the last.
        metadata: of the model that is kept.
        wise: whether a share of the base model can still be asked for.
    """
    if not dev_rows(metadata):
        return
    base, model = metadata["dev_splits"]["base"], metadata["dev_splits"]["model"]
    below = below_base(base, model)
    kept = metadata["step"]
    log.note("outcome", step, {"kept": kept, "base": base, "model": model, "below": below})
    remedy = f"{_REMEDY}{_SHARE if wise else ''} (docs/keeping.md)."
    if kept == 0:
        echo(
            "warning: no step was better on dev than the base model "
            f"(mean nDCG@10 {mean_ndcg(base):.4f}): the base model is kept. {remedy}",
            err=True,
        )
    elif below:
        lost = ", ".join(f"{split} {base[split]:.4f} → {model[split]:.4f}" for split in below)
        echo(f"warning: worse on dev than the base model it began with: {lost}. {remedy}", err=True)
