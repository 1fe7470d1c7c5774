"""One query over one state of an index, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from rankfield.encoders import RankingModel
from rankfield.errors import InputError
from rankfield.query.answer import Answer, Hit
from rankfield.query.arms import Constraints, lexical_arm, vector_arm
from rankfield.query.boosts import boosts_of, check_boosts
from rankfield.query.candidates import Candidates
from rankfield.query.column_kinds import require_column
from rankfield.query.counting import Facet, check_columns, collapsed, facet_of, group_sizes
from rankfield.query.cursors import Cursor
from rankfield.query.diversity import diverse
from rankfield.query.explanation import Explanation
from rankfield.query.filters import filter_mask
from rankfield.query.fusion import fused, unfused
from rankfield.query.lexical import words_of
from rankfield.query.query import Query
from rankfield.query.similarities import similarities
from rankfield.query.vectors import Embed, QueryVector, unit_vectors, weighted_sum
from rankfield.query.view import Rows, View
from rankfield.search import SearchOptions

__all__ = ["Run"]

Bools = npt.NDArray[np.bool_]


class Run:
    """One query over one state of an index."""

    def __init__(self, query: Query, view: View, model: RankingModel) -> None:
        """Check the query against what the index stores.

        Raises:
            InputError: a column that is not stored or of another type, or a cursor that does not
                belong here.
        """
        self.query, self.view, self.model = query, view, model
        schema = view.documents.schema
        check_boosts(query.boost, schema)
        check_columns(query.facets, schema, "facets")
        if query.collapse is not None:
            check_columns([query.collapse], schema, "collapse")
        for name in self.text_weights:
            require_column(name, schema, "query, hybrid.fields", ("text",))
        cursor = None
        if query.cursor is not None:
            cursor = Cursor.read(query.cursor, query, view.version)
        self.start = cursor.place if cursor else query.offset
        self.now = query.now or (cursor.now if cursor else datetime.now(UTC))

    @cached_property
    def text_weights(self) -> dict[str, float]:
        """The text columns that BM25 reads, with their weights."""
        if self.query.hybrid is None:
            return {}
        named = self.query.hybrid.field_weights()
        found = named or dict.fromkeys(self.view.index.metadata.text_fields, 1.0)
        if not found:
            raise InputError(
                "the index stores no text field",
                where="query, hybrid",
                remedy="Name stored columns of text: hybrid.fields.",
            )
        return found

    @cached_property
    def text_words(self) -> list[str]:
        """The words that BM25 looks for."""
        hybrid = self.query.hybrid
        if hybrid is None:
            return []
        if hybrid.text is not None:
            return words_of(hybrid.text)
        texts = [part.text for part in self.query.parts if part.text and part.weight > 0]
        return words_of(" ".join(texts))

    def words(self, row: int) -> dict[str, dict[str, float]]:
        """Return field → word → what it adds to BM25 of a document."""
        if self.query.hybrid is None:
            return {}
        index = self.view.lexical(list(self.text_weights))
        return index.terms_of(row, self.text_words, self.text_weights)

    def allowed(self) -> Bools | None:
        """Return which documents the filter lets through, those left out that parts are like."""
        query, view = self.query, self.view
        found: Bools | None = None
        if query.filter is not None:
            found = filter_mask(query.filter, view.documents).to_numpy().copy()
        liked = {part.like for part in query.parts if part.like is not None}
        if liked and not query.keep_liked:
            found = np.ones(len(view), dtype=np.bool_) if found is None else found
            found[[view.rows[one] for one in liked if one in view.rows]] = False
        return found

    def embedded(self, embed: Embed, allowed: Bools | None) -> tuple[QueryVector, Constraints]:
        """Return the query's vector, and which documents may be found."""
        parts, excluded = self.query.parts, self.query.exclude
        contents = [
            *((f"query, query.{i}", part) for i, part in enumerate(parts)),
            *((f"query, exclude.{i}", part) for i, part in enumerate(excluded)),
        ]
        units = unit_vectors(contents, self.model, self.view.index, embed)
        constraints = Constraints(
            allowed,
            units[len(parts) :].astype(np.float32),
            np.array([part.above for part in excluded], dtype=np.float64),
        )
        return weighted_sum(parts, units[: len(parts)]), constraints

    def candidates(
        self, vector: QueryVector, constraints: Constraints, options: SearchOptions
    ) -> Candidates:
        """Return what the arms find, with its score."""
        query, view = self.query, self.view
        count = query.candidates
        if self._is_plain:  # then a longer list begins with the shorter one
            count = min(count, self.start + query.limit + 1)
        rows, similarity = vector_arm(
            view, vector.vector, count, constraints, options, exact=query.exact
        )
        if query.hybrid is None:
            return unfused(rows, similarity)
        text_rows, scores = lexical_arm(
            view, self.text_words, self.text_weights, count, constraints
        )
        only = text_rows[~np.isin(text_rows, rows)]
        both = np.concatenate([rows, only])
        ranks = np.stack([_ranks(both, rows), _ranks(both, text_rows)], axis=1)
        near = similarities(vector.vector[None], view.vectors(only))[0]
        return fused(query.hybrid, both, np.concatenate([similarity, near]), scores[both], ranks)

    @property
    def _is_plain(self) -> bool:
        query = self.query
        diversity = query.mmr.diversity if query.mmr is not None else 0
        return not (query.hybrid or query.boost or query.collapse or diversity)

    def ordered(self, candidates: Candidates) -> Candidates:
        """Return the results in their final order, those of other pages too."""
        query, view = self.query, self.view
        if (least := self._least(candidates)) is not None:
            candidates = candidates.at(candidates.similarity.astype(np.float64) >= least)
        if query.boost:
            documents = view.documents[candidates.rows]
            candidates = candidates.boosted(boosts_of(query.boost, documents, self.now))
        candidates = candidates.ordered()
        if query.collapse is not None:
            candidates = collapsed(candidates, view.documents[query.collapse])
        if query.mmr is not None and query.mmr.diversity:
            candidates = candidates.at(slice(query.mmr.candidates))
            vectors = view.vectors(candidates.rows)
            candidates = diverse(candidates, vectors, query.mmr.diversity)
        return candidates.at(slice(query.depth))

    def _least(self, candidates: Candidates) -> float | None:
        """Return the least similarity of a result."""
        best = float(candidates.similarity.max()) if len(candidates) else 0.0
        return self._cutoff(best)

    def _cutoff(self, best: float) -> float | None:
        cutoff = self.query.cutoff
        if cutoff is None:
            return None
        bounds = [cutoff.min_similarity]
        if cutoff.relative is not None and best > 0:
            bounds.append(cutoff.relative * best)
        return max((bound for bound in bounds if bound is not None), default=None)

    def matching(self, vector: QueryVector, constraints: Constraints) -> Bools | None:
        """Return which documents match, if they are counted."""
        query = self.query
        if not (query.count or query.facets or query.collapse is not None):
            return None
        best = 0.0
        if query.cutoff is not None and query.cutoff.relative is not None:
            _, nearest = vector_arm(self.view, vector.vector, 1, constraints, None, exact=True)
            best = float(nearest[0]) if len(nearest) else 0.0
        return constraints.matching(self.view, vector.vector, self._cutoff(best))

    def answer(
        self,
        page: Candidates,
        matching: Bools | None,
        explanations: Sequence[Explanation] | None,
        count: int,
        milliseconds: Mapping[str, float],
    ) -> Answer:
        """Return the answer of a page.

        Args:
            page: the results to show.
            matching: which documents match.
            explanations: of the results.
            count: of the results of all pages, as far as it is known that there are more.
            milliseconds: what took how long.
        """
        query, view = self.query, self.view
        documents = view.documents[page.rows]
        others: list[int | None] = [None] * len(page)
        if query.collapse is not None and matching is not None:
            sizes = group_sizes(view.documents[query.collapse], matching, page.rows)
            others = [size - 1 for size in sizes]
        hits = tuple(
            Hit(
                rank=self.start + place + 1,
                doc_id=row["doc_id"],
                score=float(page.score[place]),
                similarity=float(page.similarity[place]),
                document={name: value for name, value in row.items() if name != "doc_id"},
                others=others[place],
                explanation=explanations[place] if explanations is not None else None,
            )
            for place, row in enumerate(documents.iter_rows(named=True))
        )
        return Answer(
            hits=hits,
            cursor=self._cursor(self.start + len(page), count),
            matching=int(matching.sum()) if matching is not None else None,
            facets=self._facets(matching),
            documents=documents,
            index_version=view.version,
            model_fingerprint=view.index.metadata.model_fingerprint,
            milliseconds=milliseconds,
        )

    def _cursor(self, end: int, count: int) -> str | None:
        if end >= min(count, self.query.depth):
            return None
        return Cursor(self.query.fingerprint(), self.view.version, end, self.now).text()

    def _facets(self, matching: Bools | None) -> dict[str, Facet]:
        if matching is None or not self.query.facets:
            return {}
        kept, documents = pl.Series(matching), self.view.documents
        most = self.query.facet_values
        return {name: facet_of(documents[name].filter(kept), most) for name in self.query.facets}


def _ranks(rows: Rows, ranked: Rows) -> Rows:
    """Return the place of each row in a ranked list, from 1; 0 where it is not there."""
    places = {row: place for place, row in enumerate(ranked.tolist(), 1)}
    return np.array([places.get(row, 0) for row in rows.tolist()], dtype=np.int64)
