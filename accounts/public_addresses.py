"""Where the console may send a request that a customer named the address of: to the public internet, and nowhere else.

The name is resolved once, every answer is looked at, and the connection goes to one of those: asked a second time, a
name could answer with an address of ours.
"""

from __future__ import annotations

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

# Addresses that carry an IPv4 address inside, which might be anything: 6to4, Teredo, NAT64.
_CARRIERS = tuple(ipaddress.ip_network(net) for net in ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48"))


class NotPublic(Exception):
    """The name leads somewhere else than to the public internet, or nowhere; the sentence says which."""


def resolve(host: str, port: int, *, or_loopback: bool = False) -> str:
    """One address of `host` to connect to. Raises NotPublic. May take as long as the name server does.

    `or_loopback`: for a console that only this machine reaches, such as the demo.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotPublic("its name cannot be resolved") from None
    found = [_parsed(str(answer[4][0])) for answer in answers]
    if not found or not all(_may_be_asked(address, or_loopback) for address in found):
        raise NotPublic("its address is not a public one")
    return str(found[0])


def is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and any(address in carrier for carrier in _CARRIERS):
        return False
    return address.is_global and not address.is_multicast


def _may_be_asked(address: Address, or_loopback: bool) -> bool:
    return is_public(address) or (or_loopback and address.is_loopback)


def _parsed(text: str) -> Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
