"""What a service takes on: everything that a client can make large has a bound."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one service.

    body: bytes of a request's body.
    pixels: of all images in one request, decoded.
    parts: of one query, with what it excludes.
    results: how far down a query's pages may reach, and its window: offset + limit, `window`,
        `hybrid.window`.
    queries, inputs, documents: in one batch of queries, one call for embeddings, one write.
    snapshot: queries that one snapshot asks; of more, this many are chosen.
    snapshots: how many there may be.
    queue: requests in progress; further ones are refused.
    timeout: seconds until a read is given up. What a write began is finished.
    receive: seconds in which the head, and then the body, of a request must have come, and each
        part of an answer must have been taken.
    cache: bytes of embeddings that are kept.
    """

    body: int = 16 << 20
    pixels: int = 16_000_000
    parts: int = 32
    results: int = 10_000
    queries: int = 64
    inputs: int = 256
    documents: int = 1_000
    snapshot: int = 1_000
    snapshots: int = 1_000
    queue: int = 256
    timeout: float = 30.0
    receive: float = 15.0
    cache: int = 64 << 20
