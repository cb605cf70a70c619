"""The closed lists of names the judgement speaks in: reasons, checks, classes, verdicts.

A new member is a change of the published interface. No logic here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Channel(StrEnum):
    PHONE_CALL = "phone_call"
    SMS = "sms"
    WEB_CALL = "web_call"
    CHAT = "chat"


# Channels on which nobody is dialled, so there is no number of the other side to judge.
WEB_CHANNELS: Final = frozenset({Channel.WEB_CALL, Channel.CHAT})


class VerdictKind(StrEnum):
    ALLOW = "allow"
    GUARD = "guard"
    CHALLENGE = "challenge"
    BLOCK = "block"


class RuleAction(StrEnum):
    """What a class or prefix rule asks for; the words are those of the verdicts."""

    ALLOW = "allow"
    GUARD = "guard"
    CHALLENGE = "challenge"
    BLOCK = "block"


class RulesMode(StrEnum):
    LIST = "list"
    UNRESTRICTED = "unrestricted"


class Reason(StrEnum):
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_KEY = "unknown_key"
    KEY_DISABLED = "key_disabled"
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    CHANNEL_DISABLED = "channel_disabled"
    UNKNOWN_NUMBER = "unknown_number"
    NO_POLICY = "no_policy"
    INVALID_NUMBER = "invalid_number"
    UNASSIGNED_NUMBER = "unassigned_number"
    WITHHELD_NUMBER = "withheld_number"
    SIP_WITHOUT_NUMBER = "sip_without_number"
    EXTENSION_NOT_ALLOWED = "extension_not_allowed"
    EMERGENCY_NUMBER = "emergency_number"
    SANCTIONED_COUNTRY = "sanctioned_country"
    HELD = "held"
    LISTED = "listed"
    NUMBER_CLASS_BLOCKED = "number_class_blocked"
    PREFIX_BLOCKED = "prefix_blocked"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    CAPTCHA_REQUIRED = "captcha_required"
    CAPTCHA_FAILED = "captcha_failed"
    KYC_REQUIRED = "kyc_required"
    KYC_EXPIRED = "kyc_expired"
    RATE_LIMITED = "rate_limited"
    SPEND_CAP_REACHED = "spend_cap_reached"
    CONCURRENCY_CAP_REACHED = "concurrency_cap_reached"
    AWAITING_APPROVAL = "awaiting_approval"
    DEGRADED = "degraded"


class Check(StrEnum):
    DOOR = "door"
    NUMBER = "number"
    SANCTIONS = "sanctions"
    HOLDS = "holds"
    NUMBER_CLASS = "number_class"
    COUNTRY = "country"
    CAPTCHA = "captcha"
    KYC = "kyc"
    LIMITS = "limits"
    CAPS = "caps"


class TraceOutcome(StrEnum):
    PASS = "pass"  # noqa: S105  the outcome of a check
    FAIL = "fail"
    NOT_EVALUATED = "not_evaluated"  # its answer was not asked for, since the attempt was lost already
    SKIPPED = "skipped"  # it does not apply to this attempt


class HoldScope(StrEnum):
    """What a hold can hold: our own things first, then what the other side is known by."""

    WORKSPACE = "workspace"
    PHONE_NUMBER = "phone_number"
    KEY = "key"
    PEER = "peer"
    PREFIX = "prefix"
    COUNTRY = "country"
    IP = "ip"
    SUBJECT = "subject"


class NumberClass(StrEnum):
    MOBILE = "mobile"
    FIXED_LINE = "fixed_line"
    FIXED_OR_MOBILE = "fixed_or_mobile"
    TOLL_FREE = "toll_free"
    PREMIUM_RATE = "premium_rate"
    SHARED_COST = "shared_cost"
    VOIP = "voip"
    PERSONAL = "personal"
    PAGER = "pager"
    UAN = "uan"
    VOICEMAIL = "voicemail"
    SATELLITE = "satellite"
    INTERNATIONAL_NETWORK = "international_network"
    SHORT_CODE = "short_code"
    EMERGENCY = "emergency"
    UNKNOWN = "unknown"


class NumberProblem(StrEnum):
    """Why a text is not simply a number; the trace shows it as the value of the number check."""

    NOT_TEXT = "not_text"
    TOO_LONG = "too_long"
    CONTROL_CHARACTERS = "control_characters"
    MALFORMED = "malformed"
    NOT_INTERNATIONAL = "not_international"
    INVALID = "invalid"
    UNASSIGNED = "unassigned"
    WITHHELD = "withheld"
    SIP_WITHOUT_NUMBER = "sip_without_number"
    EXTENSION = "extension"
    EMERGENCY = "emergency"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"
