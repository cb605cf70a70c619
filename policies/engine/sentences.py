"""Verdicts in words for people. Pure text from stable codes; nothing here is parsed back."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from accounts.countries import name_of
from policies.engine.declared import left_by, volume_used_up
from policies.engine.limits import LimitName
from policies.engine.names import Channel, Check, Direction, NumberClass, Reason, VerdictKind
from policies.engine.numbers import calling_prefix
from policies.engine.types import TraceOutcome, Verdict

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
CHANNEL_WORDS: Final = MappingProxyType(
    {
        Channel.PHONE_CALL: "phone calls",
        Channel.SMS: "SMS",
        Channel.WEB_CALL: "web calls",
        Channel.CHAT: "chats",
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
LIMIT_WORDS: Final = MappingProxyType(
    {
        LimitName.IP_DESTINATION: "attempts from one IP address to one number",
        LimitName.IP_DESTINATION_DAY: "attempts from one IP address to one number in a day",
        LimitName.IP: "attempts from one IP address",
        LimitName.IP_56: "attempts from one IPv6 network (/56)",
        LimitName.IP_48: "attempts from one IPv6 network (/48)",
        LimitName.DESTINATION: "attempts to one number",
        LimitName.DESTINATION_PREFIX: "attempts to one prefix (numbers that differ in the last four digits)",
        LimitName.DESTINATIONS_PER_IP: "different numbers from one IP address",
        LimitName.COUNTRIES_PER_IP: "different countries from one IP address",
        LimitName.SUBJECT: "attempts of one end user",
        LimitName.KEY: "attempts with one public key",
        LimitName.PHONE_NUMBER: "attempts from one of our phone numbers",
        LimitName.WORKSPACE: "attempts in the whole workspace",
        LimitName.CALLER: "calls of one caller, who is guarded above it",
        LimitName.CALLER_FLOOD: "calls of one caller, who is turned away above it",
        LimitName.CALLED_NUMBER: "calls to one of our phone numbers, guarded above it",
        LimitName.SHORT_CALLS: "short calls of one caller, who is guarded above it",
        LimitName.RUNNING_KEY: "running calls with one public key",
        LimitName.RUNNING_NEW_PREFIX: "running calls to one prefix never called before",
        LimitName.RUNNING_WORKSPACE: "running calls in the whole workspace",
        LimitName.SPEND_KEY: "money spent with one public key",
        LimitName.SPEND_WORKSPACE: "money spent in the whole workspace",
        LimitName.SPEND_NEW_DESTINATIONS: "money spent on prefixes never called before",
        LimitName.SPEND_NEW_COUNTRY: "money spent on prefixes never called before in one country",
        LimitName.CALL_SECONDS: "seconds that one call may last",
    }
)
_PLAIN: Final = MappingProxyType(
    {
        Reason.BAD_SIGNATURE: "the signature does not fit what was sent.",
        Reason.UNKNOWN_KEY: "no gate key of this workspace was shown.",
        Reason.KEY_DISABLED: "the public key is no longer in use.",
        Reason.ORIGIN_NOT_ALLOWED: "the web page is not among the web sites that may use this key.",
        Reason.UNKNOWN_NUMBER: "the phone number does not belong to this workspace, or not to this key.",
        Reason.NO_POLICY: "this phone number follows no country policy.",
        Reason.CHANNEL_DISABLED: "this channel is not available.",
        Reason.EXTENSION_NOT_ALLOWED: "the number carries an extension, which would be dialled after it.",
        Reason.SIP_WITHOUT_NUMBER: "the SIP address holds no phone number.",
        Reason.WITHHELD_NUMBER: "the number is withheld, and only listed countries may call.",
        Reason.HELD: "a temporary hold covers this attempt.",
        Reason.LISTED: "the other side is on this workspace's block list.",
        Reason.CAPTCHA_REQUIRED: "a captcha must be solved first.",
        Reason.CAPTCHA_FAILED: "the captcha was not accepted.",
        Reason.KYC_REQUIRED: "the end user's identity must be confirmed first.",
        Reason.KYC_EXPIRED: "the end user's identity was confirmed, and that confirmation has expired.",
        Reason.RATE_LIMITED: "there were too many attempts in a short time.",
        Reason.SPEND_CAP_REACHED: "the money that may be spent on this is used up for now.",
        Reason.CONCURRENCY_CAP_REACHED: "as many calls as allowed are running already.",
        Reason.AWAITING_APPROVAL: "somebody else has to approve this first.",
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
        undeclared=left_by(line.value for line in verdict.trace if line.check is Check.KYC),
        volume=volume_used_up(
            (line.value, line.threshold)
            for line in verdict.trace
            if line.check is Check.LIMITS and line.outcome is TraceOutcome.FAIL
        ),
    )


def sentence_for(
    *,
    verdict: VerdictKind,
    reason: Reason | None,
    direction: Direction,
    country: str | None = None,
    e164: str | None = None,
    number_class: NumberClass = NumberClass.UNKNOWN,
    undeclared: str = "",
    volume: str = "",
) -> str:
    """The same from the parts that a stored decision keeps. `undeclared`: the use that was not, by its trace;
    `volume`: the declared one that is used up, by its trace."""
    if reason is None:
        return "Allowed."
    if reason == Reason.WITHHELD_NUMBER and verdict == VerdictKind.GUARD:
        return "Guarded: the number is withheld."
    if reason == Reason.KYC_REQUIRED and undeclared:
        return f"{_VERDICT_WORDS[verdict]}: {undeclared} were not declared for this end user."
    if reason == Reason.RATE_LIMITED and volume:
        return f"{_VERDICT_WORDS[verdict]}: the volume declared for this end user, {volume}, is used up."
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
