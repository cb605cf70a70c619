"""Where a request comes from, as far as our own proxies can be believed."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address


def client_address(request: HttpRequest) -> str:
    """The caller's address, or an empty text where it cannot be known.

    `X-Forwarded-For` is walked from the right, through networks of TRUSTED_PROXIES only: what stands left of the
    first stranger was written by that stranger. Nobody is trusted by default.
    """
    address = _parsed(request.META.get("REMOTE_ADDR", ""))
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    while address is not None and _is_ours(address) and hops and hops[-1].strip():
        address = _parsed(hops.pop())
    return str(address) if address is not None else ""


def canonical(value: object) -> str | None:
    """An address in its one spelling, as PostgreSQL takes it too; None for what is none."""
    try:
        address = ipaddress.ip_address(value.partition("%")[0].strip()) if isinstance(value, str) else None
    except ValueError:
        address = None
    return None if address is None else str(getattr(address, "ipv4_mapped", None) or address)


def _is_ours(address: Address) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)


def _parsed(text: str) -> Address | None:
    """The address in a hop, whatever port and brackets a proxy put around it; IPv4 inside IPv6 is IPv4."""
    hop = text.strip().strip('"')
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        address = ipaddress.ip_address(hop.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
