"""A pytest plugin: what else happened in this `make test`, said just above pytest's closing line."""

import os

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    notes = [note for note in os.environ.get("TEST_NOTES", "").splitlines() if note]
    if notes:
        terminalreporter.section("make test")
    for note in notes:
        is_bad = "NOT RUN" in note or "FAILED" in note
        terminalreporter.write_line(note, red=is_bad, bold=is_bad, green=not is_bad)
