"""The best ranking that the judgments allow: the upper bound of every metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rankfield.evaluation.listed import listed_hits
from rankfield.evaluation.options import EvaluationOptions
from rankfield.evaluation.ranker import Search
from rankfield.schema import RankingDataset

__all__ = ["Oracle"]


class Oracle:
    """Gives each query its judged documents by descending score, as `listed_hits`.

    Unjudged documents are not retrieved. nDCG is 1 where it is defined, unless a judged document
    is not in the corpus.
    """

    name = "oracle"
    metadata: Mapping[str, Any] = {"baseline": name}

    def searcher(
        self,
        dataset: RankingDataset,  # noqa: ARG002
        options: EvaluationOptions,
    ) -> Search:
        """Return the look-up."""
        return lambda view: listed_hits(view, view.judgments, options.k)
