"""The console's pages about what happened."""

from monitoring.admin import agents, alerts, calls, digests, events, known_senders, relays  # noqa: F401
