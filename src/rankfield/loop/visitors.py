"""Simulated visitors: what they ask, what their page shows, what they click."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rankfield.loop.options import LoopOptions
from rankfield.loop.shop import Shop

__all__ = ["FOUND", "SHOWN", "Phase", "Visit", "Visitors"]

Phase = Literal["visits", "confirmation"]

SHOWN = 10
"""Places of a page."""
FOUND = 30
"""Results that the page asks the service for, to choose from."""

_PHASES: dict[Phase, int] = {"visits": 1, "confirmation": 2}
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Visit:
    """One visitor with one query.

    list_id: of the list that is shown, which is UBI's query_id.
    query_id, text: of the query.
    time: when the page is shown.
    rng: the visitor's own randomness.
    """

    list_id: str
    query_id: str
    text: str
    time: datetime
    rng: np.random.Generator

    def ubi_query(self) -> dict[str, Any]:
        """Return the query as UBI keeps it."""
        return {
            "query_id": self.list_id,
            "user_query": self.text,
            "client_id": f"visitor-{self.list_id}",
            "timestamp": self.time.isoformat(),
        }

    def ubi_events(self, page: Sequence[str], clicks: Sequence[bool]) -> Iterator[dict[str, Any]]:
        """Yield what was shown, then what was clicked, as UBI's events."""
        for action in ("impression", "click"):
            for place, (document, clicked) in enumerate(zip(page, clicks, strict=True), 1):
                if action == "click" and not clicked:
                    continue
                wait = timedelta(seconds=10 * place if action == "click" else 0)
                yield {
                    "action_name": action,
                    "query_id": self.list_id,
                    "client_id": f"visitor-{self.list_id}",
                    "timestamp": (self.time + wait).isoformat(),
                    "event_attributes": {
                        "object": {"object_id": document},
                        "position": {"ordinal": place},
                    },
                }


class Visitors:
    """The visitors of a shop, who click by the position-based model.

    Few queries are asked often: the one of rank r with probability ∝ 1 / (r + 10). The place k is
    examined with θ_k = k^−bias, and an examined document of hidden relevance r, from 0 to 1, is
    clicked with probability noise + (1 − noise) · r²: half as relevant, a quarter of the clicks.

    Args:
        shop: whose queries they ask and whose hidden relevance they feel.
        options: bias, noise, exploration and seed.
    """

    def __init__(self, shop: Shop, options: LoopOptions) -> None:
        self.options = options
        self._queries: list[tuple[str, str]] = shop.visitors.rows()
        self._relevance: Mapping[str, Mapping[str, float]] = shop.relevance

    @cached_property
    def _popularity(self) -> NDArray[np.float64]:
        count = len(self._queries)
        ranks = np.random.default_rng([self.options.seed, 0]).permutation(count)
        weights = 1 / (ranks + 11.0)
        shares: NDArray[np.float64] = weights / weights.sum()
        return shares

    @property
    def propensities(self) -> NDArray[np.float64]:
        """θ of the places of a page, float64 (`SHOWN`,)."""
        return np.arange(1, SHOWN + 1, dtype=np.float64) ** -self.options.bias

    def visits(self, number: int, phase: Phase, count: int) -> Iterator[Visit]:
        """Yield the visits of a round: the same ones for the same seed."""
        key = [self.options.seed, number, _PHASES[phase]]
        drawn = np.random.default_rng(key).choice(len(self._queries), count, p=self._popularity)
        day = _START + timedelta(days=2 * number + _PHASES[phase] - 1)
        for visitor, place in enumerate(drawn.tolist()):
            query_id, text = self._queries[place]
            yield Visit(
                f"{phase}-{number}-{visitor}",
                query_id,
                text,
                day + timedelta(seconds=visitor),
                np.random.default_rng([*key, visitor]),
            )

    def page(self, visit: Visit, found: Sequence[str]) -> list[str]:
        """Return what the shop's page shows of what the service found.

        The order is drawn by Plackett and Luce with weights rank^(−1 / exploration): documents are
        seen at several places, without which the bias of a place and the relevance of what always
        stands there could not be told apart.
        """
        if not self.options.exploration:
            return list(found[:SHOWN])
        ranks = np.arange(1, len(found) + 1)
        keys = visit.rng.gumbel(size=len(found)) * self.options.exploration - np.log(ranks)
        return [found[place] for place in np.argsort(-keys, kind="stable")[:SHOWN]]

    def clicks(self, visit: Visit, page: Sequence[str]) -> list[bool]:
        """Return which of the documents of a page the visitor clicks."""
        known = self._relevance.get(visit.query_id, {})
        relevance = np.array([known.get(document, 0.0) for document in page])
        attracted = self.options.noise + (1 - self.options.noise) * relevance**2
        drawn = visit.rng.random(len(page))
        clicked: list[bool] = (drawn < self.propensities[: len(page)] * attracted).tolist()
        return clicked
