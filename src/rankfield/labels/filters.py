"""Which sessions are no honest searching: far too many events, clicks too fast, robots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rankfield.errors import InputError
from rankfield.labels.times import Precision

__all__ = ["BOT_AGENTS", "EventFilters"]

BOT_AGENTS = (
    r"bot\b|bot/|crawl|spider|slurp|scrap|headless|phantomjs|selenium|puppeteer|curl/|wget/"
    r"|python-|httpx|aiohttp|okhttp|go-http|java/|libwww|monitor"
)
"""Regular expression, case apart, over user agents that say themselves to be programs."""

_FEW_ACTIONS = 5
_COARSE = 60


@dataclass(frozen=True)
class EventFilters:
    """What is left out before anything is counted; how much is reported.

    max_position: events further down the list are left out.
    max_session_events: sessions with more rows than that are.
    max_click_rate: sessions with more clicks, carts and orders a second, from 5 of them on, where
        times are given finely enough to tell.
    drop_clickless: sessions without any click, cart or order are too. They count as evidence
        against what they showed, so dropping them raises every rate; leave them in unless the log
        has sessions in which nobody looked.
    bot_agents: regular expression (RE2) over user agents, case apart; "" keeps all.

    Raises:
        InputError: a limit that is not above 0.
    """

    max_position: int = 100
    max_session_events: int = 1000
    max_click_rate: float = 1.0
    drop_clickless: bool = False
    bot_agents: str = BOT_AGENTS

    def __post_init__(self) -> None:
        for name in ("max_position", "max_session_events", "max_click_rate"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise InputError(f"expected a number above 0, found {value}", where=name)

    def check_bot_agents(self, connection: Any) -> None:
        """Raise unless DuckDB can use the regular expression.

        Raises:
            InputError: it cannot, and why.
        """
        import duckdb

        try:
            connection.execute("SELECT regexp_matches('', ?)", [self.bot_agents])
        except duckdb.Error as error:
            raise InputError(
                f"not a regular expression ({error}), found {self.bot_agents!r}",
                where="bot_agents",
                remedy='Write it in the syntax of RE2, or "" to keep all.',
            ) from None

    def sees_rate(self, precision: Precision) -> bool:
        """Whether times are given finely enough to tell clicks too fast: under a minute."""
        return precision.seconds < _COARSE

    def reason(self, *, has_time: bool, has_agent: bool, precision: Precision) -> str:
        """Return the SQL of why a session of `events` is left out, null if it is not.

        It stands in a SELECT grouped by session.
        """
        reasons = [f"WHEN count(*) > {self.max_session_events} THEN 'too many events'"]
        actions = "sum(clicks + carts + orders)"
        if has_agent and self.bot_agents:
            reasons.insert(0, "WHEN bool_or(robot) THEN 'robot by user agent'")
        if has_time and self.sees_rate(precision):
            # the longest span that the times allow: clicks of one unit may be a unit apart
            unit = precision.seconds
            longer = f" + {unit}" if unit > 1 else ""
            span = f"greatest(max(time) - min(time){longer}, 1)"
            fine = " AND NOT bool_and(time % 60 = 0)" if precision.mixed else ""
            reasons.append(
                f"WHEN {actions} >= {_FEW_ACTIONS} AND {actions} / {span} > {self.max_click_rate}"
                f"{fine} THEN 'clicks too fast'"
            )
        if self.drop_clickless:
            reasons.append(f"WHEN {actions} = 0 THEN 'no click'")
        return f"CASE {' '.join(reasons)} END"

    def notes(self, *, has_time: bool, precision: Precision) -> list[str]:
        """Return a line for each rule that the log cannot carry."""
        if has_time and not self.sees_rate(precision):
            return [
                f"times are given to {precision.name}; sessions are not looked at for clicks too"
                " fast"
            ]
        if has_time and precision.mixed:
            return [
                f"{precision.mixed:.0%} of the times are full minutes; sessions with such times"
                " alone are not looked at for clicks too fast"
            ]
        return []
