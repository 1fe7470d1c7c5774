"""Hand-made miniatures of other layouts, as their own tools write them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

COLOURS = ("red", "tan", "blue", "teal")


def png(colour: str) -> bytes:
    """The bytes of a small picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "PNG")
    return file.getvalue()


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as pandas does with csv.QUOTE_ALL, as Marqo's own script rewrites its files."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)


def marqo_rows(query_side: int, document_side: int) -> list[dict[str, Any]]:
    """Two queries of a side with two products each of a side."""
    rows = []
    for q in range(2):
        for position, d in enumerate((q, 1 - q), 1):
            product = 100 * document_side + d
            rows.append(
                {
                    "query": f"{COLOURS[q]} mug, {'new' if query_side else 'old'}",
                    "product_id": str(product),
                    "position": position,
                    "title": f'A "{COLOURS[d]}" mug',
                    "image_local": f"./images_wfash/{product}.png",
                    "pair_id": f"{query_side}{q}-{product}",
                    "score_linear": 101 - position,
                    "score_reciprocal": 1 / position,
                    "query_id": 10 * query_side + q,
                }
            )
    return rows


def marqo_archive(folder: Path) -> Path:
    """An archive of four queries and four products, with pictures and ground truth."""
    (folder / "images_wfash").mkdir(parents=True)
    for b in (0, 1):
        corpus = {}
        for d in range(2):
            product = 100 * b + d
            corpus[str(product)] = {
                "title": f'A "{COLOURS[d]}" mug',
                "image_local": f"./images_wfash/{product}.png",
                "price": 9.5 + d,
            }
            (folder / f"images_wfash/{product}.png").write_bytes(png(COLOURS[d]))
        (folder / f"corpus_{b + 1}.json").write_text(json.dumps(corpus))
        for a in (0, 1):
            rows = marqo_rows(a, b)
            write_csv(folder / f"query_{a}_product_id_{b}.csv", rows)
            for q, subset in enumerate(("dev", "test")):
                query = rows[2 * q]["query"]
                truth = {
                    f"{query}_{{!@#~}}_": {
                        r["product_id"]: r["score_linear"] for r in rows if r["query"] == query
                    }
                }
                path = folder / f"query_{a}_product_id_{b}_gt_{subset}.json"
                path.write_text(json.dumps(truth))
    return folder


def marqo_parquet(folder: Path) -> Path:
    """The same pairs as one row each, with pictures as bytes, as the library `datasets` writes."""
    import pyarrow as pa
    from pyarrow import parquet

    (folder / "data").mkdir(parents=True)
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    for name, dtype in (("query", "string"), ("product_id", "string"), ("score_linear", "int64")):
        features[name] = {"dtype": dtype, "_type": "Value"}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for split, a, b in (
        ("in_domain", 0, 0),
        ("novel_query", 1, 0),
        ("novel_document", 0, 1),
        ("zero_shot", 1, 1),
    ):
        rows = []
        for row in marqo_rows(a, b):
            path = row.pop("image_local")
            image = {"bytes": png(COLOURS[int(row["product_id"]) % 100]), "path": Path(path).name}
            rows.append({"image": image, **row, "query_id": str(row["query_id"])})
        table = pa.Table.from_pylist(rows).replace_schema_metadata(metadata)
        for i in range(2):
            name = f"{split}-0000{i}-of-00002.parquet"
            parquet.write_table(table.slice(2 * i, 2), folder / "data" / name)
    return folder


def esci(folder: Path) -> Path:
    """Three train queries and a test query in two locales; one product id stands in both."""
    import polars as pl

    folder.mkdir(parents=True)
    rows = [
        ("red mug", 1, "B01", "us", "E", 1, "train"),
        ("red mug", 1, "B02", "us", "S", 1, "train"),
        ("tan mug", 2, "B02", "us", "E", 1, "train"),
        ("tan mug", 2, "B01", "us", "C", 1, "train"),
        ("taza roja", 3, "B01", "es", "I", 0, "train"),
        ("# 1 mug", 4, "B03", "us", "E", 1, "test"),
        ("# 1 mug", 4, "B01", "us", "I", 1, "test"),
    ]
    names = ["query", "query_id", "product_id", "product_locale", "esci_label", "small_version"]
    examples = pl.DataFrame(rows, schema=[*names, "split"], orient="row")
    examples.with_row_index("example_id").with_columns(
        pl.col("example_id").cast(pl.Int64), large_version=1
    ).write_parquet(folder / "shopping_queries_dataset_examples.parquet")
    products = [
        (key, f"Mug {key}", f"<b>{key}</b>" if i else None, None, "Mugs & Co", "red", locale)
        for i, (key, locale) in enumerate(
            [("B01", "us"), ("B02", "us"), ("B03", "us"), ("B01", "es"), ("B04", "us")]
        )
    ]
    texts = ["title", "description", "bullet_point", "brand", "color"]
    schema = ["product_id", *(f"product_{text}" for text in texts), "product_locale"]
    pl.DataFrame(products, schema=schema, orient="row").with_columns(
        pl.col("product_bullet_point").cast(pl.String)
    ).write_parquet(folder / "shopping_queries_dataset_products.parquet")
    (folder / "shopping_queries_dataset_sources.csv").write_text(
        "query_id,source\n1,other\n2,negations\n3,other\n4,behavioral\n"
    )
    return folder
