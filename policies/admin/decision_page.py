"""What the page of one decision says: its judgement, who else the same rule hit, and the raw record."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.core.serializers.json import DjangoJSONEncoder
from django.forms.models import model_to_dict
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from accounts.countries import NAMES, name_of
from policies import transferred
from policies.admin import test_call
from policies.admin.judgement import Judgement, judgement
from policies.engine.names import Direction, VerdictKind
from policies.models import Decision, PhoneNumber
from policies.transferred import Transferred

SIMILAR_DAYS = 30
# Enough to tell a stray call from an attack; counting further would read the whole month.
MOST_SIMILAR = 1000


@dataclass(frozen=True, slots=True)
class Similar:
    """Who else the same rule hit."""

    text: str
    href: str


@dataclass(frozen=True, slots=True)
class DecisionPage:
    list_name: str
    list_href: str
    judgement: Judgement
    test_href: str
    similar: Similar | None
    transferred: Transferred | None
    record: str
    country_href: str


def decision_page(decision: Decision, *, now: datetime) -> DecisionPage:
    number = PhoneNumber.objects.filter(e164=decision.phone_number).only("pk").first()
    blocked = decision.verdict == VerdictKind.BLOCK
    lists = {True: "admin:monitoring_blockedcall_changelist", False: "admin:policies_decision_changelist"}
    return DecisionPage(
        list_name="Blocked calls" if blocked else "Decisions",
        list_href=reverse(lists[blocked]),
        judgement=judgement(decision, number_id=number.pk if number else None),
        test_href=test_call.href(test_call.Typed.of(decision), recorded=decision),
        similar=_similar(decision, now),
        transferred=transferred.of([decision]).get(decision.decision_id),
        record=_record(decision),
        country_href=_country_href(decision.country),
    )


def _country_href(code: str) -> str:
    """The page about this country, which another room serves; empty where there is none."""
    if code not in NAMES:
        return ""
    try:
        return reverse("monitoring:country", args=[code])
    except NoReverseMatch:
        return ""


def _similar(decision: Decision, now: datetime) -> Similar | None:
    if decision.verdict != VerdictKind.BLOCK:
        return None
    since = timezone.localtime(now - timedelta(days=SIMILAR_DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
    same = {"verdict": decision.verdict, "reason": decision.reason, "direction": decision.direction}
    rows = Decision.objects.filter(**same, at__gte=since).exclude(pk=decision.pk)
    hits = list(rows.order_by("-at", "-id").values_list("peer", "peer_text", "country")[: MOST_SIMILAR + 1])
    parameters = {"reason__exact": decision.reason, "direction__exact": decision.direction}
    parameters |= {"at_from_0": since.date().isoformat(), "at_from_1": "00:00:00"}
    href = f"{reverse('admin:monitoring_blockedcall_changelist')}?{urlencode(parameters)}"
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
