"""How the stored codes of a decision or call are said to people: reasons, checks, channels, numbers. No queries."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

import phonenumbers

from accounts.countries import flag, name_of
from policies.engine.declared import left_by, volume_used_up
from policies.engine.names import Channel, Check, Direction, NumberClass, Reason, VerdictKind
from policies.engine.sentences import LIMIT_WORDS, sentence_for
from policies.uponai.refusals import WORDS as UPONAI_REASONS

REASONS: Final = MappingProxyType(
    {
        Reason.BAD_SIGNATURE: "Bad signature",
        Reason.UNKNOWN_KEY: "Unknown key",
        Reason.KEY_DISABLED: "Key disabled",
        Reason.ORIGIN_NOT_ALLOWED: "Web site not allowed",
        Reason.CHANNEL_DISABLED: "Channel switched off",
        Reason.UNKNOWN_NUMBER: "Not a number of this workspace",
        Reason.NO_POLICY: "No country policy",
        Reason.INVALID_NUMBER: "Not a valid number",
        Reason.UNASSIGNED_NUMBER: "Unassigned number",
        Reason.WITHHELD_NUMBER: "Withheld number",
        Reason.SIP_WITHOUT_NUMBER: "SIP address without a number",
        Reason.EXTENSION_NOT_ALLOWED: "Number with an extension",
        Reason.EMERGENCY_NUMBER: "Emergency number",
        Reason.SANCTIONED_COUNTRY: "Sanctioned country",
        Reason.HELD: "On hold",
        Reason.LISTED: "On a block list",
        Reason.NUMBER_CLASS_BLOCKED: "Kind of number blocked",
        Reason.PREFIX_BLOCKED: "Prefix blocked",
        Reason.COUNTRY_NOT_ALLOWED: "Country not allowed",
        Reason.CAPTCHA_REQUIRED: "Captcha missing",
        Reason.CAPTCHA_FAILED: "Captcha failed",
        Reason.KYC_REQUIRED: "KYC missing",
        Reason.KYC_EXPIRED: "KYC expired",
        Reason.RATE_LIMITED: "Too many attempts",
        Reason.SPEND_CAP_REACHED: "Spend cap reached",
        Reason.CONCURRENCY_CAP_REACHED: "Too many calls at once",
        Reason.AWAITING_APPROVAL: "Waiting for approval",
        Reason.DEGRADED: "Could not be judged",
    }
)
VERDICTS: Final = MappingProxyType(
    {
        VerdictKind.ALLOW: "Allowed",
        VerdictKind.GUARD: "Guarded",
        VerdictKind.CHALLENGE: "Challenged",
        VerdictKind.BLOCK: "Blocked",
    }
)
DIRECTIONS: Final = MappingProxyType({Direction.INBOUND: "Inbound", Direction.OUTBOUND: "Outbound"})
CHANNELS: Final = MappingProxyType(
    {
        Channel.PHONE_CALL: "Phone call",
        Channel.SMS: "SMS",
        Channel.WEB_CALL: "Web call",
        Channel.CHAT: "Chat",
    }
)
# The check, what holds when it passes, and what was found when it failed.
CHECKS: Final = MappingProxyType(
    {
        Check.DOOR: ("Door", "Whoever asks may ask", "Whoever asked may not ask"),
        Check.NUMBER: (
            "Number",
            "The other side's number is understood",
            "The other side's number is not understood",
        ),
        Check.SANCTIONS: (
            "Sanctions",
            "Its country is not on the platform sanctions list",
            "Its country is on the platform sanctions list",
        ),
        Check.HOLDS: ("Holds", "Nothing is on hold", "There is a hold"),
        Check.NUMBER_CLASS: (
            "Kind of number",
            "This kind of number is allowed",
            "This kind of number is restricted",
        ),
        Check.COUNTRY: (
            "Country",
            "Its country is on this number's list",
            "Its country is not on this number's list",
        ),
        Check.CAPTCHA: ("Captcha", "A captcha was solved", "No captcha was accepted"),
        Check.KYC: ("KYC", "The end user's identity is confirmed", "The end user's identity is not confirmed"),
        Check.LIMITS: ("Limits", "Not too many attempts", "Too many attempts"),
        Check.CAPS: ("Caps", "Money and running calls are within their caps", "A cap is reached"),
    }
)

# Also of attempts that were not decided before: what counts and verifies was not asked.
_UNASKED: Final = MappingProxyType(
    {
        Check.CAPTCHA: "The captcha was not verified",
        Check.LIMITS: "Attempts were not counted",
        Check.CAPS: "Money and running calls were not counted",
    }
)


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number as people write it, in the shape that components/_phone_number.html prints."""

    display: str
    e164: str = ""
    flag: str = ""
    country: str = ""
    href: str = ""


class _HasSides(Protocol):
    """A decision or a call.

    Only a decision also keeps the other side as it was given, in `peer_text`, and only a call knows its `agent`. Rows
    of `keys.with_names` have the name of their public key in `key_name`.
    """

    direction: str
    channel: str
    phone_number: str
    public_key: str
    peer: str
    country: str


class _HasVerdict(Protocol):
    """A decision, stored or not."""

    verdict: str
    reason: str
    direction: str
    country: str
    peer: str
    number_class: str


def sentence(decision: _HasVerdict) -> str:
    """The decision in one sentence; a code that this version does not know is said as it is stored."""
    try:
        return sentence_for(
            verdict=VerdictKind(decision.verdict),
            reason=Reason(decision.reason) if decision.reason else None,
            direction=Direction(decision.direction),
            country=decision.country or None,
            e164=decision.peer or None,
            number_class=NumberClass(decision.number_class or "unknown"),
            undeclared=undeclared_by(getattr(decision, "trace", ())),
            volume=_volume_used_up(getattr(decision, "trace", ())),
        )
    except ValueError:
        return f"{verdict(decision.verdict)}: {inside(reason(decision.reason))}."


def undeclared_by(trace: Any) -> str:
    """Which use a stored decision's subject had not declared; empty where they had, or where none was asked for."""
    return left_by(line.get("value") for line in _lines(trace) if line.get("check") == Check.KYC)


def _volume_used_up(trace: Any) -> str:
    failed = [line for line in _lines(trace) if (line.get("check"), line.get("outcome")) == (Check.LIMITS, "fail")]
    return volume_used_up((line.get("value"), line.get("threshold")) for line in failed)


def _lines(trace: Any) -> list[dict[str, Any]]:
    return [line for line in trace if isinstance(line, dict)] if isinstance(trace, list | tuple) else []


def reason(code: str) -> str:
    """The reason in a few words; one that this version does not know is said as it is stored."""
    return REASONS.get(code) or UPONAI_REASONS.get(code) or code.replace("_", " ").capitalize()  # type: ignore[call-overload]


def inside(text: str) -> str:
    """As it stands within a sentence: names and abbreviations keep their capitals."""
    first = text.partition(" ")[0]
    return text[:1].lower() + text[1:] if first == first.capitalize() else text


def channel(code: str) -> str:
    return CHANNELS.get(code, code.replace("_", " ").capitalize())  # type: ignore[call-overload]


def attempt(direction_code: str, channel_code: str) -> str:
    """ "Outbound phone call", "Inbound SMS"."""
    return f"{direction(direction_code)} {inside(channel(channel_code))}".strip()


def verdict(code: str) -> str:
    return VERDICTS.get(code, code.capitalize())  # type: ignore[call-overload]


def direction(code: str) -> str:
    return DIRECTIONS.get(code, code.capitalize())  # type: ignore[call-overload]


def check(code: str, outcome: str) -> tuple[str, str]:
    """The name of a check and what it found."""
    name, passed, failed = CHECKS.get(code, (code.replace("_", " ").capitalize(), "", ""))  # type: ignore[call-overload]
    said = {"pass": passed, "fail": failed, "skipped": "Does not apply to this attempt"}
    unasked = _UNASKED.get(code, "Not asked, since it was decided before")  # type: ignore[call-overload]
    return name, said.get(outcome, unasked)


def limit(name: str) -> str:
    """What is limited: ip_destination → "attempts from one IP address to one number"."""
    return LIMIT_WORDS.get(name, name.replace("_", " "))  # type: ignore[call-overload]


def number_class(code: str) -> str:
    """fixed_or_mobile → "fixed or mobile"."""
    return code.replace("_", " ")


def own_number(e164: str, *, href: str = "") -> WrittenNumber:
    """Our side: the workspace's number."""
    return WrittenNumber(as_people_write(e164) if e164 else "Number unknown", e164=e164, href=href)


def peer(e164: str, text: str, country: str, *, href: str = "") -> WrittenNumber:
    """The other side: its number, or what was given where that was none."""
    display = as_people_write(e164) if e164 else text or "No number"
    return WrittenNumber(
        display,
        e164=e164,
        flag=flag(country) if country else "",
        country=name_of(country) if country else "",
        href=href,
    )


def sides(row: _HasSides, *, own_href: str = "") -> dict[str, WrittenNumber]:
    """Who called whom: `sender` and `receiver`, each as written."""
    given, key = getattr(row, "peer_text", ""), _key(row)
    if row.channel in (Channel.WEB_CALL, Channel.CHAT) and not (row.peer or given):
        # Where no number takes part somebody visits an agent, whichever way UponAI says that it went.
        agent = WrittenNumber(getattr(row, "agent", "") or "Agent")
        return {"sender": key or WrittenNumber("Visitor"), "receiver": _own(row, own_href) or agent}
    ours = _own(row, own_href) or key or own_number("")
    theirs = peer(row.peer, given or ("Number unknown" if row.channel == Channel.SMS else ""), row.country)
    if row.direction == Direction.INBOUND:
        return {"sender": theirs, "receiver": ours}
    return {"sender": ours, "receiver": theirs}


def _own(row: _HasSides, href: str) -> WrittenNumber | None:
    return own_number(row.phone_number, href=href) if row.phone_number else None


def _key(row: _HasSides) -> WrittenNumber | None:
    """The public key that it was started with, by its name where that was read as well."""
    return (
        WrittenNumber(getattr(row, "key_name", "") or row.public_key, e164=row.public_key) if row.public_key else None
    )


def as_people_write(e164: str) -> str:
    """+442079460018 → +44 20 7946 0018; what is no number stays as it is."""
    try:
        parsed = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
