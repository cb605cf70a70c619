"""The console's pages about what happened."""

from monitoring.admin import calls  # noqa: F401
