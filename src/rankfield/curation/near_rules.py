"""What near duplicates of a table are to share: rules such as ``title=0.8`` and ``photo=6``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.curation.criteria import Criterion, Pairs, Wanted, bucket_pairs
from rankfield.curation.near_images import ImageCriterion
from rankfield.curation.near_texts import Shingles, TextCriterion
from rankfield.curation.near_vectors import VectorCriterion
from rankfield.curation.texts import joined_text, normalised, same_words
from rankfield.engines import Engine, LocalEngine
from rankfield.errors import InputError
from rankfield.schema import Field, Part, Tables

__all__ = ["NearRule", "WordsCriterion", "make_criteria", "normalised_texts"]


@dataclass(frozen=True)
class NearRule:
    """One criterion.

    `name` is "text" (all text fields, joined), "words" (the same words in any order and number,
    `texts.near_key`, of all text fields), "embedding", or a field; `limit` the least Jaccard
    similarity of a text, the least cosine of an embedding, or the most bits of 64 that the
    perceptual hashes of images may differ in. "words" has none.
    """

    name: str
    limit: float | None = None

    @classmethod
    def parse(cls, text: str) -> NearRule:
        """Read "text=0.8", "title=0.8", "photo=6", "embedding=0.95" or "words".

        Raises:
            InputError: no limit, or not a number.
        """
        if text == "words":
            return cls(text)
        name, _, limit = text.rpartition("=")
        try:
            return cls(name, float(limit)) if name else cls._refuse(text)
        except ValueError:
            return cls._refuse(text)

    @classmethod
    def _refuse(cls, text: str) -> NearRule:
        raise InputError(
            f"expected NAME=LIMIT, such as text=0.8, or words; found {text!r}", where="near"
        )


class WordsCriterion:
    """Two texts are near duplicates if they have the same words, as `texts.near_key` says.

    Args:
        texts: normalised texts, shape (N,); "" is like no other.
        name: what the texts are called in reports.
    """

    def __init__(self, texts: pl.Series, *, name: str = "text") -> None:
        self.how = f"same words in the {name}"
        self.same = same_words(texts).replace("", None)
        self._keys = self.same.rank("dense").fill_null(0).to_numpy().astype(np.uint64)

    def candidates(self, rows: NDArray[np.int64], wanted: Wanted) -> Iterator[Pairs]:
        """Yield the pairs with the same words."""
        yield from bucket_pairs(self._keys[None], rows, wanted)

    def alike(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Return for each pair whether it has the same words."""
        return np.asarray(self._keys[pairs[:, 0]] == self._keys[pairs[:, 1]])


def make_criteria(
    dataset: Tables,
    table: str,
    rules: Sequence[NearRule],
    *,
    shingles: Shingles | None = None,
    embeddings: NDArray[np.floating] | None = None,
    engine: Engine | None = None,
) -> list[Criterion]:
    """Return the criteria of a table, those first that propose the fewest comparisons.

    Args:
        dataset: any ranking data set.
        table: "queries" or "documents".
        rules: what records are to share.
        shingles: of texts; runs of 4 characters if None.
        embeddings: float (N, D) of the table's records, for the rule "embedding".
        engine: where texts are normalised and images read; threads of this machine if None.

    Raises:
        InputError: a rule that names no field, lacks its limit, or whose limit is out of range;
            embeddings that are missing, of no use, or not one for each record.
        MissingExtraError: datasketch or imagehash is not installed.
    """
    engine = engine or LocalEngine()
    if embeddings is not None and len(embeddings) != dataset.height(table):
        raise InputError(
            f"expected {dataset.height(table):,} embeddings, one for each record, found"
            f" {len(embeddings):,}",
            where=f"near, {table}",
        )
    fields = {f.name: f for f in dataset.fields(table)}
    texts = [f for f in fields.values() if f.modality == "text"]
    made: list[tuple[int, Criterion]] = []
    for rule in rules:
        known = fields.get(rule.name)
        if known is not None and known.modality == "image":
            limit = _whole(rule)
            found = ImageCriterion.of(dataset, table, rule.name, limit, engine)
            made.append((2, found))
        elif known is not None or (rule.name in ("text", "words") and texts):
            several = [known] if known else texts
            column = normalised_texts(dataset, table, several, engine)
            made.append(_text_criterion(rule, column, shingles))
        elif rule.name == "embedding" and embeddings is not None:
            made.append((3, VectorCriterion(embeddings, _limit(rule))))
        else:
            raise _unknown(rule, fields, bool(texts))
    return [criterion for _, criterion in sorted(made, key=lambda pair: pair[0])]


def normalised_texts(
    dataset: Tables, table: str, fields: Sequence[Field], engine: Engine
) -> pl.Series:
    """Return the texts of these fields, joined by a space and normalised (`texts.normalised`)."""
    names = [f.name for f in fields]
    parts = engine.map(_Normalised(tuple(fields)), dataset.parts(table, names))
    return pl.concat([pl.Series("text", dtype=pl.String), *parts])


@dataclass(frozen=True)
class _Normalised:
    fields: tuple[Field, ...]

    def __call__(self, part: Part) -> pl.Series:
        return normalised(joined_text(part.read(), self.fields))


def _text_criterion(
    rule: NearRule, column: pl.Series, shingles: Shingles | None
) -> tuple[int, Criterion]:
    if rule.name == "words" and rule.limit is None:
        return 0, WordsCriterion(column)
    return 1, TextCriterion(column, _limit(rule), shingles, name=rule.name)


def _limit(rule: NearRule) -> float:
    if rule.limit is None:
        raise InputError(f"expected a limit, as in {rule.name}=0.8", where="near")
    return rule.limit


def _whole(rule: NearRule) -> int:
    limit = _limit(rule)
    if limit % 1:
        raise InputError(
            f"expected a number of bits, as in {rule.name}=6, found {limit:g}", where="near"
        )
    return int(limit)


def _unknown(rule: NearRule, fields: dict[str, Field], has_text: bool) -> InputError:
    if rule.name == "embedding":
        return InputError(
            "the rule embedding needs embeddings",
            where="near",
            remedy="Give a model with --model, or a matrix with --embeddings.",
        )
    known = [*(["text", "words"] if has_text else []), "embedding", *fields]
    return InputError(f"expected one of {', '.join(known)}, found {rule.name!r}", where="near")
