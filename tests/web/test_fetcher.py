"""Requests against a real server on loopback that misbehaves."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpcore2
import pytest

from misbehaving_server import MisbehavingServer, serving
from rankfield.web import Answer, Fetcher, Limits, Request, RequestError
from rankfield.web.fetcher import ServerGivenUpError
from rankfield.web.request_log import RequestLog
from rankfield.web.secrets import Secrets

QUICK: dict[str, Any] = {
    "requests_per_second": 10_000.0,
    "burst": 100,
    "timeout": 0.5,
    "deadline": 1.0,
    "retries": 2,
    "backoff": 0.001,
    "allow_private": True,
    "max_bytes": 1_000_000,
}


@pytest.fixture(scope="module")
def server() -> Iterator[MisbehavingServer]:
    with serving() as running:
        yield running


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RequestLog]:
    with RequestLog(tmp_path / "requests.jsonl", Secrets(["s3cr3t key"])) as opened:
        yield opened


def fetch(url: str, log: RequestLog, request: Any = None, **limits: Any) -> Any:
    with Fetcher(Limits(**QUICK | limits), log) as fetcher:
        return fetcher.fetch(Request(url, **(request or {})), Answer.json)


def lines(log: RequestLog) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    ("path", "attempts"),
    [("/ok", 1), ("/api-json", 1), ("/500", 3), ("/truncated", 2), ("/to-ok", 1), ("/429", 2)],
)
def test_what_passes_is_tried_again(
    server: MisbehavingServer, log: RequestLog, path: str, attempts: int
) -> None:
    server.counts.clear()
    assert fetch(server.url + path, log)["ok"] == attempts
    found = lines(log)
    assert [line["attempt"] for line in found] == list(range(1, attempts + 1))
    assert [line["outcome"] == "ok" for line in found] == [False] * (attempts - 1) + [True]


@pytest.mark.parametrize(
    ("path", "message", "attempts"),
    [
        ("/503", "answers 503", 3),
        ("/slow", "nothing came for 0.5 s", 3),
        ("/drip", "within the deadline of 0.6 s", 3),
        ("/drip-header", "within the deadline of 0.6 s", 3),
        ("/html", "expected the type application/json, found 'text/html'", 3),
        ("/not-json", "not valid JSON", 3),
        ("/huge-header", "connection failed", 3),
        ("/bad-gzip", "connection failed", 3),
        ("/no-answer", "connection failed", 3),
        ("/401", r'answers 401 \({"error": "wrong key"}\)', 1),
        ("/nothing-here", r"answers 404 \(gone\)", 1),
        ("/bomb", "larger than 1,000,000 bytes", 1),
        ("/endless", "larger than 1,000,000 bytes", 1),
        ("/circle", "redirects in a circle", 1),
        ("/chain/1", "more than 5 redirects", 1),
        ("/to-nowhere", "redirects to no address", 1),
        ("/to-file", "expected an address that begins with https", 1),
    ],
)
def test_what_does_not_pass_ends_with_its_reason(
    server: MisbehavingServer, log: RequestLog, path: str, message: str, attempts: int
) -> None:
    with pytest.raises(RequestError, match=message) as raised:
        fetch(server.url + path, log, deadline=0.6 if "drip" in path else 2.0)
    assert path in raised.value.where
    assert len(lines(log)) == attempts
    assert all(line["outcome"] != "ok" for line in lines(log))


def test_a_gzip_bomb_needs_no_memory(server: MisbehavingServer, log: RequestLog) -> None:
    with Fetcher(Limits(**QUICK), log) as fetcher:
        fetcher.fetch(Request(server.url + "/ok"), Answer.json)
        tracemalloc.start()
        with pytest.raises(RequestError, match="larger"):
            fetcher.fetch(Request(server.url + "/bomb"), Answer.json)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 12_000_000  # it would be 30 MB; 1 MB is allowed, decoded in pieces of 1 MB


def test_a_connection_that_is_closed_is_opened_again(
    server: MisbehavingServer, log: RequestLog
) -> None:
    server.counts.clear()
    with Fetcher(Limits(**QUICK), log) as fetcher:
        for count in range(1, 5):
            assert fetcher.fetch(Request(server.url + "/hang-up"), Answer.json)["ok"] >= count


def test_private_addresses_are_refused(server: MisbehavingServer, log: RequestLog) -> None:
    server.counts.clear()
    with pytest.raises(RequestError, match="private or reserved address") as raised:
        fetch(server.url + "/ok", log, allow_private=False)
    assert "allow_private" in raised.value.remedy
    assert server.counts == {}


def test_each_hop_of_a_redirect_is_checked(
    server: MisbehavingServer, log: RequestLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first address counts as public here; the one that it redirects to does not."""
    from rankfield.web import addresses

    monkeypatch.setattr(addresses, "is_public", lambda a: a == "127.0.0.1")
    with pytest.raises(RequestError, match=r"10\.0\.0\.1, a private or reserved address"):
        fetch(server.url + "/to-private", log, allow_private=False)


def test_the_connection_goes_to_the_address_that_was_checked(
    server: MisbehavingServer, log: RequestLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that resolves to a public address first and to a private one next (DNS rebinding)."""
    from rankfield.web import transport

    connected = []

    class Inner:
        def connect_tcp(self, host: str, *rest: Any) -> Any:
            connected.append(host)
            raise httpcore2.ConnectError("stop here")

    answers = iter([["93.184.215.14"], ["127.0.0.1"]])
    monkeypatch.setattr(transport, "public_addresses", lambda *_, **__: next(answers))
    monkeypatch.setattr(httpcore2, "SyncBackend", Inner)
    with pytest.raises(RequestError, match="stop here"):
        fetch("http://rebinding.example/", log, allow_private=False, retries=0)
    assert connected == ["93.184.215.14"]


def test_secrets_reach_the_server_and_nothing_else(
    server: MisbehavingServer, log: RequestLog
) -> None:
    server.seen.clear()
    secret = {
        "secret_params": {"api_key": "s3cr3t key"},
        "secret_headers": {"x-key": "s3cr3t key"},
    }
    fetch(server.url + "/ok?q=mug", log, request=secret)
    assert server.seen[0]["path"] == "/ok?q=mug&api_key=s3cr3t+key"
    assert {k.lower(): v for k, v in server.seen[0]["headers"].items()}["x-key"] == "s3cr3t key"

    def echo(handler: Any, count: int) -> None:
        handler.answer(handler.path.encode(), status=400, kind="text/plain")

    with serving({"/echo": echo}) as other, pytest.raises(RequestError) as raised:
        fetch(other.url + "/echo", log, request=secret)
    assert "api_key=***" in str(raised.value)
    text = log.path.read_text("utf-8")
    assert "s3cr3t" not in text + str(raised.value)
    assert "api_key=***" in text


def test_a_line_that_a_kill_cut_off_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    with RequestLog(path) as log, Fetcher(Limits(**QUICK), log) as fetcher:
        for name in ("a", "b"):
            with pytest.raises(RequestError):
                fetcher.fetch(Request(f"ftp://x.example/{name}"), Answer.json)
    path.write_bytes(path.read_bytes()[:-5])
    with RequestLog(path) as log, Fetcher(Limits(**QUICK), log) as fetcher:
        with pytest.raises(RequestError):
            fetcher.fetch(Request("ftp://x.example/c"), Answer.json)
        assert [line["url"][-1] for line in lines(log)] == ["a", "c"]


def test_cookies_are_not_kept(log: RequestLog) -> None:
    def cookie(handler: Any, count: int) -> None:
        handler.json({}, headers={"Set-Cookie": "who=me"})

    with serving({"/cookie": cookie}) as server, Fetcher(Limits(**QUICK), log) as fetcher:
        for _ in range(2):
            fetcher.fetch(Request(server.url + "/cookie"), Answer.json)
        assert not any("cookie" in str(s["headers"]).lower() for s in server.seen)


def test_another_server_never_learns_the_key(server: MisbehavingServer, log: RequestLog) -> None:
    server.seen.clear()

    def away(handler: Any, count: int) -> None:
        handler.answer(b"", status=302, headers={"Location": server.url + "/ok"})

    with serving({"/away": away}) as first:
        request = {"secret_headers": {"authorization": "Bearer s3cr3t key"}}
        fetch(first.url + "/away", log, request=request)
        assert "Authorization" in str(first.seen[0]["headers"]).title()
    assert "s3cr3t" not in str(server.seen)


class StandingClock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float, stop: threading.Event) -> None:
        self.waits.append(seconds)
        self.time += seconds


class Scripted:
    """A client that answers from a list."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = iter(answers)

    def send(self, request: Request) -> Answer:
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return Answer(200, "application/json", b"{}", request.url)

    def close(self) -> None:
        pass


def scripted(answers: list[Any], log: RequestLog, **limits: Any) -> tuple[Fetcher, StandingClock]:
    clock = StandingClock()
    client: Any = Scripted(answers)
    return Fetcher(Limits(**limits), log, client=client, clock=clock), clock


def passing(retry_after: float | None = None) -> RequestError:
    return RequestError("busy", passing=True, retry_after=retry_after, status=429)


def test_backoff_doubles_and_is_the_same_in_every_run(log: RequestLog) -> None:
    limits: dict[str, Any] = {"requests_per_second": 1e9, "backoff": 1.0, "max_backoff": 3.0}
    waits = []
    for _ in range(2):
        fetcher, clock = scripted([passing()] * 4 + [None], log, **limits)
        fetcher.fetch(Request("http://x.example/"), Answer.json)
        waits.append([w for w in clock.waits if w > 1e-6])
    assert waits[0] == waits[1]
    assert len(waits[0]) == 4
    for wait, longest in zip(waits[0], [1.0, 2.0, 3.0, 3.0], strict=True):
        assert longest / 2 <= wait < longest


def test_retry_after_holds_back_all_requests_to_that_server(log: RequestLog) -> None:
    fetcher, clock = scripted([passing(7.0), None, None, None], log, requests_per_second=1e9)
    fetcher.fetch(Request("http://x.example/1"), Answer.json)
    assert 7.0 <= clock.time < 7.001
    fetcher.fetch(Request("http://y.example/"), Answer.json)
    assert clock.time < 7.001
    fetcher._server("http://x.example").rate.pause_until(20.0)
    fetcher.fetch(Request("http://x.example/2"), Answer.json)
    assert clock.time >= 20.0


def test_a_retry_after_of_a_day_ends_the_run(log: RequestLog) -> None:
    fetcher, _ = scripted([passing(86_400.0)], log)
    with pytest.raises(ServerGivenUpError, match="asks to wait 86,400 s") as raised:
        fetcher.fetch(Request("http://x.example/"), Answer.json)
    assert "run the same command again" in raised.value.remedy


def test_a_server_that_fails_in_a_row_is_left_alone(log: RequestLog) -> None:
    answers = [passing(), passing(), None, passing(), passing(), passing()]
    fetcher, _ = scripted(answers, log, retries=0, give_up_after=3)
    ok: list[bool] = []
    for number in range(5):
        with pytest.raises(RequestError) if number != 2 else _nothing():
            fetcher.fetch(Request(f"http://x.example/{number}"), Answer.json)
            ok.append(True)
    assert ok == [True]
    with pytest.raises(ServerGivenUpError, match="3 requests failed in a row"):
        fetcher.fetch(Request("http://x.example/5"), Answer.json)
    with pytest.raises(ServerGivenUpError):  # and no request is made
        fetcher.fetch(Request("http://x.example/6"), Answer.json)
    assert len(lines(log)) == 6


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_a_refused_picture_is_no_failure_of_its_server(log: RequestLog) -> None:
    gone = RequestError("gone", status=404)
    fetcher, _ = scripted([gone] * 4, log, give_up_after=2)
    for number in range(4):
        with pytest.raises(RequestError, match="gone"):
            fetcher.fetch(Request(f"http://x.example/{number}", refusal_counts=False), Answer.json)
    fetcher, _ = scripted([gone] * 4, log, give_up_after=2)
    with pytest.raises(RequestError, match="gone"):
        fetcher.fetch(Request("http://x.example/"), Answer.json)
    with pytest.raises(ServerGivenUpError):
        fetcher.fetch(Request("http://x.example/"), Answer.json)


def test_each_stops_at_the_first_error(log: RequestLog) -> None:
    fetcher, _ = scripted([], log, concurrency=2)
    done: list[int] = []

    def work(number: int) -> None:
        if number == 3:
            raise RequestError("enough")
        done.append(number)

    with pytest.raises(RequestError, match="enough"):
        fetcher.each(work, range(1_000))
    assert len(done) < 20
