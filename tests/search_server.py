"""Search APIs and a photo host on loopback, for tests: deterministic answers, bad manners."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

from misbehaving_server import Handler, Route, png

__all__ = ["elastic_job", "elastic_routes", "photo_of"]

PRODUCTS = 60


def photo_of(number: int) -> bytes:
    """A product's photo: every fifth looks like the one before."""
    shade = number - 1 if number % 5 == 4 else number
    return png((shade * 4 % 256, 255 - shade * 4 % 256, 90), size=20)


def _ranked(query: str) -> list[int]:
    seed = int.from_bytes(hashlib.sha256(query.encode()).digest()[:4], "big")
    return random.Random(seed).sample(range(PRODUCTS), 25)


def _misbehaves(handler: Handler, count: int) -> bool:
    """Answer the first try of some requests with 429 or 500, always the same ones."""
    digest = hashlib.sha256(f"{handler.path}{handler.body}".encode()).digest()[0]
    if count > 1 or digest % 4:
        return False
    if digest % 8:
        handler.answer(b"", status=429, headers={"Retry-After": "0"})
    else:
        handler.answer(b"", status=500)
    return True


def _search(handler: Handler, count: int) -> None:
    if _misbehaves(handler, count):
        return
    body: Any = handler.body
    query = body["query"]["multi_match"]["query"]
    chosen = _ranked(query)[body["from"] : body["from"] + body["size"]]
    hits = [
        {
            "_id": f"p{n}",
            "_source": {
                "title": f"Product {n} of many",
                "image": f"/photos/{n}.png" if n % 7 else None,
                "price": n + 0.5,
            },
        }
        for n in chosen
    ]
    handler.json({"timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": hits}})


def _photo(handler: Handler, count: int) -> None:
    if _misbehaves(handler, count):
        return
    number = int(handler.path.rpartition("/")[2].partition(".")[0])
    if number % 11 == 1:
        handler.answer(b"gone", status=404, kind="text/plain")
    elif number % 11 == 2:
        handler.answer(b"<html>not a photo</html>", kind="text/html")
    elif number % 11 == 3:
        handler.answer(photo_of(number)[:60], kind="image/png")
    elif number % 11 == 4:
        handler.answer(png(size=4), kind="image/png")
    else:
        handler.answer(photo_of(number), kind="image/png")


def elastic_routes() -> dict[str, Route]:
    """An Elasticsearch with an index "products", and the photos of the products."""
    return {"/products/_search": _search, "/photos/": _photo}


def elastic_job(folder: Path, url: str, *, queries: int = 12, more: str = "") -> Path:
    """Write a job for the server at `url`."""
    texts = [f"query number {'abcdefghijklmnopqrstuvwxyz'[n % 26]}{n}" for n in range(queries)]
    (folder / "queries.txt").write_text("\n".join(texts) + "\n", "utf-8")
    job = folder / "job.toml"
    job.write_text(
        f"""
name = "test"
[queries]
file = "queries.txt"
[search]
kind = "elasticsearch"
url = "{url}"
index = "products"
depth = 20
page_size = 8
[search.mapping.fields]
title = {{ path = "_source.title", weight = 0.5 }}
image = {{ path = "_source.image", modality = "image", weight = 0.5 }}
[search.mapping.columns]
price = "_source.price"
[limits]
requests_per_second = 1000.0
burst = 100
concurrency = 2
backoff = 0.001
allow_private = true
{more}
""",
        "utf-8",
    )
    return job
