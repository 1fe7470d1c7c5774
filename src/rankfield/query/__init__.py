"""Queries of several parts over an index: filters, fusion, boosts, diversity, explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankfield.lazy_names import lazy_names

if TYPE_CHECKING:
    from rankfield.query.answer import Answer, Hit
    from rankfield.query.document_fields import DocumentFields
    from rankfield.query.explanation import Explanation, Term
    from rankfield.query.parts import Excluded, Part
    from rankfield.query.query import Boost, Cutoff, Hybrid, Mmr, Query, Weights
    from rankfield.query.searcher import Searcher
    from rankfield.query.words import boost_of_word, excluded_of_word, parts_of_words

_HOMES = {
    "Answer": "answer",
    "Boost": "query",
    "Cutoff": "query",
    "DocumentFields": "document_fields",
    "Excluded": "parts",
    "Explanation": "explanation",
    "Hit": "answer",
    "Hybrid": "query",
    "Mmr": "query",
    "Part": "parts",
    "Query": "query",
    "Searcher": "searcher",
    "Term": "explanation",
    "Weights": "query",
    "boost_of_word": "words",
    "excluded_of_word": "words",
    "parts_of_words": "words",
}

__all__ = [
    "Answer",
    "Boost",
    "Cutoff",
    "DocumentFields",
    "Excluded",
    "Explanation",
    "Hit",
    "Hybrid",
    "Mmr",
    "Part",
    "Query",
    "Searcher",
    "Term",
    "Weights",
    "boost_of_word",
    "excluded_of_word",
    "parts_of_words",
]

__getattr__ = lazy_names(__name__, _HOMES)
