"""What follows when a number is compared with what UponAI shows of it. Reads no rows, writes none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accounts.audit import Note
from policies.models import PhoneNumber, SyncTarget
from policies.sync import bindings, differences
from policies.sync.lists import CountryLists, of_json
from policies.uponai.answers import read_bindings

State = SyncTarget.State

REASSERTS, WITHIN = 3, timedelta(hours=1)

OTHER_WEBHOOK = "UponAI asks another webhook about this number"
BOUND_AGENTS = "UponAI has agents bound to this number again, which answer while the console does not"
OUTRUN = "It was put right three times within an hour, and somebody else keeps changing it. Nothing more is sent."


@dataclass(frozen=True, slots=True)
class Compared:
    """`changes` of the row, besides when it was seen; `sentence` says what is not as wanted; `outcome` what follows:
    "re_asserted", "left" to a person, "given_up" after three times, "sent" since ours had changed unnoticed."""

    changes: dict[str, Any] = field(default_factory=dict)
    sentence: str = ""
    outcome: str = ""
    notes: tuple[Note, ...] = ()


def compare(
    target: SyncTarget,
    *,
    seen: CountryLists,
    item: Mapping[str, Any],
    wanted: CountryLists,
    endpoint: str,
    is_back: bool,
    asked_at: datetime,
) -> Compared:
    """`seen`, `item`: UponAI's lists and its whole phone number object, as of `asked_at`, of a number that UponAI
    had always listed, or `is_back`: lists again."""
    found = differences.between(wanted, seen)
    others = _other_bindings(target.phone_number, item, endpoint)
    noted: dict[str, Any] = {"observed": seen.as_json(), "verified_at": asked_at}
    if not found and not others:
        return _as_wanted(target, noted, asked_at)
    sentence = "; ".join([*map(str, found), *others])
    if target.state == State.FAILED and not is_back:
        # UponAI refused what we want: somebody has to change that first, and reads why.
        return Compared(noted, sentence, "left")
    is_as_sent = not others and target.applied is not None and of_json(target.applied).same_as(seen)
    if is_as_sent or is_back:
        # Nobody touched it: what is wanted has changed and nobody rang, as where a hold has ended a second ago. Or it
        # is a number that was lost, and comes with what it had or with nothing.
        return Compared(noted | {"state": State.PENDING, "due_at": asked_at}, sentence, "sent")
    widens = bool(others) or any(difference.widens for difference in found)
    return _drifted(target, noted, sentence, wanted=wanted, widens=widens, asked_at=asked_at)


def is_given_up(target: SyncTarget) -> bool:
    """Whether only a person starts again: see `drift.given_up`."""
    return target.state == State.DRIFT and target.due_at is None and len(target.reasserted_at) >= REASSERTS


def _as_wanted(target: SyncTarget, noted: dict[str, Any], asked_at: datetime) -> Compared:
    settled = {
        "state": State.SYNCED,
        "error": "",
        "attempts": 0,
        "drift_since": None,
        "reasserted_at": _recent(target, asked_at),
        "observed": noted["observed"],
        **_applied(target, noted["observed"], asked_at),
    }
    if all(getattr(target, name) == value for name, value in settled.items()):
        return Compared()
    return Compared(settled | noted)


def _applied(target: SyncTarget, seen: dict[str, Any], asked_at: datetime) -> dict[str, Any]:
    """Where UponAI came to have what is wanted without a push of ours that arrived, it is there all the same."""
    is_known = target.applied is not None and of_json(target.applied).same_as(of_json(seen))
    if is_known and target.applied_generation == target.desired_generation:
        return {}
    return {"applied": seen, "applied_generation": target.desired_generation, "applied_at": asked_at}


def _drifted(
    target: SyncTarget, noted: dict[str, Any], sentence: str, *, wanted: CountryLists, widens: bool, asked_at: datetime
) -> Compared:
    is_known = target.state == State.DRIFT and target.drift_since is not None
    changes = noted | {
        "state": State.DRIFT,
        "attempts": 0,
        "drift_since": target.drift_since if is_known else asked_at,
    }
    before = {"at_uponai": target.applied, "wanted": wanted.as_json()}
    after = {"at_uponai": noted["observed"], "wanted": wanted.as_json()}
    recent = _recent(target, asked_at)
    if widens and not is_given_up(target) and len(recent) < REASSERTS:
        changes |= {"due_at": asked_at, "error": sentence, "reasserted_at": [*recent, asked_at.isoformat()]}
        note = Note("sync.re_assert", target.phone_number, before=after, after=_as(wanted, wanted), reason=sentence)
        return Compared(changes, sentence, "re_asserted", (note,))
    is_news = not is_known or target.observed != noted["observed"]
    if widens:
        changes |= {"due_at": None, "error": f"{sentence}. {OUTRUN}"}
        is_news = is_news or not is_given_up(target)
        notes = (Note("sync.give_up", target.phone_number, before=before, after=after, reason=sentence),)
        return Compared(changes, sentence, "given_up", notes if is_news else ())
    changes |= {"due_at": None, "error": sentence, "reasserted_at": recent}
    notes = (Note("sync.drift", target.phone_number, before=before, after=after, reason=sentence),)
    return Compared(changes, sentence, "left", notes if is_news else ())


def _as(at_uponai: CountryLists, wanted: CountryLists) -> dict[str, Any]:
    return {"at_uponai": at_uponai.as_json(), "wanted": wanted.as_json()}


def _other_bindings(number: PhoneNumber, item: Mapping[str, Any], endpoint: str) -> list[str]:
    """What UponAI does with this number's calls beside its lists, where the console has a say in it."""
    others = []
    if bindings.webhooks_differ(number, item, endpoint):
        others.append(OTHER_WEBHOOK)
    if number.closed_when_down and read_bindings(item):
        others.append(BOUND_AGENTS)
    return others


def _recent(target: SyncTarget, now: datetime) -> list[str]:
    return [at for at in target.reasserted_at if datetime.fromisoformat(at) > now - WITHIN]
