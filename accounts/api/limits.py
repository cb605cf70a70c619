"""How limits and KYC rules look in REST, wherever they are set."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field

from accounts.api.inputs import AsWritten

_AMOUNT = {"type": "number", "description": "How many; US dollars for money, seconds for call_seconds."}
_WINDOW = {"type": "number", "description": "In so many seconds; none where it counts what runs, or one call's length."}
LIMITS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "nullable": True,
        "required": ["limit"],
        "properties": {"limit": _AMOUNT, "window": _WINDOW},
    },
    "description": "By the name of the limit, where it differs from what holds otherwise; null switches it off.",
    "example": {"ip": {"limit": 60, "window": 600}, "spend_key": {"limit": 25, "window": 86400}, "key": None},
}
EFFECTIVE_LIMITS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["limit", "window", "source"],
        "properties": {
            "limit": {"type": "number", "nullable": True},
            "window": {"type": "number", "nullable": True},
            "source": {"type": "string", "enum": ["factory", "workspace", "policy", "key"]},
        },
    },
    "description": "What holds for attempts with this key, and where it is set; a limit of null is switched off. "
    "Empty for a key of UponAI's own, whose attempts do not pass this console.",
}
_LEVELS = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 3}}
KYC_RULES: dict[str, Any] = {
    "type": "object",
    "properties": {"channels": _LEVELS, "exposure_tiers": _LEVELS},
    "description": "The KYC level an end user must have reached, by channel and by the destination's exposure tier.",
    "example": {"channels": {"sms": 1}, "exposure_tiers": {"T2": 2}},
}


@extend_schema_field(LIMITS)
class LimitsAsWritten(AsWritten):
    pass


@extend_schema_field(KYC_RULES)
class KycRulesAsWritten(AsWritten):
    pass
