"""The four-way split as a careful person writes it in pandas: the peer of `rankfield split`.

It draws queries and documents, joins, and writes. It looks for no twins and checks no ids.
Usage: curation_pandas.py DATASET OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd


def main(source: Path, out: Path) -> None:
    queries = pd.read_parquet(source / "queries.parquet")
    documents = pd.read_parquet(source / "documents.parquet")
    judgments = pd.read_parquet(source / "judgments.parquet")

    queries["seen"] = queries["query_id"].isin(queries["query_id"].sample(frac=0.8, random_state=0))
    documents["seen"] = documents["doc_id"].isin(
        documents["doc_id"].sample(frac=0.5, random_state=0)
    )
    in_dev = queries.groupby("seen")["query_id"].sample(frac=0.5, random_state=0)
    queries["subset"] = np.where(queries["query_id"].isin(in_dev), "dev", "test")

    judgments = judgments.merge(queries[["query_id", "seen"]], on="query_id", how="left")
    judgments = judgments.merge(
        documents[["doc_id", "seen"]], on="doc_id", how="left", suffixes=("_query", "_document")
    )
    judgments["split"] = np.select(
        [
            judgments["seen_query"] & judgments["seen_document"],
            ~judgments["seen_query"] & judgments["seen_document"],
            judgments["seen_query"] & ~judgments["seen_document"],
        ],
        ["in_domain", "novel_query", "novel_document"],
        "zero_shot",
    )
    judgments = judgments.drop(columns=["seen_query", "seen_document"])

    out.mkdir(parents=True)
    queries.to_parquet(out / "queries.parquet", index=False)
    documents.to_parquet(out / "documents.parquet", index=False)
    judgments.to_parquet(out / "judgments.parquet", index=False)
    print(judgments["split"].value_counts().to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
