"""Write a test collection of a researcher: qrels with float scores, topics, documents, two runs.

    python raw_collection.py trec-raw

makes the folder trec-raw with

    qrels.graded.txt       TREC's qrels, scores from 0 to 1
    topics.301-360.txt     <top> records
    collection.trec        <DOC> records
    bm25.run, dense.run    ranked lists of two other systems, 100 deep
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

import rankfield
from rankfield.evaluation import EvaluationOptions, baseline, evaluate

DEPTH = 100


def main() -> None:
    """Write the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path, help="folder to make")
    out = parser.parse_args().out
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        shop = rankfield.sample_shop(
            Path(temporary) / "shop", documents=300, queries=60, per_query=40, images=False
        )
    topics = {query: str(301 + i) for i, query in enumerate(shop.queries["query_id"])}
    documents = {doc: f"FT911-{int(doc[1:]):04d}" for doc in shop.documents["doc_id"]}
    with (out / "topics.301-360.txt").open("w", encoding="utf-8") as file:
        for query, text in shop.queries.select("query_id", "query").iter_rows():
            file.write(f"<top>\n<num> Number: {topics[query]}\n<title> {text}\n</top>\n")
    with (out / "collection.trec").open("w", encoding="utf-8") as file:
        for doc, text in shop.documents.select("doc_id", "title").iter_rows():
            file.write(f"<DOC>\n<DOCNO> {documents[doc]} </DOCNO>\n<TEXT>{text}</TEXT>\n</DOC>\n")
    with (out / "qrels.graded.txt").open("w", encoding="utf-8") as file:
        for query, doc, score in shop.judgments.select("query_id", "doc_id", "score").iter_rows():
            file.write(f"{topics[query]} 0 {documents[doc]} {score / 40:.3f}\n")
    write_runs(shop, topics, documents, out)


def write_runs(
    shop: rankfield.RankingDataset, topics: dict[str, str], documents: dict[str, str], out: Path
) -> None:
    """Write the lists of BM25, and of a system that knows the judgments with much noise."""
    options = EvaluationOptions(subset=None, k=DEPTH, keep=DEPTH)
    found = evaluate(baseline("bm25"), shop, options).rankings
    lists = {"bm25": found.select("query_id", "doc_id", "similarity")}
    rng = np.random.default_rng(0)
    every = shop.queries.select("query_id").join(shop.documents.select("doc_id"), how="cross")
    known = every.join(shop.judgments, on=["query_id", "doc_id"], how="left")
    known = known.select("query_id", "doc_id", similarity=pl.col("score").fill_null(0.0) / 40)
    noisy = known.with_columns(pl.col("similarity") + pl.Series(rng.normal(0, 0.4, known.height)))
    lists["dense"] = noisy.sort("query_id", "similarity", descending=[False, True])
    for name, rows in lists.items():
        with (out / f"{name}.run").open("w", encoding="utf-8") as file:
            for (query,), group in rows.group_by("query_id", maintain_order=True):
                for rank, (_, doc, score) in enumerate(group.head(DEPTH).iter_rows(), start=1):
                    topic, document = topics[str(query)], documents[doc]
                    file.write(f"{topic} Q0 {document} {rank} {score:.6f} {name}\n")


if __name__ == "__main__":
    main()
