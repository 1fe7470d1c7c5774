"""What judging costs: estimated before, counted after."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from rankfield.judging.prompt import PairPrompts
from rankfield.web.chat import Usage

__all__ = ["Cost", "Prices", "estimate_cost"]

_CHARACTERS_A_TOKEN = 4.0
_ANSWER_TOKENS = 60


@dataclass(frozen=True)
class Prices:
    """Per million tokens, in any currency; and what an image counts in tokens."""

    prompt: float = 0.0
    completion: float = 0.0
    photo_tokens: int = 255

    def of(self, usage: Usage) -> float:
        """Return prompt tokens · price + completion tokens · price, in units of 10⁶ tokens."""
        spent = usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion
        return spent / 1e6


@dataclass(frozen=True)
class Cost:
    """Requests, tokens and their price."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    price: float

    def to_json(self) -> dict[str, Any]:
        """Return the figures by name."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.requests:,} requests, {self.prompt_tokens:,} tokens in,"
            f" {self.completion_tokens:,} out" + (f", {self.price:,.2f}" if self.price else "")
        )


def estimate_cost(prompts: PairPrompts, pairs: pl.DataFrame, votes: int, prices: Prices) -> Cost:
    """Return what the votes on these pairs will cost, nearly.

    A token is taken for four characters, an answer for 60 tokens; an image counts
    `prices.photo_tokens`. Texts other than English have more tokens.
    """
    prompt = 0.0
    for query_id, doc_id in pairs.select("query_id", "doc_id").iter_rows():
        prompt += prompts.text_length(query_id, doc_id) / _CHARACTERS_A_TOKEN
        prompt += prompts.image_count(query_id, doc_id) * prices.photo_tokens
    requests = pairs.height * votes
    usage = Usage(round(prompt * votes), requests * _ANSWER_TOKENS)
    return Cost(requests, usage.prompt_tokens, usage.completion_tokens, prices.of(usage))
