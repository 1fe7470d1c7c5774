"""A corpus that is embedded often: the judged documents and a sample of the others."""

from __future__ import annotations

from typing import Any

__all__ = ["smaller"]


def smaller(dataset: Any, others: int) -> Any:
    """Return a data set with its judged documents and so many others."""
    documents = dataset.documents
    judged = documents.join(dataset.judgments, on="doc_id", how="semi")["doc_id"]
    rest = documents.join(judged.to_frame(), on="doc_id", how="anti")["doc_id"]
    ids = [*judged, *rest.sample(min(others, len(rest)), seed=0)]
    return dataset.with_tables(documents=documents.filter(documents["doc_id"].is_in(ids)))
