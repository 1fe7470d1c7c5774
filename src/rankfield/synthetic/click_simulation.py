"""A simulated search log whose true relevance and position bias are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rankfield.errors import InputError

__all__ = ["ClickSimulation"]

_BOT_AGENT = "ExampleBot/2.1 (+https://bots.example)"
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64)"
_START = 1_767_225_600  # 2026-01-01, in seconds since 1970
_DAYS = 28


@dataclass(frozen=True)
class ClickSimulation:
    """A shop's search whose visitors click by the position-based model.

    Each query has `documents` candidates with relevance drawn from Beta(1, 2), so that few are very
    good. The engine knows relevance badly: a candidate's place follows relevance + error (fixed,
    standard deviation `ranker_error`) + exploration (drawn for each session, `exploration`). The
    first `shown` are displayed; a visitor examines place r with θ_r = r^−bias and clicks an
    examined document with probability relevance + click_noise · (1 − relevance). Carts follow
    clicks with probability cart_rate · relevance, orders follow carts with ½. Every session is one
    query.

    A share `robots` of the sessions click half of what they see within two seconds, wherever it
    stands; every second of them says that it is a robot.

    queries: how many. documents: candidates of each query. shown: places of a list.
    seed: another seed is another shop; the sessions depend on it and on `part`.

    Raises:
        InputError: a value out of range.
    """

    queries: int = 200
    documents: int = 20
    shown: int = 10
    bias: float = 1.0
    ranker_error: float = 0.3
    exploration: float = 0.3
    click_noise: float = 0.05
    cart_rate: float = 0.4
    robots: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.shown <= self.documents or self.queries < 1:
            raise InputError(
                f"expected 1 ≤ shown ≤ documents and queries ≥ 1, found {self}", where="simulation"
            )
        for name in ("bias", "ranker_error", "exploration"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError("expected a number from 0", where=f"simulation, {name}")
        for name in ("click_noise", "cart_rate", "robots"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError("expected a number from 0 to 1", where=f"simulation, {name}")

    @property
    def propensities(self) -> NDArray[np.float64]:
        """θ of places 1 … shown, float64 (shown,)."""
        return np.arange(1, self.shown + 1, dtype=np.float64) ** -self.bias

    def relevance(self) -> pl.DataFrame:
        """Return the truth: query_id, doc_id, relevance in [0, 1], sorted by the ids."""
        values = self._relevance
        query, doc = np.divmod(np.arange(values.size), self.documents)
        ids = _ids(pl.Series("query", query), pl.Series("doc", query * self.documents + doc))
        return ids.with_columns(relevance=pl.Series(values.ravel())).sort("query_id", "doc_id")

    def events(self, sessions: int, *, part: int = 0) -> pl.DataFrame:
        """Return the rows of `sessions` sessions: impressions, clicks, carts and orders.

        Columns: session_id, time (seconds since 1970), user_agent, query_id, doc_id, position (from
        1), event. Other parts are other sessions of the same shop.
        """
        rng = np.random.default_rng([self.seed, 1, part])
        query = rng.integers(0, self.queries, sessions)
        shown, relevance = self._rank(query, rng)
        robot = rng.random(sessions) < self.robots
        attracted = relevance + self.click_noise * (1 - relevance)
        click = rng.random(shown.shape) < self.propensities * attracted
        click[robot] = rng.random((int(robot.sum()), self.shown)) < 0.5
        cart = click & ~robot[:, None] & (rng.random(shown.shape) < self.cart_rate * relevance)
        order = cart & (rng.random(shown.shape) < 0.5)
        start = _START + rng.integers(0, _DAYS * 86_400, sessions)
        # a visitor looks at one result after another; a robot at all in no time
        pace = np.where(robot[:, None], 0.2, rng.uniform(5, 20, shown.shape))
        delay = np.cumsum(pace, axis=1)
        agent = robot & (rng.random(sessions) < 0.5)
        frames = [
            self._rows(
                what,
                name,
                query=query,
                shown=shown,
                time=_time(start, delay, later),
                agent=agent,
                part=part,
            )
            for name, what, later in (
                ("impression", np.ones_like(click), None),
                ("click", click, 0.0),
                ("cart", cart, 20.0),
                ("order", order, 60.0),
            )
        ]
        return pl.concat(frames)

    def parts(self, sessions: int, *, size: int = 100_000) -> Iterator[pl.DataFrame]:
        """Yield `events` of `sessions` sessions in parts of up to `size`, for large logs."""
        for part, first in enumerate(range(0, sessions, size)):
            yield self.events(min(size, sessions - first), part=part)

    @cached_property
    def _relevance(self) -> NDArray[np.float64]:
        rng = np.random.default_rng([self.seed, 0])
        return rng.beta(1, 2, (self.queries, self.documents))

    @cached_property
    def _guess(self) -> NDArray[np.float64]:
        """What the engine holds each candidate's relevance for."""
        rng = np.random.default_rng([self.seed, 2])
        return self._relevance + rng.normal(0, self.ranker_error, self._relevance.shape)

    def _rank(
        self, query: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return each session's list: numbers of the candidates, and their relevance."""
        guess = self._guess[query]
        guess += rng.normal(0, self.exploration, guess.shape)
        shown = np.argsort(-guess, axis=1, kind="stable")[:, : self.shown]
        return shown, np.take_along_axis(self._relevance[query], shown, axis=1)

    def _rows(
        self,
        what: NDArray[np.bool_],
        event: str,
        *,
        query: NDArray[np.int64],
        shown: NDArray[np.int64],
        time: NDArray[np.int64],
        agent: NDArray[np.bool_],
        part: int,
    ) -> pl.DataFrame:
        session, place = np.nonzero(what)
        queries = pl.Series("query", query[session])
        docs = pl.Series("doc", query[session] * self.documents + shown[session, place])
        return _ids(queries, docs).select(
            session_id=pl.format("s{}-{}", pl.lit(part), pl.Series(session)),
            time=pl.Series(time[session, place]),
            user_agent=pl.Series(np.where(agent[session], _BOT_AGENT, _BROWSER)),
            query_id="query_id",
            doc_id="doc_id",
            position=pl.Series(place + 1),
            event=pl.lit(event),
        )


def _time(
    start: NDArray[np.int64], delay: NDArray[np.float64], later: float | None
) -> NDArray[np.int64]:
    """Return when something happens at each place: the list appears at once."""
    wait = np.zeros_like(delay) if later is None else delay + later
    return start[:, None] + wait.astype(np.int64)


def _ids(query: pl.Series, doc: pl.Series) -> pl.DataFrame:
    return pl.DataFrame([query, doc]).select(
        query_id=pl.format("q{}", "query"), doc_id=pl.format("d{}", "doc")
    )
