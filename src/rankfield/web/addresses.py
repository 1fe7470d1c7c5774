"""Which addresses a request may go to: no private, local or reserved ones, unless allowed."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from rankfield.web.request import RequestError
from rankfield.web.special_ranges import is_globally_reachable

__all__ = ["is_public", "public_addresses", "web_address"]

_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96")))


def web_address(url: str) -> str:
    """Return an address of settings as it is.

    Raises:
        ValueError: not http:// or https:// with a host, or with a password in it.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"expected an address as https://host/path, found {url!r}")
    if "@" in parts.netloc:
        raise ValueError("no passwords in addresses: name an environment variable, key_env")
    return url


def is_public(address: str) -> bool:
    """Return whether an IPv4 or IPv6 address is one of the open Internet.

    Those that IANA's registries set aside (`special_ranges`) are not: private, loopback,
    link-local, shared, documentation, benchmarking, multicast, reserved, tunnels (6to4, Teredo).
    An IPv6 address that stands for an IPv4 address (mapped, NAT64) is public if that one is.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and any(ip in network for network in _TRANSLATED):
        return is_globally_reachable(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
    return is_globally_reachable(ip)


def public_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Return the addresses of `host` that a connection may be made to, as numbers.

    The connection must go to one of them and not to the name: a second look-up could give
    another answer (DNS rebinding).

    Raises:
        RequestError: the name is unknown (may pass), or leads to private addresses only (final).
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RequestError(f"the name {host!r} is not known ({error})", passing=True) from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [a for a in addresses if allow_private or is_public(a)]
    if not allowed:
        raise RequestError(
            f"{host} is at {addresses[0]}, a private or reserved address",
            remedy="If that is meant, set limits.allow_private = true.",
        )
    return allowed
