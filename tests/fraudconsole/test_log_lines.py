"""What the log says of requests."""

import logging
import sys

from fraudconsole.log_lines import RefusedIsNoFailure


def _record(status):
    try:
        raise PermissionError("not yours")
    except PermissionError:
        record = logging.LogRecord("django.request", logging.WARNING, "", 0, "%s", ("/admin/",), sys.exc_info())
    record.status_code = status
    assert RefusedIsNoFailure().filter(record)
    return logging.Formatter().format(record)


def test_a_refused_request_is_one_line_and_a_failed_one_has_its_traceback():
    assert _record(403) == "/admin/"
    assert "PermissionError: not yours" in _record(500)


def test_every_line_of_the_log_goes_through_it(settings):
    assert settings.LOGGING["handlers"]["stderr"]["filters"] == ["refused"]
