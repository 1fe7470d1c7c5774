"""What shoppers ask for: attributes they state, and how they word them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rankfield.synthetic.catalogue import Catalogue
from rankfield.synthetic.vocabulary import (
    AUDIENCE_ADJECTIVES,
    AUDIENCES,
    BRANDS,
    CATEGORIES,
    COLOURS,
    GROUPS,
    MATERIALS,
    PATTERNS,
    SIZES,
    STYLES,
    USES,
)

__all__ = ["Query", "make_queries"]

_HABITS = {
    "colour": 7.0,
    "pattern": 5.5,
    "material": 2.4,
    "style": 1.4,
    "use": 1.4,
    "audience": 1.4,
    "brand": 1.3,
    "size": 0.8,
    "price": 0.8,
}
"""How often shoppers state an attribute, relative to the others."""

_LENGTHS = (0.04, 0.2, 0.38, 0.27, 0.11)
"""Shares of queries that state 0, 1, 2, … attributes beside the kind of product."""

_TRIES = 200


@dataclass(frozen=True)
class Query:
    """A query's text and the wishes behind it.

    `wishes`: attribute → position in the vocabulary; `price` holds the most to pay. A query
    without "category" may name a `group`, or nothing but attributes.
    """

    text: str
    wishes: dict[str, int]
    group: str = ""


def make_queries(catalogue: Catalogue, count: int, seed: int) -> list[Query]:
    """Return `count` queries; their texts differ as far as the vocabulary allows.

    Each starts from a product of the catalogue and states some of its attributes, now and then
    with one changed, so that combinations are plausible but not always in stock.
    """
    rng = np.random.default_rng([seed, 3])
    seen: set[str] = set()
    queries = []
    for _ in range(count):
        for _ in range(_TRIES):
            query = _query(rng, catalogue)
            if query.text not in seen:
                break
        seen.add(query.text)
        queries.append(query)
    return queries


def _query(rng: np.random.Generator, catalogue: Catalogue) -> Query:
    row = int(rng.integers(len(catalogue)))
    wishes = _wishes(rng, catalogue, row)
    category = int(catalogue.category[row])
    vague = rng.random()
    group = ""
    if vague < 0.92 or len(wishes) < 2:
        wishes["category"] = category
    elif vague < 0.98:
        group = CATEGORIES[category].group
    return Query(_text(rng, wishes, group), wishes, group)


def _wishes(rng: np.random.Generator, catalogue: Catalogue, row: int) -> dict[str, int]:
    habits = dict(_HABITS)
    if catalogue.pattern[row] == 0:
        habits["pattern"] = 0.6
    share = np.array(list(habits.values()))
    number = int(rng.choice(len(_LENGTHS), p=_LENGTHS))
    names = rng.choice(list(habits), number, replace=False, p=share / share.sum())
    wishes: dict[str, int] = {}
    for name in names.tolist():
        if name == "price":
            wishes[name] = _round_price(float(catalogue.price[row]) * rng.uniform(0.9, 1.3))
        else:
            wishes[name] = int(getattr(catalogue, name)[row])
    if "colour" in wishes and rng.random() < 0.25:
        wishes["colour"] = int(rng.integers(len(COLOURS)))
    if "pattern" in wishes and rng.random() < 0.15:
        wishes["pattern"] = int(rng.integers(len(PATTERNS)))
    return wishes


def _round_price(price: float) -> int:
    step = 5 if price < 60 else 10 if price < 150 else 50
    return max(step, round(price / step) * step)


def _text(rng: np.random.Generator, wishes: dict[str, int], group: str) -> str:
    """Word the wishes: adjectives before the noun, further phrases behind, in varying order."""
    before: list[str] = []
    behind: list[str] = []
    for name, (terms, adjective, phrase) in _WORDING.items():
        if name not in wishes:
            continue
        words = terms[wishes[name]]
        if name == "audience" and rng.random() < 0.4:
            before.append(AUDIENCE_ADJECTIVES[wishes[name]])
            continue
        word = words[0] if rng.random() < 0.55 else words[int(rng.integers(len(words)))]
        if adjective and (not phrase or rng.random() < 0.75):
            before.append(word)
        else:
            behind.append(phrase.format(word))
    if "price" in wishes:
        phrase = ("under {}", "below {}", "up to {}")[int(rng.integers(3))]
        behind.append(phrase.format(wishes["price"]))
    if rng.random() < 0.25:
        rng.shuffle(before)
    noun = _noun(rng, wishes, group)
    if "category" not in wishes and not group:
        return " ".join([noun, *before, *behind])
    if before and rng.random() < 0.12:
        return " ".join([noun, *before, *behind])
    return " ".join([*before, noun, *behind])


def _noun(rng: np.random.Generator, wishes: dict[str, int], group: str) -> str:
    if "category" in wishes:
        words = CATEGORIES[wishes["category"]].words
        return words[0] if rng.random() < 0.55 else words[int(rng.integers(len(words)))]
    words = GROUPS[group] if group else ("something", "anything", "gift idea")
    return words[int(rng.integers(len(words)))]


_WORDING: dict[str, tuple[list[tuple[str, ...]], bool, str]] = {
    "size": ([t.words for t in SIZES], True, ""),
    "style": ([t.words for t in STYLES], True, ""),
    "colour": ([t.words for t, _ in COLOURS], True, "in {}"),
    "pattern": ([t.words for t in PATTERNS], True, "with {} pattern"),
    "material": ([t.words for t in MATERIALS], True, "made of {}"),
    "brand": ([(name.lower(),) for name in BRANDS], True, "by {}"),
    "use": ([t.words for t in USES], False, "for {}"),
    "audience": ([t.words for t in AUDIENCES], False, "for {}"),
}
"""Attribute → its words, whether they stand before the noun, how they read behind it."""
