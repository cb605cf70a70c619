"""What people say about a public key, put right, or refused in words that name the field."""

from __future__ import annotations

import re
from typing import Any

import phonenumbers
from django.core.exceptions import ValidationError

from accounts import gate_rules
from accounts.models import PublicKey

CHANNELS = {"phone_call": "Phone call", "sms": "SMS", "web_call": "Web call", "chat": "Chat"}
EDITABLE = (
    "name",
    "domains",
    "channels",
    "phone_number",
    "agent",
    "agent_version",
    "allowed_fields",
    "fraud_protection",
    "limits",
    "captcha",
    "captcha_site_key",
    "captcha_threshold",
    "kyc_level",
    "kyc_rules",
    "mode",
)

_HOST_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_FIELD_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]{0,63}")


def fill(row: PublicKey, facts: dict[str, Any], *, captcha_follows: bool = False) -> str:
    """Puts values right and sets them; answers the captcha secret that was given. Raises ValidationError naming
    every bad field.

    `captcha_follows`: a captcha may be asked for before its site key and secret are there; until then nobody passes.
    """
    before = {name: getattr(row, name) for name in EDITABLE}
    given, problems = _cleaned(facts)
    secret: str = given.pop("captcha_secret", "")
    for name, value in given.items():
        setattr(row, name, value)
    row.name = row.name.strip()
    if PublicKey.objects.filter(name=row.name).exclude(pk=row.pk).exists():
        problems.setdefault("name", [f"There is a public key named “{row.name}” already."])
    if row.kind == PublicKey.Kind.GATE_KEY:
        problems = _lacking(row, before, secret, captcha_follows) | problems
    else:
        problems |= _not_counted(facts)
    try:
        row.clean_fields(exclude=list(problems))
    except ValidationError as problem:
        problems |= problem.message_dict
    if problems:
        raise ValidationError(problems)
    return secret


def _cleaned(facts: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    given: dict[str, Any] = {}
    problems: dict[str, list[str]] = {}
    for name, value in facts.items():
        if name not in (*EDITABLE, "captcha_secret"):
            raise ValueError(f"{name} is nothing that can be set about a public key.")
        try:
            given[name] = _CLEANERS.get(name, _as_given)(value)
        except ValidationError as problem:
            problems[name] = problem.messages
    return given, problems


def _lacking(row: PublicKey, before: dict[str, Any], secret: str, captcha_follows: bool) -> dict[str, list[str]]:
    """What a key that opens something needs. What was saved before a rule was made is left alone."""
    problems: dict[str, list[str]] = {}
    if not row.domains:
        problems["domains"] = ["Name at least one web site: without one the key opens nothing."]
    if not row.channels:
        problems["channels"] = ["Choose at least one channel: without one the key opens nothing."]
    is_new = row.pk is None
    is_other_number = is_new or row.phone_number != before["phone_number"]
    if row.phone_number and is_other_number and not gate_rules.of_the_gate().owns_number(row.phone_number):
        problems["phone_number"] = [
            f"{row.phone_number} is not among this workspace's phone numbers. Import it first, or choose another."
        ]
    if row.captcha in PublicKey.Captcha.values and row.captcha != PublicKey.Captcha.NONE and not captcha_follows:
        is_new_captcha = is_new or row.captcha != before["captcha"]
        if not row.captcha_site_key and (is_new_captcha or before["captcha_site_key"]):
            problems["captcha_site_key"] = ["Enter the captcha's site key too: the web page shows it."]
        if not (row.captcha_secret or secret) and is_new_captcha:
            problems["captcha_secret"] = ["Enter the captcha's secret too: without it no answer can be verified."]
    return problems


def _not_counted(facts: dict[str, Any]) -> dict[str, list[str]]:
    """What can only be promised of a key whose attempts pass the gate."""
    sentence = "This is UponAI's own key: what is started with it does not pass this console."
    return {name: [sentence] for name in ("limits", "kyc_rules", "captcha_secret") if facts.get(name)}


def _as_given(value: Any) -> Any:
    return value


def _domains(values: Any) -> list[str]:
    return sorted({_domain(value) for value in values})


def _domain(value: Any) -> str:
    text = str(value).strip().lower().rstrip(".")
    try:
        host = text.encode("idna").decode()
    except UnicodeError:
        host = ""
    labels = host.split(".")
    known = host == "localhost" or len(labels) > 1
    if not known or len(host) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise ValidationError(
            f"“{text[:80]}” is not a host name. Write it as www.example.com, without https:// and without a path."
        )
    return host


def _channels(values: Any) -> list[str]:
    unknown = sorted(str(value) for value in values if value not in CHANNELS)
    if unknown:
        raise ValidationError(f"“{unknown[0]}” is not a channel. The channels are {', '.join(CHANNELS)}.")
    return [channel for channel in CHANNELS if channel in values]


def _phone_number(value: Any) -> str:
    text = str(value or "").strip()
    if not text:
        return ""
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise ValidationError(f"“{text[:40]}” is not a telephone number. Write it with its country: +14155550100.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _allowed_fields(values: Any) -> list[str]:
    names = sorted({str(value).strip() for value in values})
    bad = [name for name in names if not _FIELD_NAME.fullmatch(name)]
    if bad:
        raise ValidationError(f"“{bad[0][:64]}” is not the name of a field.")
    return names


def _limits(value: Any) -> dict[str, Any]:
    return gate_rules.of_the_gate().read_limits(gate_rules.PUBLIC_KEY, value)


def _kyc_rules(value: Any) -> dict[str, Any]:
    return gate_rules.of_the_gate().read_kyc_rules(value)


def _stripped(value: Any) -> str:
    return str(value or "").strip()


def _score(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValidationError("The lowest score is a number from 0 to 1.")
    return float(value)


_CLEANERS = {
    "agent": _stripped,
    "agent_version": _stripped,
    "captcha_site_key": _stripped,
    "captcha_secret": _stripped,
    "captcha_threshold": _score,
    "limits": _limits,
    "kyc_rules": _kyc_rules,
    "domains": _domains,
    "channels": _channels,
    "phone_number": _phone_number,
    "allowed_fields": _allowed_fields,
}
