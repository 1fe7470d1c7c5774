"""Write what a shop has before it trains anything: a catalogue, a click log, a sheet of grades.

    python raw_shop.py shop-raw

makes the folder shop-raw with

    products.jsonl    the catalogue, one product a line, with names in camelCase and image paths
    images/           the images
    clicks.jsonl      what visitors were shown, clicked, put into the cart and ordered
    grades.csv        a spreadsheet of editors' grades: by the text of the query and the SKU

The products, their images and their true relevance are those of `rankfield sample`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

import rankfield

SHOWN = 10
PLACES = {1: 3, 2: 3, 3: 3, 4: 3, 6: 2, 8: 2, 12: 2, 16: 1, 25: 1, 38: 0}
"""Places in the true order of a query that editors looked at → their grade."""
START = datetime(2026, 9, 1, 8, tzinfo=UTC)


def main() -> None:
    """Write the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--products", type=int, default=300)
    parser.add_argument("--searches", type=int, default=120, help="different queries")
    parser.add_argument("--sessions", type=int, default=60, help="of each query")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        shop = rankfield.sample_shop(
            Path(temporary) / "shop",
            documents=chosen.products,
            queries=chosen.searches,
            per_query=40,
            image_size=48,
        )
        chosen.out.mkdir(parents=True)
        shutil.copytree(Path(temporary) / "shop" / "images", chosen.out / "images")
    write_products(shop.documents, chosen.out / "products.jsonl")
    rows = shop.judgments.join(shop.queries, on="query_id", maintain_order="left")
    write_clicks(rows, chosen.sessions, chosen.out / "clicks.jsonl")
    write_grades(rows, chosen.out / "grades.csv")


def sku(doc_id: str) -> str:
    """Return the number that the warehouse gives a product."""
    return f"SKU-{int(doc_id[1:]) * 7 + 1001}"


def write_products(documents: pl.DataFrame, path: Path) -> None:
    """Write the catalogue: ids, texts and image paths under the names of a web shop's export."""
    with path.open("w", encoding="utf-8") as file:
        for row in documents.iter_rows(named=True):
            product = {
                "productId": row["doc_id"],
                "sku": sku(row["doc_id"]),
                "productName": row["title"],
                "imagePath": row["image"],
                "brandName": row["brand"],
                "listPrice": row["price"],
                "updatedAt": "2026-08-31T04:00:00Z",
            }
            file.write(json.dumps(product) + "\n")


def write_clicks(rows: pl.DataFrame, sessions: int, path: Path) -> None:
    """Write a log of visitors who see ten products, look at the upper ones and click good ones."""
    rng = np.random.default_rng(0)
    number = 0
    with path.open("w", encoding="utf-8") as file:
        for (query,), group in rows.group_by("query", maintain_order=True):
            products, worth = group["doc_id"].to_list(), group["score"].to_numpy() / 40
            engine = worth + rng.normal(0, 0.3, len(worth))
            for _ in range(sessions):
                shown = np.argsort(-(engine + rng.normal(0, 0.3, len(worth))))[:SHOWN]
                seen = rng.random(len(shown)) < 1 / np.arange(1, len(shown) + 1)
                liked = rng.random(len(shown)) < 0.05 + 0.9 * worth[shown] ** 3
                start = START + timedelta(seconds=int(rng.integers(0, 28 * 86_400)))
                # visitors type as they like
                text = [str(query), str(query).title(), f" {query}"][number % 3]
                number += 1
                for place, chosen in enumerate(shown):
                    event = {
                        "sessionId": f"s-{number:06d}",
                        "eventTime": start.isoformat(),
                        "searchTerm": text,
                        "productId": products[chosen],
                        "eventType": "impression",
                        "position": place + 1,
                    }
                    file.write(json.dumps(event) + "\n")
                    if seen[place] and liked[place]:
                        later = start + timedelta(seconds=12 * (place + 1))
                        click = {"eventTime": later.isoformat(), "eventType": "click"}
                        file.write(json.dumps(event | click) + "\n")


def write_grades(rows: pl.DataFrame, path: Path) -> None:
    """Write the editors' sheet: for each query products of every grade, from 0 (bad) to 3."""
    graded = rows.filter(pl.col("position").is_in(list(PLACES))).select(
        pl.col("query").alias("Search Term"),
        pl.col("doc_id").map_elements(sku, pl.String).alias("SKU"),
        pl.col("position").replace_strict(PLACES).alias("Grade"),
        pl.lit("editor 1").alias("Graded By"),
    )
    graded.write_csv(path)


if __name__ == "__main__":
    main()
