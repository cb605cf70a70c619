"""What a judgement says to people, stored or only tried out: the sentence, the facts, the checks, the remedies."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from accounts.components import Action, Sentence
from accounts.countries import is_sanctioned, name_of
from policies import transferred, words
from policies.admin import hold_words
from policies.engine import counterfactuals
from policies.engine.names import Reason, VerdictKind
from policies.models import CountryPolicy, Decision, Hold

_TONES = {"allow": "quiet", "guard": "notice", "challenge": "notice", "block": "danger"}


@dataclass(frozen=True, slots=True)
class TraceEntry:
    check: str
    outcome: str
    text: str
    value: str
    threshold: str
    observed: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: str
    reason: str
    observed: bool
    sentence: Sentence
    sender: words.WrittenNumber
    receiver: words.WrittenNumber
    what: str
    number_class: str
    public_key: str
    ip: str
    origin: str
    subject: str
    policy_name: str
    policy_href: str
    trace: tuple[TraceEntry, ...]
    remedies: tuple[str, ...]
    no_remedy: str
    number_href: str
    open_href: str
    open_label: str


def judgement(decision: Decision, *, number_id: int | None) -> Judgement:
    """`decision` need not be stored. `number_id`: the row of our side, where it has one."""
    number_href = reverse("admin:policies_phonenumber_change", args=[number_id]) if number_id else ""
    policy = CountryPolicy.objects.filter(pk=decision.policy_id).first() if decision.policy_id else None
    remedies = tuple(change["sentence"] for change in decision.counterfactuals)
    return Judgement(
        verdict=decision.verdict,
        reason=decision.reason,
        observed=bool(decision.would_be),
        sentence=_sentence(decision),
        **words.sides(decision, own_href=number_href),
        what=_what(decision),
        number_class=words.number_class(decision.number_class),
        public_key=decision.public_key,
        ip=decision.ip or "",
        origin=decision.origin,
        subject=decision.subject,
        policy_name=f"{policy.name}, revision {decision.policy_revision}" if policy else "",
        policy_href=reverse("admin:policies_countrypolicy_change", args=[policy.pk]) if policy else "",
        trace=tuple(_trace_entry(entry) for entry in decision.trace),
        remedies=remedies,
        no_remedy=_no_remedy(decision, remedies),
        number_href=number_href if _is_up_to_lists(decision) else "",
        **_open_for_a_time(decision),
    )


def _what(decision: Decision) -> str:
    if transferred.is_one(decision):
        return "Transfer of a running call"
    return words.attempt(decision.direction, decision.channel)


def _sentence(decision: Decision) -> Sentence:
    """With the hold that it failed for, if it did and that is known."""
    tone, text, also = _TONES.get(decision.verdict, "unknown"), words.sentence(decision), _also(decision)
    if decision.would_be:
        return Sentence("notice", f"{text} {_observed(decision)}", also)
    hold = Hold.objects.filter(pk=decision.hold_id).first() if decision.hold_id else None
    if hold is None:
        return Sentence(tone, text, also)
    which = f"The hold: {hold_words.what(hold)}. {hold_words.facts(hold, timezone.now())}"
    look = Action("Open the hold", reverse("admin:policies_hold_change", args=[hold.pk]))
    return Sentence(tone, text, f"{which} {also}".strip(), (look,))


def _also(decision: Decision) -> str:
    decisive = {decision.reason, decision.would_be_reason}
    others = [words.inside(words.reason(code)) for code in decision.reasons if code not in decisive]
    return f"It would also have failed for: {', '.join(others)}." if others else ""


def _observed(decision: Decision) -> str:
    """What it would have been, and why, in one sentence."""
    what = words.verdict(decision.would_be).lower()
    facts = {name: getattr(decision, name) for name in ("direction", "country", "peer", "number_class")}
    enforced = SimpleNamespace(verdict=decision.would_be, reason=decision.would_be_reason, **facts)
    why = words.sentence(enforced).partition(": ")[2]
    return f"Observed only: it would have been {what}{f' because {why}' if why else '.'}"


def _trace_entry(entry: dict[str, Any]) -> TraceEntry:
    outcome = entry.get("outcome", "")
    check, text = words.check(entry.get("check", ""), outcome)
    value, threshold = ("" if entry.get(name) is None else str(entry[name]) for name in ("value", "threshold"))
    return TraceEntry(check, outcome, text, value, threshold, bool(entry.get("observed")))


def _is_up_to_lists(decision: Decision) -> bool:
    """Whether a change of the number's policy is among the remedies."""
    return any(change.get("change") in counterfactuals.OF_THE_POLICY for change in decision.counterfactuals)


def _open_for_a_time(decision: Decision) -> dict[str, str]:
    """The form that opens what an open may override: the country, else the number itself."""
    failed = {decision.reason, decision.would_be_reason, *decision.reasons}
    if decision.country and is_sanctioned(decision.country):
        return {"open_href": "", "open_label": ""}
    thing = {}
    if Reason.COUNTRY_NOT_ALLOWED in failed and decision.country:
        thing = {"scope": Hold.Scope.COUNTRY, "value": decision.country}
    elif failed & {Reason.NUMBER_CLASS_BLOCKED, Reason.PREFIX_BLOCKED, Reason.COUNTRY_NOT_ALLOWED} and decision.peer:
        thing = {"scope": Hold.Scope.PEER, "value": decision.peer}
    if not thing:
        return {"open_href": "", "open_label": ""}
    name = name_of(decision.country) if thing["scope"] == Hold.Scope.COUNTRY else words.as_people_write(decision.peer)
    query = urlencode({**thing, "direction": decision.direction})
    return {"open_href": f"{reverse('admin:policies_open_add')}?{query}", "open_label": f"Open {name} for a time…"}


def _no_remedy(decision: Decision, remedies: tuple[str, ...]) -> str:
    if remedies or decision.verdict == VerdictKind.ALLOW:
        return ""
    if Reason.SANCTIONED_COUNTRY in decision.reasons:
        return "Nothing. The platform sanctions list stands above every setting, hold and exception."
    return "No setting of this console: the attempt itself would have to be another one."
