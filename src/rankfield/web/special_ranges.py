"""The ranges of addresses that IANA has set aside, and whether the open Internet reaches them."""

from __future__ import annotations

import ipaddress
from typing import Final

__all__ = ["REGISTRY_DATE", "is_globally_reachable"]

REGISTRY_DATE: Final = "2025-10-09"
"""The version of the registries: IANA IPv4 and IPv6 Special-Purpose Address Registry
(iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry), IPv4 multicast,
and the IPv6 address space, of which 2000::/3 alone is global unicast. Python's `ipaddress` has
later entries later, or not at all."""

_NOT_REACHABLE = (
    "0.0.0.0/8",  # this network, RFC 791
    "10.0.0.0/8",  # private, RFC 1918
    "100.64.0.0/10",  # shared, RFC 6598
    "127.0.0.0/8",  # loopback, RFC 1122
    "169.254.0.0/16",  # link-local, RFC 3927
    "172.16.0.0/12",  # private, RFC 1918
    "192.0.0.0/24",  # protocol assignments, RFC 6890
    "192.0.2.0/24",  # documentation, RFC 5737
    "192.88.99.0/24",  # relays of 6to4, deprecated, RFC 7526
    "192.168.0.0/16",  # private, RFC 1918
    "198.18.0.0/15",  # benchmarking, RFC 2544
    "198.51.100.0/24",  # documentation, RFC 5737
    "203.0.113.0/24",  # documentation, RFC 5737
    "224.0.0.0/4",  # multicast, RFC 5771
    "240.0.0.0/4",  # reserved, and broadcast, RFC 1112
    "2001::/23",  # protocol assignments, RFC 2928; Teredo, benchmarking and ORCHID too
    "2001:db8::/32",  # documentation, RFC 3849
    "2002::/16",  # 6to4, RFC 3056
    "3fff::/20",  # documentation, RFC 9637
)
_REACHABLE = (  # within the ranges above
    "192.0.0.9/32",  # Port Control Protocol, RFC 7723
    "192.0.0.10/32",  # TURN, RFC 8155
    "2001:1::1/128",  # Port Control Protocol, RFC 7723
    "2001:1::2/128",  # TURN, RFC 8155
    "2001:1::3/128",  # DNS-SD registration, RFC 9665
    "2001:3::/32",  # AMT, RFC 7450
    "2001:4:112::/48",  # AS112, RFC 7535
    "2001:20::/28",  # ORCHIDv2, RFC 7343
    "2001:30::/28",  # drone identities, RFC 9374
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""Outside it lie loopback, mapped, translated, discarded, SRv6 (5f00::/16), local and multicast."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_CLOSED, _OPEN = _networks(_NOT_REACHABLE), _networks(_REACHABLE)


def is_globally_reachable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether the open Internet reaches an address by the registries, as it stands."""
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in n for n in _CLOSED) or any(address in n for n in _OPEN)
