"""The console's pages about what happened."""

from monitoring.admin import agents, calls, events, known_senders  # noqa: F401
