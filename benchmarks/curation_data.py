"""The big set of benchmarks/curation.py: many sample shops side by side, as a user's export."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from rankfield import sample_shop
from rankfield.files import new_folder
from rankfield.progress import progress

__all__ = ["export"]

DOCUMENTS_A_SHOP = 100_000
_TABLES = {"documents": ("doc_id",), "queries": ("query_id",), "judgments": ("query_id", "doc_id")}


def export(folder: Path, documents: int, queries: int, per_query: int) -> Path:
    """Return a folder with the tables as CSV files, made unless it is there.

    A sample shop ranks every product for every query, so one of five million products is out of
    reach: the set is shops of up to 100,000 products, seeds 0, 1, …, their ids marked by the shop,
    each with its share of the queries. 1 % of the products stand twice, under another id, for the
    duplicates to be found.

    Args:
        folder: where sets are kept from run to run.
        documents: products in all, duplicates included.
        queries: queries in all.
        per_query: judged products of each query.
    """
    target = folder / f"{documents}-{queries}-{per_query}"
    if not target.is_dir():
        with new_folder(target) as temporary:
            _write(temporary, documents, queries, per_query)
    return target


def _write(folder: Path, documents: int, queries: int, per_query: int) -> None:
    shops = max(1, round(documents / DOCUMENTS_A_SHOP))
    writers: dict[str, pacsv.CSVWriter] = {}
    with progress("sample shops", shops, unit="shops") as advance:
        for number in range(shops):
            share = [(number + 1) * n // shops - number * n // shops for n in (documents, queries)]
            for name, table in _shop(number, share[0], share[1], per_query):
                if name not in writers:
                    writers[name] = pacsv.CSVWriter(folder / f"{name}.csv", table.schema)
                writers[name].write_table(table)
            advance()
    for writer in writers.values():
        writer.close()


def _shop(
    seed: int, documents: int, queries: int, per_query: int
) -> Iterator[tuple[str, pa.Table]]:
    """Yield the three tables of one shop, its ids marked, a hundredth of its products twice."""
    twice = documents // 100
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "shop"
        sample_shop(
            root,
            documents=documents - twice,
            queries=queries,
            per_query=per_query,
            seed=seed,
            images=False,
        )
        for name, ids in _TABLES.items():
            frame = pl.from_arrow(pq.read_table(root / f"{name}.parquet"))
            assert isinstance(frame, pl.DataFrame)
            frame = frame.drop("score_linear", "score_reciprocal", strict=False)
            if name == "documents":
                again = frame.head(twice).with_columns(doc_id="r" + pl.col("doc_id").str.slice(1))
                frame = pl.concat([frame, again])
            elif name == "judgments":  # the lower half of some lists judge the second copy
                second = "r" + pl.col("doc_id").str.slice(1)
                number = pl.col("doc_id").str.slice(1).cast(pl.Int64)
                low = (number < twice) & (pl.col("position") > per_query // 2)
                frame = frame.with_columns(doc_id=pl.when(low).then(second).otherwise("doc_id"))
            marked = [(f"s{seed:03d}" + pl.col(column)).alias(column) for column in ids]
            yield name, frame.with_columns(marked).to_arrow(compat_level=pl.CompatLevel.oldest())
    shutil.rmtree(root, ignore_errors=True)
