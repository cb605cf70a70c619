"""The console's pages about what happened."""

from monitoring.admin import calls, events  # noqa: F401
