"""The page on which an attempt is tried out: what it would be told by the policies of this moment, and why.

It judges as the gate does and stores nothing: no decision, no count, no entry in the live store.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Self
from urllib.parse import urlencode

import phonenumbers
from django.urls import reverse

from accounts.models import PublicKey, Workspace
from policies import words
from policies.admin.counts import Count, counts
from policies.admin.judgement import Judgement, judgement
from policies.engine.decide import decide
from policies.engine.names import Channel, Direction, Reason
from policies.engine.types import Attempt, Snapshot
from policies.gate import judge, recorder, snapshots
from policies.gate.loading import LoadedSnapshot
from policies.models import Decision, PhoneNumber

LONGEST_TYPED = 100
"""More than any number is long, and little enough that the address of the page stays one that servers accept."""
MOST_LISTED = 500
_LONGER = {"public_key": 120, "subject": 120, "origin": 255}
"""As decisions keep them: one that is tried again must be the same attempt."""

_SANCTIONED_CALLER = "+5352345678"
# In this order the first that the number does not let call is offered; a list may be any.
_ABROAD = ("+442079460018", "+37121234567", "+18765550123", "+33612345678", "+12125550123")


def _longest(name: str) -> int:
    return _LONGER.get(name, LONGEST_TYPED)


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the line; any text is welcome. `peer` is the other side, `number` ours."""

    direction: str = Direction.INBOUND.value
    channel: str = Channel.PHONE_CALL.value
    peer: str = ""
    number: str = ""
    ip: str = ""
    public_key: str = ""
    origin: str = ""
    subject: str = ""

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Self:
        given = {
            field.name: parameters[field.name][: _longest(field.name)]
            for field in fields(cls)
            if field.name in parameters
        }
        known = {"direction": set(Direction), "channel": set(Channel)}
        return cls(**{name: text for name, text in given.items() if text in known.get(name, {text})})

    @classmethod
    def of(cls, decision: Decision) -> Self:
        return cls(
            direction=decision.direction,
            channel=decision.channel,
            peer=decision.peer_text or decision.peer,
            number=decision.phone_number,
            ip=decision.ip or "",
            public_key=decision.public_key,
            origin=decision.origin,
            subject=decision.subject,
        )

    def attempt(self) -> Attempt:
        sides = ("from_number", "to_number") if self.direction == Direction.INBOUND else ("to_number", "from_number")
        given = {sides[0]: self.peer, sides[1]: self.number, "ip": self.ip, "public_key": self.public_key}
        given |= {"origin": self.origin, "subject": self.subject}
        absent_or_given = {name: text or None for name, text in given.items()}
        return Attempt.from_json({"direction": self.direction, "channel": self.channel, **absent_or_given})


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was decided about the same attempt when it was made."""

    decision: Decision
    href: str
    differs: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Example:
    title: str
    href: str


@dataclass(frozen=True, slots=True)
class TestCallPage:
    typed: Typed
    judgement: Judgement | None
    counts: tuple[Count, ...]
    recorded: Recorded | None
    recorded_id: str
    note: str
    examples: tuple[Example, ...]


def href(typed: Typed, *, recorded: Decision | None = None) -> str:
    """The page with this attempt filled in; with `recorded` it compares with what was decided then."""
    given = {field.name: getattr(typed, field.name) for field in fields(typed)}
    parameters = {name: text for name, text in given.items() if text or name == "peer"}
    if recorded is not None:
        parameters["recorded"] = str(recorded.decision_id)
    return f"{reverse('admin:policies_decision_test_call')}?{urlencode(parameters)}"


def test_call_page(parameters: Mapping[str, str], *, workspace: Workspace, now: datetime) -> TestCallPage:
    loaded = snapshots.load(workspace.pk)
    snapshot = loaded.engine
    typed = Typed.read(parameters)
    if "number" not in parameters:
        typed = replace(typed, number=min(snapshot.numbers, default=""))
    judged, found = _judge(typed, loaded, now) if "peer" in parameters else (None, ())
    recorded_id = parameters.get("recorded", "")[:LONGEST_TYPED]
    return TestCallPage(
        typed=typed,
        judgement=judged,
        counts=found,
        recorded=_recorded(recorded_id, typed, judged),
        recorded_id=recorded_id,
        note=_note(typed),
        examples=_examples(typed, snapshot),
    )


def choices(typed: Typed) -> dict[str, Any]:
    """What the fields of the line offer. A key that came with the address stays chosen, whatever it is."""
    usable = PublicKey.objects.filter(kind=PublicKey.Kind.GATE_KEY, status=PublicKey.Status.ACTIVE)
    keys = dict(usable.order_by("name").values_list("key", "name")[:MOST_LISTED])
    return {
        "gate_keys": ({} if typed.public_key in keys or not typed.public_key else {typed.public_key: typed.public_key})
        | keys,
        "longest_origin": _longest("origin"),
        "longest_subject": _longest("subject"),
        "directions": words.DIRECTIONS.items(),
        "channels": words.CHANNELS.items(),
        "own_numbers": PhoneNumber.objects.order_by("e164").values_list("e164", "nickname")[:MOST_LISTED],
        "longest": LONGEST_TYPED,
    }


def _judge(typed: Typed, loaded: LoadedSnapshot, now: datetime) -> tuple[Judgement, tuple[Count, ...]]:
    attempt = typed.attempt()
    verdict, counted = judge.look_closely(loaded, attempt, now=now)
    facts = recorder.facts(attempt, verdict, decision_id=uuid.uuid4(), at=now, origin=typed.origin)
    row = recorder.as_row(loaded.workspace_id, facts, now=now)  # for showing; it is never saved
    return judgement(row, number_id=verdict.number.id if verdict.number else None), counts(counted)


def _recorded(decision_id: str, typed: Typed, judged: Judgement | None) -> Recorded | None:
    """Nothing once something else is typed: another attempt has no recorded decision."""
    try:
        wanted = uuid.UUID(decision_id)
    except ValueError:
        return None
    decision = Decision.objects.filter(decision_id=wanted).first()
    if decision is None or judged is None or Typed.of(decision) != typed:
        return None
    return Recorded(
        decision=decision,
        href=reverse("admin:policies_decision_change", args=[decision.pk]),
        differs=(decision.verdict, decision.reason) != (judged.verdict, judged.reason),
        sentence=words.sentence(decision),
    )


def _note(typed: Typed) -> str:
    if not typed.ip.strip():
        return ""
    try:
        ipaddress.ip_address(typed.ip.strip())
    except ValueError:
        return "What stands in “IP address” is not one, such as 203.0.113.7 or 2001:db8::7."
    return ""


def _examples(typed: Typed, snapshot: Snapshot) -> tuple[Example, ...]:
    """Attempts worth a click, at the number in the line or else at our first."""
    number = typed.number
    if decide(Typed(number=number).attempt(), snapshot).number is None:
        number = min(snapshot.numbers, default="")
    caller = Typed(number=number)
    home = snapshot.home_country
    callers = {
        "A sanctioned caller": _SANCTIONED_CALLER,
        "A closed country": _closed(caller, snapshot),
        "A withheld number": "anonymous",
        "A caller from our own country": _example(home, phonenumbers.PhoneNumberType.MOBILE),
    }
    inbound = [(title, replace(caller, peer=peer)) for title, peer in callers.items() if peer]
    premium = _example(home, phonenumbers.PhoneNumberType.PREMIUM_RATE) or _example(
        "US", phonenumbers.PhoneNumberType.PREMIUM_RATE
    )
    outbound = ("Calling a premium number", replace(caller, direction=Direction.OUTBOUND.value, peer=premium))
    return tuple(Example(title, href(example)) for title, example in (*inbound, outbound, *_of_a_key(snapshot)))


def _of_a_key(snapshot: Snapshot) -> list[tuple[str, Typed]]:
    """A call as a web page starts one: with a gate key, from the key's number and one of its sites."""
    keys = [
        key for key in snapshot.keys.values() if key.active and Channel.PHONE_CALL in key.channels and key.phone_number
    ]
    peer = _example(snapshot.home_country, phonenumbers.PhoneNumberType.MOBILE)
    return [
        (
            "A call with a gate key",
            Typed(
                direction=Direction.OUTBOUND.value,
                peer=peer,
                number=key.phone_number,
                ip="203.0.113.7",
                public_key=key.key,
                origin=f"https://{min(key.domains, default='')}",
            ),
        )
        for key in sorted(keys, key=lambda key: key.id)[:1]
    ]


def _closed(caller: Typed, snapshot: Snapshot) -> str:
    for peer in _ABROAD:
        if decide(replace(caller, peer=peer).attempt(), snapshot).reason == Reason.COUNTRY_NOT_ALLOWED:
            return peer
    return ""


def _example(country: str, kind: int) -> str:
    """A number of that kind as the library gives it for examples; empty where the country has none."""
    number = phonenumbers.example_number_for_type(country, kind)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if number else ""
