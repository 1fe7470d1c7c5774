from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        "2002:808:808::",  # 6to4 of 8.8.8.8: a tunnel
        "2001:0:808:808::f7f7:f7f7",  # Teredo
        "64:ff9b:1::808:808",  # NAT64 within a network
        "::808:808",  # compatible, deprecated
        "::ffff:0:8.8.8.8",  # translated, RFC 2765
        "192.0.0.8",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "100.127.255.255",
        "239.255.255.250",
        "100::1",
        "100:0:0:1::1",
        "2001:2::1",
        "2001:10::1",
        "2001:1ff::1",
        "2001:db8::1",
        "3fff::1",
        "3fff:fff::1",
        "5f00::1",
        "fd00:ec2::254",  # where a cloud keeps credentials
        "fec0::1",
        "4000::1",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14",
        "8.8.8.8",
        "2606:4700:4700::1111",
        "64:ff9b::808:808",
        "192.0.0.9",
        "192.0.1.1",
        "192.31.196.1",
        "100.63.0.1",
        "100.128.0.1",
        "172.32.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "2001:1::3",
        "2001:3::1",
        "2001:4:112::1",
        "2001:20::1",
        "2001:3f::1",
        "2001:200::1",
        "3fff:1000::1",
        "2620:4f:8000::1",
    ],
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


# where an address is public here and not in `ipaddress`, or the other way round, in some version of
# Python: its table is older than the registries, or keeps private and reserved ranges apart
KNOWN = [
    "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16", "3fff::/20",
    "5f00::/16", "192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4", "fec0::/10",
    "ff00::/8", "100:0:0:1::/64",
]  # fmt: skip
OTHER_SPACE = [n for n in range(1, 256) if n >> 5 != 1]
"""First bytes of IPv6 addresses outside 2000::/3, of which nothing is allocated."""


@given(st.ip_addresses())
def test_elsewhere_it_agrees_with_the_standard_library(address: Any) -> None:
    if any(address in ipaddress.ip_network(n) for n in KNOWN):
        return
    if address.version == 6 and address not in ipaddress.ip_network("2000::/3"):
        assert not is_public(str(address))
    else:
        assert is_public(str(address)) == address.is_global


@pytest.mark.parametrize("first", OTHER_SPACE)
def test_what_is_not_allocated_is_not_public(first: int) -> None:
    assert not is_public(f"{first:02x}00:1::1")


@pytest.mark.parametrize(
    "network",
    ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "198.18.0.0/15", "2001:db8::/32", "3fff::/20"],
)
def test_ranges_end_where_they_end(network: str) -> None:
    whole = ipaddress.ip_network(network)
    assert not is_public(str(whole[0]))
    assert not is_public(str(whole[-1]))
    assert is_public(str(whole[0] - 1))
    assert is_public(str(whole[-1] + 1))
