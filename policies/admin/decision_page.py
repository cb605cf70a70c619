"""What the page of one decision says: the sentence, the facts, the checks, and what would have let it through."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.serializers.json import DjangoJSONEncoder
from django.forms.models import model_to_dict
from django.urls import reverse
from django.utils import timezone

from accounts.countries import name_of
from policies import words
from policies.engine.names import Direction, NumberClass, Reason, VerdictKind
from policies.engine.sentences import sentence_for
from policies.models import CountryPolicy, Decision, PhoneNumber

SIMILAR_DAYS = 30
# Enough to tell a stray call from an attack; counting further would read the whole month.
MOST_SIMILAR = 1000
_TONES = {"allow": "quiet", "guard": "notice", "challenge": "notice", "block": "danger"}


@dataclass(frozen=True, slots=True)
class Action:
    label: str
    href: str
    kind: str = ""
    icon: str = ""


@dataclass(frozen=True, slots=True)
class Sentence:
    tone: str
    text: str
    detail: str = ""
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class TraceEntry:
    check: str
    outcome: str
    text: str
    value: str
    threshold: str


@dataclass(frozen=True, slots=True)
class Similar:
    """Who else the same rule hit."""

    text: str
    href: str


@dataclass(frozen=True, slots=True)
class DecisionPage:
    list_name: str
    list_href: str
    sentence: Sentence
    sender: words.WrittenNumber
    receiver: words.WrittenNumber
    what: str
    number_class: str
    policy_name: str
    policy_href: str
    trace: tuple[TraceEntry, ...]
    remedies: tuple[str, ...]
    no_remedy: str
    number_href: str
    similar: Similar | None
    record: str


def decision_page(decision: Decision, *, now: datetime) -> DecisionPage:
    number_href = _number_href(decision)
    sides = words.sides(decision, own_href=number_href)
    policy = CountryPolicy.objects.filter(pk=decision.policy_id).first() if decision.policy_id else None
    remedies = tuple(change["sentence"] for change in decision.counterfactuals)
    blocked = decision.verdict == VerdictKind.BLOCK
    every = reverse("admin:policies_decision_changelist")
    return DecisionPage(
        list_name="Blocked calls" if blocked else "Decisions",
        list_href=f"{every}?verdict__exact=block" if blocked else every,
        sentence=Sentence(_TONES.get(decision.verdict, "unknown"), say(decision), _also(decision)),
        sender=sides["sender"],
        receiver=sides["receiver"],
        what=f"{words.direction(decision.direction)} {words.channel(decision.channel).lower()}",
        number_class=words.number_class(decision.number_class),
        policy_name=f"{policy.name}, revision {decision.policy_revision}" if policy else "",
        policy_href=reverse("admin:policies_countrypolicy_change", args=[policy.pk]) if policy else "",
        trace=tuple(_trace_entry(entry) for entry in decision.trace),
        remedies=remedies,
        no_remedy=_no_remedy(decision, remedies),
        number_href=number_href,
        similar=_similar(decision, now),
        record=_record(decision),
    )


def say(decision: Decision) -> str:
    """The decision in one sentence; a code that this version does not know is said as it is stored."""
    try:
        return sentence_for(
            verdict=VerdictKind(decision.verdict),
            reason=Reason(decision.reason) if decision.reason else None,
            direction=Direction(decision.direction),
            country=decision.country or None,
            e164=decision.peer or None,
            number_class=NumberClass(decision.number_class or "unknown"),
        )
    except ValueError:
        return f"{words.verdict(decision.verdict)}: {words.reason(decision.reason).lower()}."


def _also(decision: Decision) -> str:
    others = [words.reason(code).lower() for code in decision.reasons if code != decision.reason]
    return f"It would also have failed for: {', '.join(others)}." if others else ""


def _trace_entry(entry: dict[str, Any]) -> TraceEntry:
    outcome = entry.get("outcome", "")
    check, text = words.check(entry.get("check", ""), outcome)
    value, threshold = ("" if entry.get(name) is None else str(entry[name]) for name in ("value", "threshold"))
    return TraceEntry(check, outcome, text, value, threshold)


def _no_remedy(decision: Decision, remedies: tuple[str, ...]) -> str:
    if remedies or decision.verdict == VerdictKind.ALLOW:
        return ""
    if Reason.SANCTIONED_COUNTRY in decision.reasons:
        return "Nothing. The platform sanctions list stands above every setting, hold and exception."
    return "No setting of this console would have: the attempt itself would have to be another one."


def _number_href(decision: Decision) -> str:
    number = PhoneNumber.objects.filter(e164=decision.phone_number).only("pk").first()
    return reverse("admin:policies_phonenumber_change", args=[number.pk]) if number else ""


def _similar(decision: Decision, now: datetime) -> Similar | None:
    if decision.verdict != VerdictKind.BLOCK:
        return None
    since = timezone.localtime(now - timedelta(days=SIMILAR_DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
    same = {"verdict": decision.verdict, "reason": decision.reason, "direction": decision.direction}
    rows = Decision.objects.filter(**same, at__gte=since).exclude(pk=decision.pk)
    hits = list(rows.order_by("-at", "-id").values_list("peer", "peer_text", "country")[: MOST_SIMILAR + 1])
    parameters = {f"{name}__exact": value for name, value in same.items()}
    parameters |= {"at_from_0": since.date().isoformat(), "at_from_1": "00:00:00"}
    href = f"{reverse('admin:policies_decision_changelist')}?{urlencode(parameters)}"
    return Similar(_similar_words(hits, decision.direction), href if hits else "")


def _similar_words(hits: list[tuple[str, str, str]], direction: str) -> str:
    if not hits:
        return f"Nobody else in the last {SIMILAR_DAYS} days."
    many = len(hits) > MOST_SIMILAR
    count = f"More than {MOST_SIMILAR:,}" if many else f"{len(hits):,}"
    people = len({peer or text for peer, text, _country in hits})
    who = "caller" if direction == Direction.INBOUND else "destination"
    places = Counter(country for _peer, _text, country in hits if country).most_common(3)
    where = f", most often {_list([name_of(code) for code, _count in places])}" if len(places) > 1 else ""
    attempts = "attempt" if len(hits) == 1 else "attempts"
    return f"{count} other {attempts} in the last {SIMILAR_DAYS} days, {people:,} {who}{'s' * (people != 1)}{where}."


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _record(decision: Decision) -> str:
    fields = model_to_dict(decision, exclude=["workspace"])
    return json.dumps(fields, indent=2, cls=DjangoJSONEncoder, ensure_ascii=False)
