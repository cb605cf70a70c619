"""What keeps the console from doing its work, each in a sentence that says what still holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from math import ceil

from django.urls import reverse
from redis.exceptions import RedisError

from accounts.components import Action, Sentence
from monitoring.dashboards.pulse import Pulse
from policies.gate import line


def troubles(pulse: Pulse, *, now: datetime) -> tuple[Sentence, ...]:
    """The most pressing first; nothing in order is told."""
    return (*_store(), *_uponai(pulse, now))


def _store() -> Iterator[Sentence]:
    try:
        line.connection().ping()
    except RedisError:
        text = "The live store does not answer: limits are not counted, and outbound attempts are refused."
        detail = "Inbound calls are judged by their lists all the same. The counts below go on."
        yield Sentence("danger", text, detail)


def _uponai(pulse: Pulse, now: datetime) -> Iterator[Sentence]:
    look = (Action("Look", reverse("admin:policies_synctarget_changelist"), "primary"),)
    # That it refuses the key is among the dangers.
    if pulse.not_asked_until and not pulse.key_refused_at:
        seconds = max(1, ceil((pulse.not_asked_until - now).total_seconds()))
        text = f"UponAI does not answer. Its next try is in {seconds} s; changes wait until then."
        detail = f"Its last trouble: {pulse.trouble}" if pulse.trouble else ""
        yield Sentence("warning", text, detail, look)
