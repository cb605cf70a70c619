"""Attempts as a backend describes them, with the fields of a preview. Whatever stands there, it becomes an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from accounts.addresses import canonical
from policies.engine.types import Attempt
from policies.gate.outbound.credentials import Caller

MOST_ATTEMPTS: Final = 1000
LONGEST_TEXT: Final = 256
"""Longer than any number, name or address can be; what is cut off tells nothing more."""
NO_ADDRESS: Final = False
_EMPTY: Final = {list: [], dict: {}}


def read(value: Any, *, caller: Caller, captcha: str | None = None) -> Attempt:
    """One attempt. What it does not say of the end user is taken from the headers.

    `captcha`: the token of a header. None of a batch is verified: they live for two minutes, and work once.
    """
    given = value if isinstance(value, Mapping) else {}
    attempt = Attempt.from_json({name: _short(inner) for name, inner in given.items() if name != "captcha"})
    return replace(
        attempt,
        ip=_address(caller.ip if attempt.ip in (None, "") else attempt.ip),
        subject=caller.subject if attempt.subject in (None, "") else attempt.subject,
        captcha=captcha or given.get("captcha"),
    )


def _address(value: Any) -> Any:
    """In its one spelling. What is none stays something: whoever sends it shares the counter of unknown addresses."""
    if value is None:
        return None
    return canonical(value) or NO_ADDRESS


def _short(value: Any) -> Any:
    """A list or object is never what is asked for, and may be deeper than can be written down again."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT].replace("\x00", "�")  # which PostgreSQL takes nowhere
    return _EMPTY.get(type(value), value)
