"""From a query to its answer: candidates of an index, ordered and explained here."""

from __future__ import annotations

import time

from rankfield.encoders import RankingModel
from rankfield.errors import ModelError
from rankfield.index import Index
from rankfield.query.answer import Answer
from rankfield.query.candidates import Candidates
from rankfield.query.document_fields import DocumentFields
from rankfield.query.explanation import Explanation, explained
from rankfield.query.query import Query
from rankfield.query.run import Run
from rankfield.query.vectors import Embed, QueryVector
from rankfield.query.view import View
from rankfield.search import SearchOptions

__all__ = ["Searcher"]


class Searcher:
    """Answers queries over an index.

    The store of the index gives candidates; fusion, boosts, diversity, explanation and the final
    order are made here, of exact similarities: by score, the largest first, and where scores are
    equal, by the order in which the documents were written.

    Args:
        index: what is searched; what is written to it is seen by the next query.
        model: the index's model (`index.index_model`).
        embed: what embeds the records of a query; `model.encode_queries` by default. Pages of one
            query need one vector: what batches several queries must give the same bits again.
        fields: what explains documents by field; by default the data set of the index, if needed
            and still there.

    Raises:
        ModelError: the model has another dimension than the index.
    """

    def __init__(
        self,
        index: Index,
        model: RankingModel,
        *,
        embed: Embed | None = None,
        fields: DocumentFields | None = None,
    ) -> None:
        if model.dimension != index.metadata.dimension:
            raise ModelError(
                f"expected a model of {index.metadata.dimension} dimensions, found "
                f"{model.dimension}",
                where=model.name,
                remedy="Take the index's own model: index_model(index).",
            )
        self._index, self._model, self._fields = index, model, fields
        self._embed: Embed = embed or (
            lambda records: model.encode_queries(list(records), show_progress_bar=False)
        )
        self._options = SearchOptions(device=str(model.device))
        self._view: View | None = None

    def search(self, query: object) -> Answer:
        """Return the page that a query asks for.

        Args:
            query: a `Query`, or what `Query.of` takes.

        Raises:
            InputError: a query that cannot be answered: says where in it.
            ImageError: an image that cannot be read.
            DataError: an unknown document in `like`.
        """
        run = Run(Query.of(query), self._current(), self._model)
        clock = _Clock()
        allowed = run.allowed()
        clock.lap("filter")
        vector, constraints = run.embedded(self._embed, allowed)
        clock.lap("embed")
        candidates = run.candidates(vector, constraints, self._options)
        clock.lap("store")
        candidates = run.ordered(candidates)
        page = candidates.at(slice(run.start, run.start + run.query.limit))
        matching = run.matching(vector, constraints)
        clock.lap("order")
        explanations = self._explained(run, vector, page) if run.query.explain else None
        clock.lap("explain")
        return run.answer(page, matching, explanations, len(candidates), clock.milliseconds)

    def _current(self) -> View:
        """Return a view of the index as it is now."""
        view = self._view
        if view is None or view.version != self._index.version:
            view = self._view = View(self._index)
        return view

    def _explained(self, run: Run, vector: QueryVector, page: Candidates) -> list[Explanation]:
        if self._fields is None:
            self._fields = DocumentFields.of_index(self._index, self._model)
        view, query = run.view, run.query
        documents, vectors = view.documents[page.rows], view.vectors(page.rows)
        fields, reason = self._fields.added(documents, vectors)
        columns = [documents[boost.field].to_list() for boost in query.boost]
        found = []
        for place, row in enumerate(page.rows.tolist()):
            like = int(page.like[place])
            notes = [f"not by field: {reason}"] if fields[place] is None and reason else []
            found.append(
                explained(
                    query,
                    vector,
                    page,
                    place,
                    document=vectors[place],
                    fields=fields[place],
                    words=run.words(row),
                    values=[column[place] for column in columns],
                    like=view.ids[like] if like >= 0 else None,
                    notes=notes,
                )
            )
        return found


class _Clock:
    """Measures what takes how long."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Name what was done since the last lap."""
        now = time.perf_counter()
        self.milliseconds[name] = round((now - self._last) * 1000, 3)
        self._last = now
