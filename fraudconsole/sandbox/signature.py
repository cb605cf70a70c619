"""How UponAI signs what it sends. Knows bytes and keys; sends nothing."""

from __future__ import annotations

import hashlib
import hmac
import time

# UponAI's own name, and the one that users of the stock client library read.
HEADER_NAMES = ("X-UponAI-Signature", "X-Retell-Signature")


def sign(body: bytes, key: str, timestamp_ms: int) -> str:
    message = body + str(timestamp_ms).encode()
    digest = hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
    return f"v={timestamp_ms},d={digest}"


def signature_headers(body: bytes, key: str) -> dict[str, str]:
    """Sign with the machine's clock: a receiver's tolerance is about real time, not the sandbox's."""
    value = sign(body, key, int(time.time() * 1000))
    return dict.fromkeys(HEADER_NAMES, value)
