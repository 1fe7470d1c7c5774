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
