"""A small shop whose pairs are all graded, and an endpoint for it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import polars as pl

from misbehaving_server import MisbehavingServer, png
from rankfield.judging.rubric import RUBRIC_TEMPLATE
from rankfield.schema import Field, RankingDataset, ScoreScale
from rankfield.web import Limits
from rankfield.web.chat import ChatEndpoint

__all__ = ["QUICK", "endpoint", "judged_shop", "prompt_text", "truth"]

QUICK = Limits(requests_per_second=1000.0, burst=50, concurrency=2, backoff=0.001)


def truth(query: str, title: str) -> int:
    """The grade that the endpoint has in mind."""
    return int(hashlib.sha256(f"{query}{title}".encode()).hexdigest(), 16) % 4


def prompt_text(body: dict[str, Any]) -> str:
    """The texts of a request."""
    content = body["messages"][1]["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def judged_shop(tmp_path: Path) -> RankingDataset:
    """Six queries, eight documents, all pairs graded by the truth."""
    queries = [f"product {'abcdef'[n]}" for n in range(6)]
    titles = [f"product {n}" for n in range(8)]
    pairs = [(q, d) for q in range(6) for d in range(8)]
    data = RankingDataset(
        name="shop",
        query_fields=(Field("query", "text"),),
        document_fields=(Field("title", "text"), Field("image", "image")),
        score_scale=ScoreScale(0, 3, 2),
        queries=pl.DataFrame({"query_id": [f"q{n}" for n in range(6)], "query": queries}),
        documents=pl.DataFrame(
            {
                "doc_id": [f"d{n}" for n in range(8)],
                "title": titles,
                "image": [png((n * 30, 0, 0), 40) if n % 2 else None for n in range(8)],
            }
        ),
        judgments=pl.DataFrame(
            {
                "query_id": [f"q{q}" for q, _ in pairs],
                "doc_id": [f"d{d}" for _, d in pairs],
                "score": [float(truth(queries[q], titles[d])) for q, d in pairs],
            }
        ),
    )
    (tmp_path / "rubric.toml").write_text(RUBRIC_TEMPLATE)
    return data.save(tmp_path / "shop")


def endpoint(server: MisbehavingServer, **more: Any) -> ChatEndpoint:
    """The endpoint of a server."""
    return ChatEndpoint(url=f"{server.url}/v1", model="tiny", **more)
