"""A real HTTP server on loopback that misbehaves: each path another way."""

from __future__ import annotations

import gzip
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

from loopback import LoopbackHandler, LoopbackServer

__all__ = ["MisbehavingServer", "png", "serving"]

BOMB = gzip.compress(b" " * 30_000_000, 9)
"""30 KB that become 30 MB."""

Route = Callable[["Handler", int], None]


def png(colour: tuple[int, int, int] = (200, 30, 30), size: int = 8) -> bytes:
    """A small picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(file, "PNG")
    return file.getvalue()


class MisbehavingServer(LoopbackServer):
    """Counts the requests of each path, and keeps what it saw."""

    def __init__(self, routes: dict[str, Route]) -> None:
        super().__init__(Handler)
        self.routes = ROUTES | routes
        self.seen: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()


class Handler(LoopbackHandler):
    server: MisbehavingServer

    def respond(self) -> None:
        self.body: Any = None
        length = int(self.headers.get("content-length") or 0)
        if length:
            self.body = json.loads(self.rfile.read(length))
        parts = urlsplit(self.path)
        self.query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        with self.server.guard:
            key = self.path + json.dumps(self.body)
            self.server.counts[parts.path] += 1
            self.server.counts[key] += 1
            count = self.server.counts[key]
            self.server.seen.append(
                {"path": self.path, "headers": dict(self.headers), "body": self.body}
            )
        for prefix, route in self.server.routes.items():
            if parts.path == prefix or (prefix.endswith("/") and parts.path.startswith(prefix)):
                route(self, count)
                return
        self.answer(b"gone", status=404, kind="text/plain")


def _too_many(handler: Handler, count: int) -> None:
    if count == 1:
        handler.answer(b"slow down", status=429, kind="text/plain", headers={"Retry-After": "1"})
    else:
        handler.json({"ok": count})


def _broken_twice(handler: Handler, count: int) -> None:
    if count <= 2:
        handler.answer(b"<html>oops</html>", status=500, kind="text/html")
    else:
        handler.json({"ok": count})


def _slow(handler: Handler, count: int) -> None:
    time.sleep(1.0)
    handler.json({"ok": count})


def _drip(handler: Handler, count: int) -> None:
    """Never silent for long, and never done."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def _drip_header(handler: Handler, count: int) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in range(100):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def _truncated(handler: Handler, count: int) -> None:
    if count == 1:
        handler.answer(b'{"ok": ', length=100)
        handler.close_connection = True
    else:
        handler.json({"ok": count})


def _huge_header(handler: Handler, count: int) -> None:
    handler.answer(b"{}", headers={f"X-Huge-{n}": "x" * 60_000 for n in range(5)})


def _bomb(handler: Handler, count: int) -> None:
    handler.answer(BOMB, headers={"Content-Encoding": "gzip"})


def _bad_gzip(handler: Handler, count: int) -> None:
    handler.answer(b"this is not gzip", headers={"Content-Encoding": "gzip"})


def _endless(handler: Handler, count: int) -> None:
    """More than any limit, without saying so first."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Connection", "close")
    handler.end_headers()
    for _ in range(4000):
        handler.wfile.write(b" " * 10_000)


def _hang_up(handler: Handler, count: int) -> None:
    """Promise to keep the connection, and close it without a word."""
    handler.json({"ok": count})
    handler.close_connection = True


def _no_answer(handler: Handler, count: int) -> None:
    handler.close_connection = True


def _redirect(location: str) -> Route:
    def route(handler: Handler, count: int) -> None:
        handler.answer(b"", status=302, headers={"Location": location.format(n=count)})

    return route


def _chain(handler: Handler, count: int) -> None:
    step = int(handler.path.rpartition("/")[2])
    handler.answer(b"", status=302, headers={"Location": f"/chain/{step + 1}"})


def _refused(handler: Handler, count: int) -> None:
    handler.json({"error": "wrong key"}, status=401)


ROUTES: dict[str, Route] = {
    "/ok": lambda handler, count: handler.json({"ok": count}),
    "/429": _too_many,
    "/500": _broken_twice,
    "/503": lambda handler, count: handler.json({}, status=503),
    "/401": _refused,
    "/slow": _slow,
    "/drip": _drip,
    "/drip-header": _drip_header,
    "/truncated": _truncated,
    "/html": lambda handler, count: handler.answer(b"<html>", kind="text/html; charset=utf-8"),
    "/not-json": lambda handler, count: handler.answer(b'{"ok": tru'),
    "/huge-header": _huge_header,
    "/bomb": _bomb,
    "/bad-gzip": _bad_gzip,
    "/endless": _endless,
    "/hang-up": _hang_up,
    "/no-answer": _no_answer,
    "/circle": _redirect("/circle-too"),
    "/circle-too": _redirect("/circle"),
    "/chain/": _chain,
    "/to-private": _redirect("http://10.0.0.1/secret"),
    "/to-file": _redirect("file:///etc/passwd"),
    "/to-nowhere": _redirect("http://[bad"),
    "/api-json": lambda handler, count: handler.json({"ok": 1}, kind="application/vnd.api+json"),
    "/to-ok": _redirect("/ok"),
}


@contextmanager
def serving(routes: dict[str, Route] | None = None) -> Iterator[MisbehavingServer]:
    """Run the server while the block runs."""
    server = MisbehavingServer(routes or {})
    with server.running():
        yield server
