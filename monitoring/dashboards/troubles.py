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
    if pulse.key_refused_at:
        text = "UponAI refuses the key of this workspace: no edit reaches it, and nothing can be started there."
        detail = "Calls that come in are judged all the same. Put the new key in, and all that waits is sent."
        key = Action("To the connection", reverse("admin:policies_uponaiconnection_changelist"), "primary")
        yield Sentence("danger", text, detail, (key,))
    elif pulse.not_asked_until:
        seconds = max(1, ceil((pulse.not_asked_until - now).total_seconds()))
        text = f"UponAI does not answer. Its next try is in {seconds} s; changes wait until then."
        detail = f"Its last trouble: {pulse.trouble}" if pulse.trouble else ""
        yield Sentence("warning", text, detail, look)
