"""An OpenAI-compatible endpoint for chat completions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from pydantic import Field, field_validator

from rankfield.errors import InputError
from rankfield.settings import Settings
from rankfield.unicode_text import half_surrogate
from rankfield.web.addresses import web_address
from rankfield.web.request import Answer, Request, RequestError

__all__ = ["ChatAnswer", "ChatEndpoint", "Usage", "key_from"]

_MOST_TOKENS = 10**12
"""Of one answer: more is no count."""


@dataclass(frozen=True)
class Usage:
    """Tokens that the endpoint counted."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True)
class ChatAnswer:
    """What the model wrote, and what it cost.

    usage: None where the endpoint does not say. finish: why the model stopped, as the endpoint says
    it: "stop", "length" (no more tokens were allowed), "content_filter"; "" if it does not.
    """

    text: str
    usage: Usage | None
    finish: str = ""

    @property
    def is_cut_off(self) -> bool:
        """Whether the model was stopped before it was done."""
        return self.finish in ("length", "max_tokens")

    @property
    def is_filtered(self) -> bool:
        """Whether the endpoint withheld the answer."""
        return self.finish == "content_filter"

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        usage = self.usage and [self.usage.prompt_tokens, self.usage.completion_tokens]
        return {"text": self.text, "usage": usage, "finish": self.finish}

    @classmethod
    def from_json(cls, value: Any) -> ChatAnswer:
        """Return the answer that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it did not write that.
        """
        text, usage, finish = value["text"], value["usage"], value["finish"]
        if not (isinstance(text, str) and isinstance(finish, str)):
            raise ValueError("expected texts")
        if half_surrogate([text, finish]) is not None:
            raise ValueError("half of a surrogate pair")
        if usage is None:
            return cls(text, None, finish)
        prompt, completion = usage
        if not (_is_count(prompt) and _is_count(completion)):
            raise ValueError("expected numbers of tokens")
        return cls(text, Usage(prompt, completion), finish)


class ChatEndpoint(Settings):
    """Where a language model answers, and how it is asked."""

    url: str = Field(min_length=1, description="base address, as https://api.example.com/v1")
    model: str = Field(min_length=1, description="name of the model there")
    _address = field_validator("url")(web_address)

    key_env: str = Field("", description="environment variable that holds the key; empty: no key")
    temperature: float | None = Field(None, ge=0, le=2, description="of sampling; none: not sent")
    max_tokens: int | None = Field(None, ge=1, description="of one answer; none: not sent")
    send_seed: bool = Field(True, description="false for endpoints that refuse the key seed")
    extra: dict[str, Any] = Field({}, description="further keys of each request")

    def request(self, messages: Sequence[dict[str, Any]], *, seed: int | None = None) -> Request:
        """Return the request of one completion.

        Raises:
            InputError: the variable that should hold the key is not set.
        """
        body: dict[str, Any] = {"model": self.model, "messages": list(messages)}
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if self.max_tokens is not None:
            body["max_tokens"] = self.max_tokens
        if seed is not None and self.send_seed:
            body["seed"] = seed
        headers = {}
        if self.key_env:
            headers["authorization"] = f"Bearer {key_from(self.key_env)}"
        return Request(
            url=f"{self.url.rstrip('/')}/chat/completions",
            method="POST",
            body=body | self.extra,
            secret_headers=headers,
        )

    @staticmethod
    def parse(answer: Answer) -> ChatAnswer:
        """Return the text and usage of an answer; of parts, as some send it, their texts.

        An answer without text is "" if the endpoint says why the model stopped.

        Raises:
            RequestError: the answer holds no text; the next one may.
        """
        value = answer.json()
        try:
            choice = value["choices"][0]
            text = choice["message"]["content"]
            finish = choice.get("finish_reason")
        except (KeyError, IndexError, TypeError, AttributeError):
            text = finish = None
        if isinstance(text, list):
            text = "".join(part["text"] for part in text if _is_text(part))
        if text is None and isinstance(finish, str):
            text = ""
        if not isinstance(text, str):
            raise RequestError(
                f"expected choices[0].message.content in the answer, found {str(value)[:80]}",
                passing=True,
                remedy="Is this an OpenAI-compatible endpoint?",
            )
        finish = finish if isinstance(finish, str) else ""
        return ChatAnswer(text, _usage(value.get("usage")), finish)


def _is_text(part: Any) -> bool:
    return (
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )


def _usage(value: Any) -> Usage | None:
    if not isinstance(value, dict):
        return None
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens")
    return Usage(prompt, completion) if _is_count(prompt) and _is_count(completion) else None


def _is_count(number: Any) -> TypeGuard[int]:
    return type(number) is int and 0 <= number <= _MOST_TOKENS


def key_from(variable: str) -> str:
    """Return the key that an environment variable holds.

    Raises:
        InputError: it is not set, or holds what no header may.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(
            f"the environment variable {variable} should hold the key, but is not set",
            where="key_env",
            remedy=f"Set it: export {variable}=…",
        )
    if not (key.isascii() and key.isprintable()):
        raise InputError(
            f"the environment variable {variable} holds characters that no key has",
            where="key_env",
        )
    return key
