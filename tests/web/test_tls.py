"""HTTPS: the connection goes to the checked address, the certificate must fit the name."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from misbehaving_server import MisbehavingServer, serving
from rankfield.web import Answer, Fetcher, Limits, Request, RequestError
from rankfield.web.request_log import RequestLog

OPENSSL = shutil.which("openssl")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of a.example, signed by itself."""
    if OPENSSL is None:
        pytest.skip("needs openssl")
    place = tmp_path / "both.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=a.example", "-addext", "subjectAltName=DNS:a.example"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([OPENSSL, *words, *names, *files], check=True, capture_output=True)
    place.write_bytes((tmp_path / "key.pem").read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return place


@pytest.fixture
def server(certificate: Path) -> Iterator[MisbehavingServer]:
    with serving() as running:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        running.socket = context.wrap_socket(running.socket, server_side=True)
        yield running


def fetch(host: str, server: MisbehavingServer, tmp_path: Path) -> object:
    limits = Limits(requests_per_second=1e6, retries=2, backoff=0.001, allow_private=True)
    url = f"https://{host}:{server.server_address[1]}/ok"
    with RequestLog(tmp_path / "log.jsonl") as log, Fetcher(limits, log) as fetcher:
        return fetcher.fetch(Request(url), Answer.json)


def test_the_certificate_is_checked_against_the_name(
    server: MisbehavingServer, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rankfield.web import transport

    monkeypatch.setattr(transport, "public_addresses", lambda *_, **__: ["127.0.0.1"])
    with pytest.raises(RequestError, match="CERTIFICATE_VERIFY_FAILED") as raised:
        fetch("a.example", server, tmp_path)  # nobody trusts it yet
    assert not raised.value.passing
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
    assert fetch("a.example", server, tmp_path) == {"ok": 1}
    with pytest.raises(RequestError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch("b.example", server, tmp_path)
