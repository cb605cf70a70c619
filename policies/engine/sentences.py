"""Verdicts in words for people. Pure text from stable codes; nothing here is parsed back."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from accounts.countries import name_of
from policies.engine.names import Direction, NumberClass, Reason, VerdictKind
from policies.engine.numbers import calling_prefix
from policies.engine.types import Verdict

CLASS_WORDS: Final = MappingProxyType(
    {
        NumberClass.MOBILE: "mobile numbers",
        NumberClass.FIXED_LINE: "fixed-line numbers",
        NumberClass.FIXED_OR_MOBILE: "fixed-line or mobile numbers",
        NumberClass.TOLL_FREE: "toll-free numbers",
        NumberClass.PREMIUM_RATE: "premium-rate numbers",
        NumberClass.SHARED_COST: "shared-cost numbers",
        NumberClass.VOIP: "VoIP numbers",
        NumberClass.PERSONAL: "personal numbers",
        NumberClass.PAGER: "pagers",
        NumberClass.UAN: "company-wide numbers",
        NumberClass.VOICEMAIL: "voicemail numbers",
        NumberClass.SATELLITE: "satellite numbers",
        NumberClass.INTERNATIONAL_NETWORK: "international network numbers",
        NumberClass.SHORT_CODE: "short codes",
        NumberClass.EMERGENCY: "emergency numbers",
        NumberClass.UNKNOWN: "numbers of unknown class",
    }
)
_VERDICT_WORDS: Final = MappingProxyType(
    {
        VerdictKind.ALLOW: "Allowed",
        VerdictKind.GUARD: "Guarded",
        VerdictKind.CHALLENGE: "Challenged",
        VerdictKind.BLOCK: "Blocked",
    }
)
_PLAIN: Final = MappingProxyType(
    {
        Reason.UNKNOWN_NUMBER: "the phone number does not belong to this workspace.",
        Reason.NO_POLICY: "this phone number follows no country policy.",
        Reason.CHANNEL_DISABLED: "this channel is not available.",
        Reason.EXTENSION_NOT_ALLOWED: "the number carries an extension, which would be dialled after it.",
        Reason.SIP_WITHOUT_NUMBER: "the SIP address holds no phone number.",
        Reason.WITHHELD_NUMBER: "the number is withheld, and only listed countries may call.",
        Reason.HELD: "a temporary hold covers this attempt.",
        Reason.CAPTCHA_REQUIRED: "a captcha must be solved first.",
        Reason.DEGRADED: "the attempt could not be judged, and what cannot be judged is not let through.",
    }
)


def sentence(verdict: Verdict) -> str:
    """One sentence that tells a person what was decided and why."""
    return sentence_for(
        verdict=verdict.verdict,
        reason=verdict.reason,
        direction=verdict.direction,
        country=verdict.peer.country,
        e164=verdict.peer.e164,
        number_class=verdict.peer.number_class,
    )


def sentence_for(
    *,
    verdict: VerdictKind,
    reason: Reason | None,
    direction: Direction,
    country: str | None = None,
    e164: str | None = None,
    number_class: NumberClass = NumberClass.UNKNOWN,
) -> str:
    """The same from the parts that a stored decision keeps."""
    if reason is None:
        return "Allowed."
    said = _PLAIN.get(reason) or _about_peer(reason, direction, _place(country, e164), country, number_class)
    return f"{_VERDICT_WORDS[verdict]}: {said}"


def _place(country: str | None, e164: str | None) -> str:
    prefix = calling_prefix(e164)
    if country is None:
        return prefix or "an unknown country"
    return f"{name_of(country)} ({prefix})" if prefix else name_of(country)


def _about_peer(
    reason: Reason, direction: Direction, place: str, country: str | None, number_class: NumberClass
) -> str:
    inbound = direction == Direction.INBOUND
    side = "caller's" if inbound else "dialled"
    if reason == Reason.SANCTIONED_COUNTRY:
        return f"{name_of(country)} is on the platform sanctions list; no setting can open it."
    if reason == Reason.COUNTRY_NOT_ALLOWED:
        whom = "that may call this number" if inbound else "this number may call"
        return f"{place} is not among the countries {whom}."
    if reason == Reason.NUMBER_CLASS_BLOCKED:
        whom = "calls from" if inbound else "calls to"
        return f"{whom} {CLASS_WORDS[number_class]} are restricted by this number's policy."
    if reason == Reason.PREFIX_BLOCKED:
        return f"a prefix rule covers the {side} number in {place}."
    if reason == Reason.EMERGENCY_NUMBER:
        return "nobody calls from an emergency number." if inbound else "emergency numbers are never dialled."
    if reason == Reason.UNASSIGNED_NUMBER:
        return f"the {side} number lies in a range that nobody has been given."
    if reason == Reason.INVALID_NUMBER:
        return f"the {side} number is not a complete international phone number."
    return f"{reason.value.replace('_', ' ')}."
