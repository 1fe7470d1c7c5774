"""A request, its answer, and its failure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from rankfield.errors import RemoteError
from rankfield.parsing import parse_json
from rankfield.web.secrets import NO_SECRETS, Secrets

__all__ = ["ERROR_BYTES", "Answer", "Request", "RequestError"]

_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
_SURROGATE = re.compile("[\ud800-\udfff]")
ERROR_BYTES = 65_536
"""Of an answer, where a message shows its beginning: a secret within that is there as a whole."""


class RequestError(RemoteError):
    """One request did not succeed.

    passing: whether the same request may succeed later.
    retry_after: how many seconds the server asks to wait, if it says so.
    status: the HTTP status, if there was an answer.
    """

    def __init__(
        self,
        problem: str,
        *,
        passing: bool = False,
        retry_after: float | None = None,
        status: int | None = None,
        where: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(problem, where=where, remedy=remedy)
        self.passing = passing
        self.retry_after = retry_after
        self.status = status


@dataclass(frozen=True)
class Request:
    """What is asked of a server.

    `secret_params` and `secret_headers` are sent to the server that `url` names, and to no other;
    they are neither logged nor part of `key`.

    accept: content types that the answer may have ("image/" allows all that begin so); an answer
        without a type is accepted.
    refusal_counts: whether a final refusal counts towards giving the server up, as a failure does;
        of many pictures, some may be gone.
    """

    url: str
    method: str = "GET"
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_params: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    accept: tuple[str, ...] = ("application/json",)
    max_bytes: int | None = None
    refusal_counts: bool = True

    @property
    def key(self) -> str:
        """The sha256 of method, address and body: what the journal knows the request by."""
        parts = [self.method, self.url, self.body]
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def server(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()

    @property
    def full_url(self) -> str:
        """The address with the secret parameters: for sending, never for showing."""
        if not self.secret_params:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}{urlencode(self.secret_params)}"


@dataclass(frozen=True)
class Answer:
    """What a server sent.

    `body` is decompressed, and holds what the server sends back of `secrets`; `kind` is the content
    type in lower case.
    """

    status: int
    kind: str
    body: bytes
    url: str
    secrets: Secrets = NO_SECRETS

    def json(self) -> Any:
        """Return the body as JSON, its texts without secrets.

        Half of a surrogate pair, which JSON may spell but no text holds, becomes U+FFFD.

        Raises:
            RequestError: it is not; the next answer may be.
        """
        try:
            value = parse_json(self.body, finite=False)
            return self.secrets.hidden_in(_whole(value, self.body))
        except ValueError as error:
            raise RequestError(
                f"the answer is not valid JSON ({error}): {self.beginning(60)!r}", passing=True
            ) from None

    def beginning(self, characters: int) -> str:
        """Return the first characters of the body without secrets, for a message."""
        text = self.body[:ERROR_BYTES].decode("utf-8", "replace")
        return self.secrets.hidden(text)[:characters]


def _whole(value: Any, body: bytes) -> Any:
    """Return a JSON value whose texts can be stored."""
    return _mended(value) if _HALF.search(body) else value


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(inner) for inner in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(inner) for name, inner in value.items()}
    return value
