"""Product titles: some attributes are left to the image, others are in no image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rankfield.synthetic.catalogue import BLOCK, Catalogue
from rankfield.synthetic.vocabulary import (
    AUDIENCE_ADJECTIVES,
    AUDIENCES,
    BRANDS,
    CATEGORIES,
    COLOURS,
    MATERIALS,
    PATTERNS,
    SIZES,
    STYLES,
    USES,
    Category,
    Term,
)

__all__ = ["make_titles"]

_STATED = {
    "colour": 0.3,
    "pattern": 0.3,
    "material": 0.45,
    "style": 0.8,
    "use": 0.75,
    "audience": 0.85,
    "brand": 0.85,
    "size": 0.65,
}
"""How likely a title is to state an attribute."""

_TERMS: dict[str, tuple[Term, ...]] = {
    "colour": tuple(term for term, _ in COLOURS),
    "pattern": PATTERNS,
    "material": MATERIALS,
    "style": STYLES,
    "use": USES,
    "audience": AUDIENCES,
    "brand": tuple(Term(name) for name in BRANDS),
    "size": SIZES,
}

_SERIES = (
    "Aura", "Bay", "Cove", "Dawn", "Ember", "Fern", "Grove", "Haze", "Iris", "Jade", "Koda",
    "Luna", "Mira", "Nova", "Opal", "Pine", "Quill", "Reed", "Sol", "Terra", "Uno", "Vela",
    "Wave", "Xeno", "Yuna", "Zeta",
)  # fmt: skip

_FORMS = (
    "{brand} {series} {style} {colour} {pattern} {material} {noun}{for_audience}{,use}{,size}",
    "{style} {material} {noun}{for_audience}{in_colour}{,pattern}{,use}{,size}{by_brand}",
    "{whose} {noun} {brand} {series} {material} {colour} {pattern}{,style}{for_use}{,size}",
    "{colour} {pattern} {noun}{of_material}{for_use}{,audience}{,style}{,size}{by_brand}",
    "{brand} {noun} {series}{,style}{,material}{in_colour}{,pattern}{for_audience}{,use}{,size}",
)

_PHRASES = {
    "for_audience": (" for {}", "audience"),
    "for_use": (" for {}", "use"),
    "in_colour": (" in {}", "colour"),
    "of_material": (" of {}", "material"),
    "by_brand": (" by {}", "brand"),
    ",audience": (", {}", "whose"),
    ",use": (", {}", "use"),
    ",size": (", {}", "size"),
    ",pattern": (", {}", "pattern"),
    ",style": (", {}", "style"),
    ",material": (", {}", "material"),
}
"""Phrase → how it reads, and the attribute it needs; without that the phrase is left out."""


def make_titles(block: Catalogue, number: int, seed: int) -> list[str]:
    """Return one title for each product of block `number` of the catalogue."""
    rng = np.random.default_rng([seed, 2, number])
    told = rng.random((BLOCK, len(_STATED))) < list(_STATED.values())
    draws = rng.random((BLOCK, len(_STATED) + 1)).tolist()
    forms = rng.integers(0, len(_FORMS), BLOCK).tolist()
    series = rng.integers(0, 3 * 9 * len(_SERIES), BLOCK).tolist()
    values = np.stack([getattr(block, name) for name in _STATED], 1).tolist()
    categories = block.category.tolist()
    return [
        _title(
            CATEGORIES[categories[row]],
            values=values[row],
            told=told[row],
            draws=draws[row],
            form=forms[row],
            series=series[row],
        )
        for row in range(len(block))
    ]


def _title(
    category: Category,
    *,
    values: Sequence[int],
    told: Sequence[bool],
    draws: Sequence[float],
    form: int,
    series: int,
) -> str:
    words = dict.fromkeys((*_STATED, *_PHRASES, "series", "whose"), "")
    words["noun"] = _pick(category.words, draws[-1])
    for name, value, tell, draw in zip(_STATED, values, told, draws, strict=False):
        if tell:
            words[name] = _pick(_TERMS[name][value].words, draw)
    if words["size"] and draws[0] < 0.6:
        words["size"] = category.sizes[values[-1]]
    if words["audience"]:
        words["whose"] = AUDIENCE_ADJECTIVES[values[list(_STATED).index("audience")]]
    if series < 9 * len(_SERIES):
        words["series"] = f"{_SERIES[series // 9]} {series % 9 + 1}"
    for phrase, (reads, needs) in _PHRASES.items():
        words[phrase] = reads.format(words[needs]) if words[needs] else ""
    title = " ".join(_FORMS[form].format(**words).split()).replace(" ,", ",")
    return title[0].upper() + title[1:]


def _pick(words: tuple[str, ...], draw: float) -> str:
    """Take the usual word in half of the cases, one of all words in the rest."""
    return words[0] if draw < 0.5 else words[int((2 * draw - 1) * len(words))]
