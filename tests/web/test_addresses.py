from __future__ import annotations

import socket
from typing import Any

import pytest

from rankfield.web.addresses import is_public, public_addresses
from rankfield.web.request import RequestError


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # where clouds keep credentials
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",  # NAT64 of 10.0.0.1
        "2002:7f00:1::",  # 6to4 of 127.0.0.1
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"]
)
def test_public(address: str) -> None:
    assert is_public(address)


def test_only_public_ones_of_several_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, 1, 6, "", (a, port)) for a in ("10.0.0.1", "8.8.8.8", "8.8.8.8")]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert public_addresses("x.example", 80, allow_private=False) == ["8.8.8.8"]
    assert public_addresses("x.example", 80, allow_private=True) == ["10.0.0.1", "8.8.8.8"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "::1"])
def test_loopback_by_any_spelling_is_refused(host: str) -> None:
    with pytest.raises(RequestError):
        public_addresses(host, 80, allow_private=False)


def test_an_unknown_name_may_be_known_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(RequestError, match="not known") as raised:
        public_addresses("x.example", 80, allow_private=False)
    assert raised.value.passing
