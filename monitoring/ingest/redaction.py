"""What of an event may be looked at: who, when, how long, why it ended. What was said, and every secret, is left out.

Pure, and by a list of what is shown: a field that UponAI adds is hidden until somebody has looked at it.
"""

from __future__ import annotations

from typing import Any, Final

SHOWN: Final = frozenset(
    {
        *("event", "call_id", "chat_id", "call_type", "chat_type", "call_status", "chat_status", "direction"),
        *(
            "agent_id",
            "agent_version",
            "from_number",
            "to_number",
            "user_number",
            "agent_number",
            "number",
            "extension",
        ),
        *("start_timestamp", "end_timestamp", "duration_ms", "disconnection_reason", "batch_call_id", "decision_id"),
        *("combined_cost", "total_duration_seconds", "total_duration_unit_price", "event_timestamp"),
    }
)
LOOKED_INTO: Final = frozenset({"call", "chat", "call_cost", "chat_cost", "transfer_destination", "metadata"})
LONGEST: Final = 200


def redacted(payload: Any) -> Any:
    """The same, with what is hidden replaced by words. Total: whatever JSON it is."""
    if not isinstance(payload, dict):
        return _hidden(payload)
    return {str(name)[:LONGEST]: _shown(name, value) for name, value in payload.items()}


def _shown(name: str, value: Any) -> Any:
    if name in LOOKED_INTO and isinstance(value, dict):
        return redacted(value)
    is_plain = (
        value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) < LONGEST)
    )
    if name in SHOWN | LOOKED_INTO and is_plain:
        return value
    return _hidden(value)


def _hidden(value: Any) -> str:
    if isinstance(value, str):
        return f"hidden: a text of {len(value):,} characters"
    if isinstance(value, list):
        return f"hidden: a list of {len(value):,}"
    if isinstance(value, dict):
        return f"hidden: an object of {len(value):,} fields"
    return "hidden"
