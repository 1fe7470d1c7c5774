"""The proof of a published model: its real client gives the same vectors and the same ranking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankfield.encoders import RankingModel
from rankfield.encoders.base import Side
from rankfield.errors import ModelError
from rankfield.evaluation import join_judgments
from rankfield.metrics import mean_of_defined, measure
from rankfield.publishing.client import AnyClient
from rankfield.publishing.client_embedder import ClientEmbedder
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.sample import ProofSample
from rankfield.schema import Field, RankingDataset
from rankfield.search import Hits, rank_scores

__all__ = ["Expected", "Proof", "prove", "require_agreement"]

_ROUNDING = 1e-5
"""Cosines that differ by less are equal: float32 sums in another order."""
_ROWS = 256
_DEPTH = 10

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Proof:
    """How well a client's vectors agree with the model's own.

    layout, client: what was proved, and the client's version.
    data, fingerprint: of the records; "" where they were made up.
    queries, documents, incomplete: how many records, and documents that lack a field.
    dimension: of the fused vectors.
    largest_distance: the largest 1 − cos between a record's two vectors.
    largest_difference: the largest |difference| of a cosine between a query and a document.
    tolerance: what both may be.
    top10_overlap: mean share of the first 10 documents that are the same.
    ndcg10, client_ndcg10: mean nDCG@10 by the model's own and the client's vectors, over these
        documents; None without judgments. Cosines that differ by rounding alone count as equal.
    ndcg_loss: the share of nDCG@10 that may be lost.
    """

    layout: str
    client: str
    data: str
    fingerprint: str
    queries: int
    documents: int
    incomplete: int
    dimension: int
    largest_distance: float
    largest_difference: float
    tolerance: float
    top10_overlap: float | None
    ndcg10: float | None
    client_ndcg10: float | None
    ndcg_loss: float

    @property
    def disagreement(self) -> str:
        """What is larger than allowed, or ""."""
        for name, value in (
            ("1 - cosine of a record's two vectors", self.largest_distance),
            ("difference of a cosine", self.largest_difference),
        ):
            if not value <= self.tolerance:
                return f"the largest {name} is {value:.2g}, at most {self.tolerance:g} is allowed"
        if self.ndcg10 is not None and self.client_ndcg10 is not None:
            least = self.ndcg10 * (1 - self.ndcg_loss)
            if not self.client_ndcg10 >= least:
                return (
                    f"nDCG@10 is {self.client_ndcg10:.4f} instead of {self.ndcg10:.4f}, "
                    f"at least {least:.4f} is needed"
                )
        return ""

    def as_json(self) -> dict[str, Any]:
        """Return what `proof.json` holds."""
        return asdict(self)


@dataclass(frozen=True)
class Expected:
    """What a model makes of a sample, so that the model need not stay in memory.

    sample: the records.
    fields: of both sides.
    queries, documents: their unit vectors by the model itself, zeros of a record without a field.
    """

    sample: ProofSample
    fields: Mapping[Side, Sequence[Field]]
    queries: Vectors
    documents: Vectors

    @classmethod
    def of(
        cls, model: RankingModel, dataset: RankingDataset | None, options: PublishOptions
    ) -> Expected:
        """Embed the sample with the model.

        Raises:
            DataError, ImageError: as `RankingModel.embed_documents`.
        """
        sample = ProofSample.of(model, dataset, options)
        return cls(
            sample,
            {
                "query": model.current_fields("query"),
                "document": model.current_fields("document"),
            },
            model.embed_queries(sample.dataset, sample.view.queries),
            model.embed_documents(sample.dataset, sample.view.documents),
        )

    def compare(self, client: AnyClient, layout: ModelLayout, int8_loss: float) -> Proof:
        """Embed the same with a client and measure the differences.

        Args:
            client: of the folder.
            layout: of the folder.
            int8_loss: as `PublishOptions` has it.

        Raises:
            ModelError: the client gives vectors of another shape, length or not finite.
        """
        dataset, view = self.sample.dataset, self.sample.view
        dimension = self.queries.shape[1]
        embedder = ClientEmbedder(layout.name, client, self.fields, dimension)
        queries = embedder.embed_queries(dataset, view.queries)
        documents = embedder.embed_documents(dataset, view.documents)
        distance = max(_distance(queries, self.queries), _distance(documents, self.documents))
        difference, hits, client_hits = self._ranked(queries, documents)
        ndcg = [self._ndcg(found) for found in (hits, client_hits)]
        made_up = self.sample.view.judgments.is_empty() and not dataset.root
        return Proof(
            layout=layout.name,
            client=_version(layout.package),
            data=self.sample.source,
            fingerprint="" if made_up else dataset.fingerprint(),
            queries=len(queries),
            documents=len(documents),
            incomplete=self.sample.incomplete(self.fields["document"]),
            dimension=dimension,
            largest_distance=distance,
            largest_difference=difference,
            tolerance=layout.tolerance,
            top10_overlap=_overlap(hits, client_hits),
            ndcg10=ndcg[0],
            client_ndcg10=ndcg[1],
            ndcg_loss=int8_loss if layout.int8 else layout.ndcg_loss,
        )

    def _ranked(self, queries: Vectors, documents: Vectors) -> tuple[float, Hits, Hits]:
        """Return the largest difference of a cosine, and the first documents of both sides."""
        empty = ~self.documents.any(axis=1)
        largest, ours, theirs = 0.0, list[Hits](), list[Hits]()
        for rows in _blocks(len(queries)):
            own = self.queries[rows] @ self.documents.T
            found = queries[rows] @ documents.T
            differences = np.abs(found - own)
            largest = max(largest, float(differences.max(initial=0.0)))
            found = np.where(differences <= _ROUNDING, own, found)
            for scores, hits in ((own, ours), (found, theirs)):
                scores[:, empty] = -np.inf
                hits.append(rank_scores(scores, _DEPTH))
        return largest, Hits.joined(ours), Hits.joined(theirs)

    def _ndcg(self, hits: Hits) -> float | None:
        view = self.sample.view
        if view.judgments.is_empty():
            return None
        values = measure("nDCG@10", join_judgments(view, hits), self.sample.dataset.score_scale)
        return mean_of_defined(values).value


def prove(
    model: RankingModel,
    client: AnyClient,
    dataset: RankingDataset | None,
    options: PublishOptions,
    *,
    layout: ModelLayout,
) -> Proof:
    """Return how well a client agrees with a model on test queries and a sample of documents.

    Args:
        model: what was published.
        client: what loaded it.
        dataset: records to encode; None: made-up ones, which prove the vectors alone.
        options: the size of the sample.
        layout: says how much may differ.

    Raises:
        ModelError: they do not agree.
        DataError, ImageError: as `RankingModel.embed_documents`.
    """
    proof = Expected.of(model, dataset, options).compare(client, layout, options.int8_loss)
    require_agreement(proof)
    return proof


def require_agreement(proof: Proof) -> None:
    """Raise a ModelError if more differs than the layout allows."""
    if proof.disagreement:
        raise ModelError(
            f"{proof.client or 'the client'} does not rank as the model does: {proof.disagreement}",
            where=f"--as {proof.layout}",
            remedy="The export is not kept. Choose another layout, or report the model's kind.",
        )


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS) for start in range(0, count, _ROWS))


def _distance(found: Vectors, expected: Vectors) -> float:
    """Return the largest 1 − cos of unit vectors, |a − b|² / 2; NaN if one is not finite."""
    differences = found.astype(np.float64) - expected
    return float((np.square(differences).sum(axis=1) / 2).max(initial=0.0))


def _overlap(ours: Hits, theirs: Hits) -> float | None:
    shares = [
        len(np.intersect1d(a[a >= 0], b[b >= 0])) / (a >= 0).sum()
        for a, b in zip(ours.indices, theirs.indices, strict=True)
        if (a >= 0).any()
    ]
    return float(np.mean(shares)) if shares else None


def _version(package: str) -> str:
    if not package:
        return ""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package
