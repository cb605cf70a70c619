"""The signature on UponAI's webhooks: making it and verifying it over raw bytes.

Pure: secrets, header values and the time are passed in, and nothing of the body is parsed.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

# Ours first, then the name under which the stock client library's users know it.
HEADER_NAMES: Final = ("X-UponAI-Signature", "X-Retell-Signature")
TOLERANCE_MS: Final = 300_000  # both ways, inclusive

_HEADER: Final = re.compile(r"v=([0-9]{13}),d=([0-9a-f]{64})")


class SignatureProblem(StrEnum):
    MISSING = "missing"
    CONFLICTING = "conflicting"
    MALFORMED = "malformed"
    STALE = "stale"
    MISMATCH = "mismatch"


def sign(*, body: bytes, secret: str | bytes, now_ms: int) -> str:
    """Return the header value for a body."""
    return f"v={now_ms:013d},d={_digest(body, secret, f'{now_ms:013d}')}"


def verify(
    *, body: bytes, headers: Mapping[str, str], secrets: Sequence[str | bytes], now_ms: int
) -> SignatureProblem | None:
    """Say what is wrong with the signature, or None when it is right under one of the secrets.

    `headers` holds the values found under the signature's names; two that differ are refused, since nobody
    could tell which of them a proxy in between believed.
    """
    values = set(headers.values())
    if not values:
        return SignatureProblem.MISSING
    if len(values) > 1:
        return SignatureProblem.CONFLICTING
    match = _HEADER.fullmatch(values.pop())
    # The timestamp follows the body without a separator, so a body must have an end of its own.
    if match is None or not body.endswith(b"}"):
        return SignatureProblem.MALFORMED
    timestamp, digest = match.groups()
    if abs(now_ms - int(timestamp)) > TOLERANCE_MS:
        return SignatureProblem.STALE
    # Every secret is tried, so that the time taken does not tell which one fits; an empty one fits nothing.
    fits = [hmac.compare_digest(_digest(body, secret, timestamp), digest) for secret in secrets if secret]
    return None if any(fits) else SignatureProblem.MISMATCH


def _digest(body: bytes, secret: str | bytes, timestamp: str) -> str:
    key = secret.encode() if isinstance(secret, str) else secret
    return hmac.digest(key, body + timestamp.encode(), "sha256").hex()
