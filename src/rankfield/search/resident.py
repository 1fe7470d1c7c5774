"""Documents prepared once, so that a few queries are answered at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from rankfield.search.corpus import Corpus
from rankfield.search.first_pass import FirstPass, Look, first_pass
from rankfield.search.hits import Hits
from rankfield.search.options import SearchOptions
from rankfield.search.order import hits_of, packed, sort_rows
from rankfield.search.rows import check_finite, rows_of
from rankfield.search.screening import full_precision
from rankfield.search.similarity import all_similarities, embeddings_of

__all__ = ["ResidentCorpus", "ranked_rows"]

_AT_ONCE = 65_536
_QUERIES = 64
"""More queries than that are searched faster tile by tile."""
_FEW = 4096
"""So few documents are computed exactly without a first pass."""
_SHARE = 8
"""From N / 8 documents on that can be found, all are looked at in place of copying those."""
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class ResidentCorpus:
    """A corpus of which few queries at a time are asked, as by a service.

    `Corpus.search` prepares every document for each search; here that is done once, and a search
    is one product, the k best of it, and the exact similarities of those that may be among the
    best. With a first pass of proven error ("none", "int8") it finds what `exact_search` finds, to
    the bit; with another one what is best among the first k · `oversample` of the first pass, with
    exact similarities in the canonical order.

    corpus: the documents.
    look: the first pass.
    oversample: how many times k documents are computed exactly, where the error is unknown.
    """

    corpus: Corpus
    look: FirstPass
    oversample: int

    @property
    def proven(self) -> bool:
        """Whether it finds what exact search finds."""
        return self.look.proven

    @classmethod
    def of(cls, corpus: Corpus, name: str = "none", oversample: int = 16) -> ResidentCorpus:
        """Return a corpus prepared for a first pass (`first_pass`).

        Raises:
            DataError: a document that is not finite.
        """
        longest = 0.0
        for start in range(0, len(corpus.vectors), _AT_ONCE):
            block = rows_of(corpus.vectors, slice(start, start + _AT_ONCE), _CPU)
            norms = torch.linalg.vector_norm(block, dim=1)
            check_finite("document", block, start, norms)
            longest = max(longest, float(norms.max()))
        return cls(corpus, first_pass(name, corpus.vectors, longest), oversample)

    def search(
        self,
        queries: npt.NDArray[np.float32],
        k: int,
        options: SearchOptions | None = None,
        chosen: npt.NDArray[np.bool_] | None = None,
    ) -> Hits:
        """Return the best documents of each query, (Q, min(k, N)), as `Corpus.search`.

        Args:
            queries: float32 (Q, D).
            k: how many documents a query gets, at least 1.
            options: how to search; many queries, or another device, go through `Corpus.search`.
            chosen: bool (N,), which documents can be found; all by default.

        Raises:
            DataError: as `exact_search`.
        """
        options = options or SearchOptions()
        corpus = self.corpus if chosen is None else self.corpus.among(chosen)
        count = len(corpus.vectors) if corpus.rows is None else len(corpus.rows)
        room = options.memory_mib * 2**20 // (16 * max(count, 1))
        exact = count <= _FEW
        if self.proven and not exact:
            if options.device != "cpu" or len(queries) > min(_QUERIES, room):
                return corpus.search(queries, k, options)
        elif len(queries) > (most := max(1, min(_QUERIES, room))):
            parts = range(0, len(queries), most)
            return Hits.joined(
                [self.search(queries[i : i + most], k, options, chosen) for i in parts]
            )
        asked = torch.from_numpy(np.array(queries, dtype=np.float32, order="C"))
        check_finite("query", asked, 0)
        hits = Hits.nothing(len(asked), min(k, len(corpus.vectors)))
        asking = asked.any(dim=1).nonzero()[:, 0].tolist() if count else []
        with full_precision():
            found = [corpus.rows] * len(asking) if exact else self._found(asked[asking], k, corpus)
            for query, rows in zip(asking, found, strict=True):
                one = slice(query, query + 1)
                hits.put(one, _best(asked[one], corpus, rows, k))
        return hits

    def _found(self, queries: torch.Tensor, k: int, corpus: Corpus) -> list[npt.NDArray[np.int64]]:
        """Return for each query the rows that can be among its best."""
        if not len(queries):
            return []
        rows = corpus.rows
        few = rows is not None and len(rows) * _SHARE < len(corpus.vectors)
        look = self.look.look(queries, rows if few else None)
        if rows is not None and not few:
            absent = np.ones(len(corpus.vectors), dtype=np.bool_)
            absent[rows] = False
            look.scores.masked_fill_(torch.from_numpy(absent), -torch.inf)
        places = _places(look, k, self.oversample)
        return [rows[place] if few and rows is not None else place for place in places]


def _places(look: Look, k: int, oversample: int) -> list[npt.NDArray[np.int64]]:
    """Return where the scores of each query may belong to its k best documents, ascending."""
    width = look.scores.shape[1]
    if look.error is None:
        best = look.scores.topk(min(k * oversample, width), dim=1)
        return [
            np.sort(places[values > -torch.inf].numpy())
            for values, places in zip(best.values, best.indices, strict=True)
        ]
    least = (look.scores - look.error).topk(min(k, width), dim=1).values[:, -1:]
    # An excluded document has −∞, which reaches a threshold of −∞ where few are left.
    passing = (look.scores + look.error >= least) & (look.scores > -torch.inf)
    return [np.flatnonzero(one) for one in passing.numpy()]


def _best(query: torch.Tensor, corpus: Corpus, rows: npt.NDArray[np.int64] | None, k: int) -> Hits:
    """Return the k best of some rows, or of all, by their exact similarities."""
    if rows is None:
        rows = np.arange(len(corpus.vectors), dtype=np.int64)
    return ranked_rows(query, rows_of(corpus.vectors, rows, _CPU), rows, k)


def ranked_rows(
    query: torch.Tensor, vectors: torch.Tensor, rows: npt.NDArray[np.int64], k: int
) -> Hits:
    """Return the k best of some documents by their exact similarities, (1, min(k, n)).

    Args:
        query: float32 (1, D).
        vectors: float32 (n, D), of the documents.
        rows: int64 (n,), what stands for them in the hits; ties are in its order.
        k: how many.
    """
    exact = embeddings_of(vectors, torch.linalg.vector_norm(vectors, dim=1))
    asked = embeddings_of(query, torch.linalg.vector_norm(query, dim=1))
    keys = packed(all_similarities(asked, exact), torch.from_numpy(rows)[None])
    return hits_of(sort_rows(keys, k))
