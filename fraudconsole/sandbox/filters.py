"""The filter grammar of the version 3 lists: checks criteria, then judges objects by them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .bodies import Body
from .errors import malformed
from .lifecycle import REASONS

OPERATORS = {
    "string": ("eq", "ne", "sw", "ew", "co"),
    "number": ("eq", "ne", "gt", "ge", "lt", "le"),
    "range": ("bt",),
    "boolean": ("eq",),
    "enum": ("in",),
    "present": ("pr", "np"),
}
ANY_TYPE = tuple(OPERATORS)
NUMERIC = ("number", "range")
SENTIMENTS = frozenset({"Negative", "Positive", "Neutral", "Unknown"})
STORAGE = frozenset({"everything", "everything_except_pii", "basic_attributes_only"})
DIRECTIONS = frozenset({"inbound", "outbound"})

# Field → (criterion types, dotted path in the object, values an enum may name; empty = any).
Field = tuple[tuple[str, ...], str, frozenset[str]]
COMMON: dict[str, Field] = {
    "direction": (("enum",), "direction", DIRECTIONS),
    "disconnection_reason": (("enum",), "disconnection_reason", REASONS),
    "data_storage_setting": (("enum",), "data_storage_setting", STORAGE),
    "agent_tag": (("enum",), "agent_tag", frozenset()),
    "start_timestamp": (NUMERIC, "start_timestamp", frozenset()),
    "end_timestamp": (NUMERIC, "end_timestamp", frozenset()),
    "duration_ms": (NUMERIC, "duration_ms", frozenset()),
}
CALL_FIELDS: dict[str, Field] = {
    **COMMON,
    "call_id": (("string", "enum"), "call_id", frozenset()),
    "call_status": (("enum",), "call_status", frozenset({"not_connected", "ongoing", "ended", "error"})),
    "call_type": (("enum",), "call_type", frozenset({"phone_call", "web_call"})),
    "user_sentiment": (("enum",), "call_analysis.user_sentiment", SENTIMENTS),
    "from_number": (("string",), "from_number", frozenset()),
    "to_number": (("string",), "to_number", frozenset()),
    "batch_call_id": (("string",), "batch_call_id", frozenset()),
    "combined_cost": (NUMERIC, "call_cost.combined_cost", frozenset()),
    "e2e_latency_p50": (NUMERIC, "latency.e2e.p50", frozenset()),
    "call_successful": (("boolean",), "call_analysis.call_successful", frozenset()),
    "in_voicemail": (("boolean",), "call_analysis.in_voicemail", frozenset()),
}
CHAT_FIELDS: dict[str, Field] = {
    **COMMON,
    "chat_id": (("string", "enum"), "chat_id", frozenset()),
    "chat_status": (("enum",), "chat_status", frozenset({"ongoing", "ended", "error"})),
    "chat_type": (("enum",), "chat_type", frozenset({"api_chat", "sms_chat"})),
    "user_sentiment": (("enum",), "chat_analysis.user_sentiment", SENTIMENTS),
    "agent_number": (("string",), "agent_number", frozenset()),
    "user_number": (("string",), "user_number", frozenset()),
    "combined_cost": (NUMERIC, "chat_cost.combined_cost", frozenset()),
    "chat_successful": (("boolean",), "chat_analysis.chat_successful", frozenset()),
}
KEYED_LISTS = {
    "metadata": "metadata",
    "dynamic_variables": "retell_llm_dynamic_variables",
    "custom_attributes": "custom_attributes",
    "custom_analysis_data": "{kind}_analysis.custom_analysis_data",
}

Predicate = Callable[[Body], bool]
MISSING = object()


def compile_filter(criteria: Any, *, kind: str) -> Predicate:
    """A predicate over an object of this kind (`call` or `chat`); all criteria must hold."""
    if criteria is None:
        return lambda one: True
    if not isinstance(criteria, dict):
        raise malformed("filter_criteria", "must be an object")
    fields = CALL_FIELDS if kind == "call" else CHAT_FIELDS
    predicates: list[Predicate] = []
    for name, criterion in criteria.items():
        where = f"filter_criteria.{name}"
        if name in fields:
            types, path, allowed = fields[name]
            predicates.append(_on_path(path, _condition(where, criterion, types, allowed)))
        elif name in KEYED_LISTS:
            predicates.extend(_keyed(where, criterion, KEYED_LISTS[name].format(kind=kind)))
        elif name == "agent":
            predicates.append(_agents(where, criterion, "agent_version" if kind == "call" else "version"))
        elif name == "tool_calls" and kind == "call":
            predicates.extend(_tool_call(f"{where}[{index}]", item) for index, item in _items(where, criterion))
        else:
            raise malformed(where, "is not a field that can be filtered")
    return lambda one: all(predicate(one) for predicate in predicates)


def _on_path(path: str, condition: Callable[[Any], bool]) -> Predicate:
    return lambda one: condition(_at(one, path))


def _at(one: Any, path: str) -> Any:
    for part in path.split("."):
        one = one.get(part, MISSING) if isinstance(one, dict) else MISSING
    return MISSING if one is None else one


def _items(where: str, value: Any) -> list[tuple[int, Body]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise malformed(where, "must be a list of objects")
    return list(enumerate(value))


def _keyed(where: str, criteria: Any, path: str) -> list[Predicate]:
    predicates = []
    for index, criterion in _items(where, criteria):
        key = criterion.get("key")
        if not isinstance(key, str):
            raise malformed(f"{where}[{index}].key", "must be a string")
        condition = _condition(f"{where}[{index}]", criterion, ANY_TYPE, frozenset())
        predicates.append(_on_key(path, key, condition))
    return predicates


def _on_key(path: str, key: str, condition: Callable[[Any], bool]) -> Predicate:
    def predicate(one: Body) -> bool:
        container = _at(one, path)
        value = container.get(key, MISSING) if isinstance(container, dict) else MISSING
        return condition(MISSING if value is None else value)

    return predicate


def _agents(where: str, criteria: Any, version_field: str) -> Predicate:
    wanted: list[tuple[str, list[Any]]] = []
    for index, item in _items(where, criteria):
        versions = item.get("version", [])
        if not isinstance(item.get("agent_id"), str) or not isinstance(versions, list):
            raise malformed(f"{where}[{index}]", "needs an agent_id, and version must be a list")
        wanted.append((item["agent_id"], versions))
    return lambda one: any(
        one.get("agent_id") == agent_id and (not versions or one.get(version_field) in versions)
        for agent_id, versions in wanted
    )


def _tool_call(where: str, criterion: Body) -> Predicate:
    conditions: list[Predicate] = []
    for name, value in criterion.items():
        if name in ("name", "type") and isinstance(value, str):
            conditions.append(_on_path(name, lambda found, value=value: found == value))  # type: ignore[misc]
        elif name == "success":
            conditions.append(_on_path(name, _condition(f"{where}.success", value, ("boolean",), frozenset())))
        elif name == "latency_ms":
            conditions.append(_on_path(name, _condition(f"{where}.latency_ms", value, NUMERIC, frozenset())))
        else:
            raise malformed(f"{where}.{name}", "is not a field of a tool call that can be filtered")
    return lambda one: any(
        all(condition(tool_call) for condition in conditions) for tool_call in one.get("tool_calls", [])
    )


def _condition(where: str, criterion: Any, types: tuple[str, ...], allowed: frozenset[str]) -> Callable[[Any], bool]:
    if not isinstance(criterion, dict):
        raise malformed(where, "must be an object with type, op and value")
    kind, operator, value = criterion.get("type"), criterion.get("op"), criterion.get("value")
    if kind not in types:
        raise malformed(f"{where}.type", f"must be one of {', '.join(types)}")
    if operator not in OPERATORS[kind]:
        raise malformed(f"{where}.op", f"must be one of {', '.join(OPERATORS[kind])} for the type {kind}")
    if not _fits(kind, value):
        raise malformed(f"{where}.value", f"does not fit the type {kind}")
    if kind == "enum" and allowed and not set(value or ()) <= allowed:
        raise malformed(f"{where}.value", f"may only name {', '.join(sorted(allowed))}")
    return _comparison(operator, value)


def _fits(kind: str, value: Any) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "number":
        return _is_number(value)
    if kind == "range":
        return isinstance(value, list) and len(value) == 2 and all(_is_number(item) for item in value)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "enum":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _comparison(operator: str, value: Any) -> Callable[[Any], bool]:
    if operator == "pr":
        return lambda found: found is not MISSING
    if operator == "np":
        return lambda found: found is MISSING
    if operator == "ne":
        return lambda found: found is MISSING or found != value
    if operator == "eq":
        return lambda found: found == value and isinstance(found, bool) == isinstance(value, bool)
    if operator == "in":
        return lambda found: isinstance(found, str) and found in value
    if operator in ("sw", "ew", "co"):
        texts: dict[str, Callable[[str], bool]] = {
            "sw": lambda found: found.startswith(value),
            "ew": lambda found: found.endswith(value),
            "co": lambda found: value in found,
        }
        return lambda found: isinstance(found, str) and texts[operator](found)
    numbers: dict[str, Callable[[Any], bool]] = {
        "gt": lambda found: found > value,
        "ge": lambda found: found >= value,
        "lt": lambda found: found < value,
        "le": lambda found: found <= value,
        "bt": lambda found: value[0] <= found <= value[1],
    }
    return lambda found: _is_number(found) and numbers[operator](found)
