"""How a score comes about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rankfield.query.candidates import Candidates
from rankfield.query.plain import plain_value
from rankfield.query.query import Query
from rankfield.query.vectors import QueryVector

__all__ = ["Explanation", "Term", "explained"]

Kind = Literal["arm", "part", "field", "word", "rest", "boost", "penalty"]


@dataclass(frozen=True)
class Term:
    """What one thing adds to the value above it.

    kind: "arm" (vectors or text), "part" (of the query), "field" (of the document), "word",
        "rest" (what rounding the stored vector left), "boost", "penalty".
    name: which.
    adds: to the value of the term above, or to the score.
    value: what the terms below add up to: `adds`, but for an arm, whose value is its similarity or
        BM25, of which fusion makes what it adds.
    notes: what else there is to know, such as the rank or a column's value.
    terms: what it is made of, as far as known.
    """

    kind: Kind
    name: str
    adds: float
    value: float
    notes: Mapping[str, Any] = field(default_factory=dict)
    terms: tuple[Term, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        found: dict[str, Any] = {"kind": self.kind, "name": self.name, "adds": self.adds}
        if self.kind == "arm":
            found["value"] = self.value
        if self.notes:
            found["notes"] = {name: plain_value(note) for name, note in self.notes.items()}
        if self.terms:
            found["terms"] = [term.to_json() for term in self.terms]
        return found


@dataclass(frozen=True)
class Explanation:
    """The terms that add up to a score, within 1e-6; likewise those below each term to its value.

    score: of the document.
    terms: arms, boosts, penalty.
    notes: what is not explained, and why.
    """

    score: float
    terms: tuple[Term, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        found: dict[str, Any] = {"score": self.score, "terms": [t.to_json() for t in self.terms]}
        return found | ({"notes": list(self.notes)} if self.notes else {})


def explained(
    query: Query,
    vector: QueryVector,
    candidates: Candidates,
    place: int,
    *,
    document: npt.NDArray[np.float32],
    fields: Mapping[str, npt.NDArray[np.float64]] | None,
    words: Mapping[str, Mapping[str, float]],
    values: Sequence[Any],
    like: str | None,
    notes: Sequence[str] = (),
) -> Explanation:
    """Return the explanation of one candidate.

    Args:
        query: the query.
        vector: its vector.
        candidates: among which it is.
        place: where.
        document: float32 (D,), its stored vector.
        fields: field → what it adds to that vector, float64 (D,); None where that is not known.
        words: field → word → what it adds to BM25.
        values: of the columns of the boosts.
        like: the id of the result above that it is most like.
        notes: what is not explained, and why.
    """
    arms = [_vector_arm(query, vector, candidates, place, document=document, fields=fields)]
    if query.hybrid is not None:
        arms.append(_text_arm(candidates, place, words, query.hybrid.weights.text))
    boosts = [
        Term("boost", f"{boost.field} ({boost.scale})", float(added), float(added),
             {"value": value, "weight": boost.weight})
        for boost, added, value in zip(query.boost, candidates.boosts[place], values, strict=True)
    ]  # fmt: skip
    terms = [*arms, *boosts]
    if query.mmr is not None and query.mmr.diversity:
        penalty = float(candidates.penalty[place])
        about = {"like": like, "similarity": float(candidates.like_similarity[place])}
        terms.append(Term("penalty", "diversity", penalty, penalty, about if like else {}))
    return Explanation(float(candidates.score[place]), tuple(terms), tuple(notes))


def _vector_arm(
    query: Query,
    vector: QueryVector,
    candidates: Candidates,
    place: int,
    *,
    document: npt.NDArray[np.float32],
    fields: Mapping[str, npt.NDArray[np.float64]] | None,
) -> Term:
    stored = document.astype(np.float64)
    terms = []
    for part, unit, share in zip(query.parts, vector.units, vector.shares, strict=True):
        adds = float(share * (unit @ stored))
        notes = {"weight": part.weight, "similarity": float(unit @ stored)}
        below = [Term("field", name, f, f) for name, f in _field_adds(unit, share, fields)]
        if below:
            rest = adds - sum(term.adds for term in below)
            below.append(Term("rest", "rounding of the stored vector", rest, rest))
        terms.append(Term("part", part.name, adds, adds, notes, tuple(below)))
    rank = int(candidates.ranks[place, 0])
    about: dict[str, Any] = {}
    if query.hybrid is not None:
        about = {"rank": rank or None, "weight": query.hybrid.weights.vector}
    value = float(candidates.similarity[place])
    return Term("arm", "vector", float(candidates.arms[place, 0]), value, about, tuple(terms))


def _field_adds(
    unit: npt.NDArray[np.float64],
    share: float,
    fields: Mapping[str, npt.NDArray[np.float64]] | None,
) -> list[tuple[str, float]]:
    return [(name, float(share * (unit @ added))) for name, added in (fields or {}).items()]


def _text_arm(
    candidates: Candidates, place: int, words: Mapping[str, Mapping[str, float]], weight: float
) -> Term:
    terms = []
    for name, scores in words.items():
        below = tuple(Term("word", word, adds, adds) for word, adds in scores.items())
        total = sum(term.adds for term in below)
        terms.append(Term("field", name, total, total, {}, below))
    notes = {"rank": int(candidates.ranks[place, 1]) or None, "weight": weight}
    value = float(candidates.bm25[place])
    return Term("arm", "text", float(candidates.arms[place, 1]), value, notes, tuple(terms))
