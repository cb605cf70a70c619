"""The console's pages about what happened."""

from monitoring.admin import (  # noqa: F401
    agents,
    alerts,
    blocked_calls,
    calls,
    digests,
    events,
    known_senders,
    relays,
)
