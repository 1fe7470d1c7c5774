"""The judged pairs of a batch: which query knows what about which document."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rankfield.on_device import on_device

__all__ = ["JudgedPairs", "check_batch", "check_rows"]


@dataclass(frozen=True)
class JudgedPairs:
    """P judged pairs among the m queries and n documents of a batch, each pair once.

    queries, documents: int64 P, indices into the batch's queries and documents.
    scores: float P, any finite scale; a pair that is not listed is unjudged.
    weights: float P, ≥ 0: how much each pair counts in the loss.
    """

    queries: Tensor
    documents: Tensor
    scores: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.queries)

    def to(self, device: torch.device) -> JudgedPairs:
        """Return the same on another device."""
        return JudgedPairs(
            *(
                on_device(x, device)
                for x in (self.queries, self.documents, self.scores, self.weights)
            )
        )

    def transposed(self) -> JudgedPairs:
        """Return the same pairs with queries and documents exchanged."""
        return JudgedPairs(self.documents, self.queries, self.scores, self.weights)

    def one_by_one(self) -> JudgedPairs:
        """Return the pairs with a query and a document of their own: pair i is (i, i)."""
        own = torch.arange(len(self), device=self.weights.device)
        return JudgedPairs(own, own, self.scores, self.weights)

    def chosen(self, index: Tensor) -> JudgedPairs:
        """Return the pairs at int64 `index`."""
        return JudgedPairs(*(x[index] for x in vars(self).values()))

    def among_documents(self, kept: Tensor) -> JudgedPairs:
        """Return the pairs of the documents where bool n `kept` holds, renumbered without gaps."""
        position = kept.cumsum(0) - 1
        pair = kept[self.documents]
        return JudgedPairs(
            self.queries[pair],
            position[self.documents[pair]],
            self.scores[pair],
            self.weights[pair],
        )

    def check(self, queries: int, documents: int) -> None:
        """Raise a ValueError unless the pairs fit a batch of so many queries and documents."""
        shapes = {tuple(x.shape) for x in vars(self).values()}
        if len(shapes) != 1 or self.queries.ndim != 1:
            raise ValueError(f"expected four tensors of one length, found shapes {sorted(shapes)}")
        if len(self) == 0:
            raise ValueError("expected at least one judged pair, found none")
        for name, index, size in (
            ("query", self.queries, queries),
            ("document", self.documents, documents),
        ):
            if int(index.min()) < 0 or int(index.max()) >= size:
                raise ValueError(f"a {name} index lies outside 0 … {size - 1}")


def check_batch(query_embeddings: Tensor, document_embeddings: Tensor, pairs: JudgedPairs) -> None:
    """Raise a ValueError unless the embeddings are m × D and n × D and the pairs fit them."""
    queries, documents = tuple(query_embeddings.shape), tuple(document_embeddings.shape)
    if len(queries) != 2 or len(documents) != 2 or queries[1] != documents[1]:
        raise ValueError(f"expected m × D and n × D, found {queries} and {documents}")
    pairs.check(queries[0], documents[0])


def check_rows(query_embeddings: Tensor, document_embeddings: Tensor, weights: Tensor) -> None:
    """Raise a ValueError unless they are N × D, N × D and N, with a pair in each row."""
    shape = query_embeddings.shape
    if len(shape) != 2 or shape != document_embeddings.shape or weights.shape != shape[:1]:
        raise ValueError(
            f"expected N × D, N × D and N; found {tuple(shape)}, "
            f"{tuple(document_embeddings.shape)} and {tuple(weights.shape)}"
        )
    if shape[0] == 0:
        raise ValueError("expected at least one pair, found none")
