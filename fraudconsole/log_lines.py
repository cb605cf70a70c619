"""What the log says of requests."""

from __future__ import annotations

import logging

FIRST_OF_OURS = 500


class RefusedIsNoFailure(logging.Filter):
    """A request that was refused is one line; a traceback is for what failed."""

    def filter(self, record: logging.LogRecord) -> bool:
        status = getattr(record, "status_code", None)
        if isinstance(status, int) and status < FIRST_OF_OURS:
            record.exc_info = record.exc_text = None
        return True
