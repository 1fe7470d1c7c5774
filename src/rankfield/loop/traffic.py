"""Visitors at the service: they search, see a page, click; the page reports it as UBI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rankfield.errors import RemoteError
from rankfield.loop.client import ShopClient
from rankfield.loop.visitors import FOUND, SHOWN, Phase, Visit, Visitors
from rankfield.progress import progress

__all__ = ["Traffic", "send_visitors"]

_TOGETHER = 64


@dataclass(frozen=True)
class Traffic:
    """How many lists were shown, and clicks made."""

    lists: int
    clicks: int


def send_visitors(
    client: ShopClient, visitors: Visitors, number: int, phase: Phase, count: int
) -> Traffic:
    """Let the visitors of a round search and click.

    In the phase "visits" they are shown the answers of the only index, in the order of their page;
    in "confirmation" interleaved lists of both indexes, as they are.

    Args:
        client: of the service.
        visitors: whose they are.
        number: of the round, from 1.
        phase: which visits of it.
        count: how many.

    Raises:
        RemoteError: the service refused a request.
    """
    clicks = 0
    with progress(f"round {number}, {phase}", count, unit="visitors") as advance:
        for visits in _chunks(visitors.visits(number, phase, count)):
            found = (_answers if phase == "visits" else _interleaved)(client, visits)
            events: list[dict[str, Any]] = []
            for visit, results in zip(visits, found, strict=True):
                page = visitors.page(visit, results) if phase == "visits" else results
                clicked = visitors.clicks(visit, page)
                clicks += sum(clicked)
                events += visit.ubi_events(page, clicked)
            queries = [visit.ubi_query() for visit in visits]
            client.post("/v1/events", {"events": events, "queries": queries})
            advance(len(visits))
    return Traffic(count, clicks)


def _chunks(visits: Iterator[Visit]) -> Iterator[list[Visit]]:
    chunk: list[Visit] = []
    for visit in visits:
        chunk.append(visit)
        if len(chunk) == _TOGETHER:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _answers(client: ShopClient, visits: Sequence[Visit]) -> list[list[str]]:
    queries = [{"query": visit.text, "limit": FOUND} for visit in visits]
    answers = client.post("/v1/search/batch", {"queries": queries})["answers"]
    for answer in answers:
        if "error" in answer:
            raise RemoteError(str(answer["error"]["message"]), where="/v1/search/batch")
    return [_ids(answer) for answer in answers]


def _interleaved(client: ShopClient, visits: Sequence[Visit]) -> list[list[str]]:
    return [
        _ids(
            client.post(
                "/v1/interleave",
                {"query": visit.text, "limit": SHOWN, "query_id": visit.list_id},
            )
        )
        for visit in visits
    ]


def _ids(answer: dict[str, Any]) -> list[str]:
    return [hit["doc_id"] for hit in answer["hits"]]
