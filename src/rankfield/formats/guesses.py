"""What columns are likely to mean: text fields, images, their weights, the score scale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import polars as pl

from rankfield.column_names import QUERY_TEXTS, normalised_name
from rankfield.errors import DataError
from rankfield.field_values import flat_values
from rankfield.io.text_values import MARK
from rankfield.schema import Field, Modality, ScoreScale

__all__ = ["equal_weights", "guess_fields", "guess_modality", "guess_scale", "with_relevant_inside"]

_IMAGE_NAMES = {"image", "photo", "img", "thumbnail"}
_IMAGE_END = r"(?i)\.(jpe?g|png|webp|gif|bmp|tiff?)$"
_URL = r"(?i)^https?://"
_NOT_TEXT = {
    *("id", "ids", "uuid", "url", "link", "uri", "split", "fold", "date", "time", "timestamp"),
    *("price", "group", "key", "sku", "ean", "gtin", "code", "lang", "language", "locale"),
}
_QUERY_NAMES = {*QUERY_TEXTS, "text", "title", "question"}
_SAMPLE = 10_000


def guess_fields(
    frame: pl.DataFrame | Iterable[pl.Series], table: str, identity: str
) -> tuple[Field, ...]:
    """Return the columns that look like fields, each modality with the same total weight.

    An image: bytes, or a column named image, photo, image, … or whose values end like images;
    a list of such values likewise, also if named images, photos, images, ….
    A text: strings most of which hold a word; not a number, a code of one word with digits, an
    address, a constant, nor named as an id, key, price, date, split …. Of the queries' texts only
    those named query, text, … count if there are any: other columns may give the answer away.
    """
    found = {
        column.name: guess_modality(column.to_frame(), column.name)
        for column in frame
        if column.name != identity
    }
    if table == "queries":
        usual = {n for n, m in found.items() if m == "text" and normalised_name(n) in _QUERY_NAMES}
        if usual:
            found = {n: m for n, m in found.items() if m == "image" or n in usual}
    return equal_weights([Field(name, m) for name, m in found.items() if m is not None])


def guess_modality(frame: pl.DataFrame, name: str) -> Modality | None:
    """Return "image", "text", or None for a column that looks like neither (first 10,000 rows)."""
    column = frame[name]
    if column.dtype in (pl.Categorical, pl.Enum):
        frame = frame.with_columns(pl.col(name).cast(pl.String))
    values = frame[name].drop_nulls().head(_SAMPLE)
    if isinstance(values.dtype, pl.List):
        return _guess_list(values, name)
    if values.dtype == pl.Binary:
        return "image"
    if values.dtype != pl.String or values.is_empty() or _share(values, _URL) > 0.5:
        return None
    nested = bool(values.str.starts_with(MARK).all())  # lists or objects are no texts
    words = set(normalised_name(name).split("_"))
    if words & _IMAGE_NAMES or _share(values, _IMAGE_END) > 0.8:
        return None if words & {"id", "url"} else "image"
    constant = frame.height > 1 and bool(frame[name].eq_missing(frame[name][0]).all())
    code = _share(values, r"^\S*\d\S*$") > 0.8
    if nested or words & _NOT_TEXT or constant or code or _share(values, r"\p{L}{2}") < 0.5:
        return None
    return "text"


def _guess_list(lists: pl.Series, name: str) -> Modality | None:
    """Return "image" for lists of what looks like images; lists are nothing else."""
    if lists.dtype == pl.List(pl.Binary):
        return "image"
    if lists.dtype != pl.List(pl.String):
        return None
    values = flat_values(lists)[1]
    if values.is_empty() or _share(values, _URL) > 0.5:
        return None
    named = {word.removesuffix("s") for word in normalised_name(name).split("_")} & _IMAGE_NAMES
    return "image" if named or _share(values, _IMAGE_END) > 0.8 else None


def equal_weights(fields: Sequence[Field]) -> tuple[Field, ...]:
    """Return the fields with weights that add up to 1: each modality the same, shared equally."""
    counts = Counter(f.modality for f in fields)
    return tuple(replace(f, weight=1 / len(counts) / counts[f.modality]) for f in fields)


def guess_scale(
    scores: pl.Series,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    relevant: float | None = None,
) -> ScoreScale:
    """Return the scale of finite scores: from 0, or lower if the data are, to their maximum.

    Scores of 0 and below are worth nothing, unless a minimum below 0 is given: gains then count
    from there. Relevant is the smallest score above 0, else the smallest that is worth anything;
    if none is, the maximum, or 1 if that is worth nothing either: then nothing is relevant. What
    is given is not guessed.

    Raises:
        DataError: the relevant score that is given lies outside the scale.
    """
    low, high = float(scores.min()), float(scores.max())  # type: ignore[arg-type]
    scale = ScoreScale(
        minimum=min(0.0, low) if minimum is None else minimum,
        maximum=max(0.0, high) if maximum is None else maximum,
        relevant=0.0 if relevant is None else relevant,
        gain_floor=0.0 if minimum is None else None,
    )
    if relevant is not None:
        return with_relevant_inside(scale)
    return replace(scale, relevant=_least_relevant(scores, scale))


def _least_relevant(scores: pl.Series, scale: ScoreScale) -> float:
    for bound in (0.0, scale.floor):
        if (least := scores.filter(scores > bound).min()) is not None:
            return float(least)  # type: ignore[arg-type]
    return scale.maximum if scale.maximum > scale.floor else 1.0


def with_relevant_inside(scale: ScoreScale) -> ScoreScale:
    """Return the scale.

    Raises:
        DataError: what counts as relevant lies outside.
    """
    if not scale.minimum <= scale.relevant <= scale.maximum:
        raise DataError(
            f"{scale.relevant:g} is outside the score scale, {scale.minimum:g} to"
            f" {scale.maximum:g}",
            where="relevant",
            remedy="Choose --relevant from the scale, or state its ends: --score-min, --score-max.",
        )
    return scale


def _share(values: pl.Series, pattern: str) -> float:
    return float(values.str.contains(pattern).mean() or 0.0)  # type: ignore[arg-type]
