"""One attempt of a request: redirects checked, bytes counted after decompression."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit

import httpcore2
import httpx2

from rankfield.web.limits import Limits
from rankfield.web.request import ERROR_BYTES, Answer, Request, RequestError
from rankfield.web.secrets import NO_SECRETS, Secrets
from rankfield.web.transport import GuardedTransport

__all__ = ["Client", "retry_after"]

_MAY_PASS = (408, 425, 429)
_UNUSABLE = (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpcore2.LocalProtocolError)
_REDIRECTS = (301, 302, 303, 307, 308)


class Client:
    """Sends requests within `limits`, one attempt each. Threads may share it.

    trusted: names of hosts that may be at private addresses.
    secrets: what no message may show of an answer.
    """

    def __init__(
        self,
        limits: Limits,
        trusted: frozenset[str] = frozenset(),
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self.limits, self.secrets = limits, secrets
        self._transport = GuardedTransport(
            allow_private=limits.allow_private, trusted=trusted, connections=limits.concurrency
        )
        self._client = httpx2.Client(
            transport=self._transport,
            timeout=limits.timeout,
            follow_redirects=False,
            trust_env=False,
            # an answer must not depend on which one came before it
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            headers={"user-agent": limits.user_agent, "accept-encoding": "gzip, deflate"},
        )

    def send(self, request: Request) -> Answer:
        """Return the answer of a server that says 2xx and sends what the request accepts.

        Raises:
            RequestError: anything else; `passing` says whether another attempt may help.
        """
        self._transport.start_attempt(self.limits.deadline)
        url, secrets = request.full_url, dict(request.secret_headers)
        seen: set[str] = set()
        while True:
            if urlsplit(url).scheme not in ("http", "https"):
                raise RequestError("expected an address that begins with https:// or http://")
            if url in seen:
                raise RequestError("the server redirects in a circle")
            if len(seen) > self.limits.redirects:
                raise RequestError(f"more than {self.limits.redirects} redirects in a row")
            seen.add(url)
            answer = self._one(request, url, secrets)
            if isinstance(answer, Answer):
                return answer
            if urlsplit(answer)[:2] != urlsplit(url)[:2]:
                secrets = {}  # another server must not learn the key
            url = answer

    def _one(self, request: Request, url: str, secrets: dict[str, str]) -> Answer | str:
        """Return the answer, or where it redirects to."""
        content = None if request.body is None else json.dumps(request.body).encode()
        headers = {"accept": _accept(request.accept), **request.headers, **secrets}
        if content is not None:
            headers["content-type"] = "application/json"
        try:
            with self._client.stream(
                request.method, url, content=content, headers=headers
            ) as response:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    shown = self.secrets.hidden(response.headers["location"])[:200]
                    return _redirected(request, url, response.headers["location"], shown)
                return self._read(request, response)
        except RequestError:
            raise
        except (*_UNUSABLE, ValueError) as error:
            raise RequestError(f"not a usable address or header ({error})") from None
        except (httpx2.TimeoutException, httpcore2.TimeoutException):
            limits = self.limits
            late = f"no complete answer within the deadline of {limits.deadline:g} s"
            silent = f"nothing came for {limits.timeout:g} s"
            problem = late if self._transport.is_late() else silent
            raise RequestError(problem, passing=True) from None
        except (httpx2.HTTPError, httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            text = str(error) or type(error).__name__
            passing = "CERTIFICATE_VERIFY_FAILED" not in text
            raise RequestError(f"the connection failed ({text})", passing=passing) from None

    def _read(self, request: Request, response: httpx2.Response) -> Answer:
        status, limit = response.status_code, request.max_bytes or self.limits.max_bytes
        said = response.headers.get("content-type", "").partition(";")[0].strip()
        kind = said.lower()
        if not 200 <= status < 300:
            passing = status in _MAY_PASS or status >= 500
            raise RequestError(
                f"the server answers {status}{self._reason(response)}",
                passing=passing,
                retry_after=retry_after(response.headers.get("retry-after")) if passing else None,
                status=status,
            )
        json_of_its_own = kind.endswith("+json") and "application/json" in request.accept
        if kind and not json_of_its_own and not kind.startswith(request.accept):
            expected = " or ".join(request.accept)
            raise RequestError(
                f"expected the type {expected}, found {self.secrets.hidden(said)[:200]!r}",
                passing="image/" not in request.accept,
                status=status,
            )
        if int(response.headers.get("content-length", "0")) > limit:
            raise RequestError(f"the answer is larger than {limit:,} bytes", status=status)
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > limit:
                raise RequestError(f"the answer is larger than {limit:,} bytes", status=status)
        return Answer(status, kind, bytes(body), str(response.url), self.secrets)

    def _reason(self, response: httpx2.Response) -> str:
        """Return what the server says beside the status, in short; "" if nothing readable."""
        text = b""
        try:
            for chunk in response.iter_bytes():
                text += chunk
                if len(text) > ERROR_BYTES:
                    break
        except (httpx2.HTTPError, httpcore2.NetworkError, httpcore2.ProtocolError):
            pass  # what came has to do
        except httpcore2.TimeoutException:
            pass
        whole = self.secrets.hidden(text[:ERROR_BYTES].decode("utf-8", "replace"))
        shown = " ".join(whole[:300].split())
        readable = shown and not shown.startswith("<")
        return f" ({shown[:200]})" if readable else ""

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def _accept(kinds: tuple[str, ...]) -> str:
    return ", ".join(f"{kind}*" if kind.endswith("/") else kind for kind in kinds)


def _redirected(request: Request, url: str, location: str, shown: str) -> str:
    if request.method != "GET":
        raise RequestError(
            f"the server redirects a {request.method} to {shown}",
            remedy="Set the address that it redirects to.",
        )
    try:
        target = urljoin(url, location)
    except ValueError as error:
        raise RequestError(f"the server redirects to no address ({error})") from None
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http":
        raise RequestError("the server redirects from https to http")
    return target


def retry_after(value: str | None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for: a number or an HTTP date.

    None if there is none, or if it is neither. A date that has passed is 0.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        then = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.fromtimestamp(time.time(), UTC)).total_seconds())
