"""Form fields for limits and KYC rules: tables of plain inputs, which become the JSON that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string

from accounts.countries import ExposureTier
from accounts.gate_rules import LimitRow

UNITS = ((1, "seconds"), (60, "minutes"), (3600, "hours"), (86_400, "days"))
LEVELS = ((1, "1 · basic"), (2, "2 · verified identity"), (3, "3 · enhanced"))
CHANNEL_TITLES = {"phone_call": "Phone calls", "sms": "SMS", "web_call": "Web calls", "chat": "Chats"}
TIER_TITLES = {
    ExposureTier.DENIED_BY_DEFAULT: "To the most exposed countries",
    ExposureTier.CHALLENGED: "To exposed countries",
    ExposureTier.NORMAL: "To all other countries",
}
TOO_LARGE_TO_LOG = (
    "Above {exact:,}, a burst after a quiet time may reach twice the limit ({twice:,.10g}) within one window."
)


class TableWidget(forms.Widget):
    """Renders a template of the console's; what was typed goes back into it as it was."""

    template = ""

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def use_required_attribute(self, initial: Any) -> bool:
        return False

    def id_for_label(self, id_: str) -> str:
        return ""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> str:
        return render_to_string(self.template, self.shown(name, value))

    def shown(self, name: str, value: Any) -> dict[str, Any]:
        raise NotImplementedError


class LimitsWidget(TableWidget):
    template = "accounts/_limits.html"

    def __init__(self, rows: Sequence[LimitRow] = ()) -> None:
        super().__init__()
        self.rows = rows

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, dict[str, str]]:
        """By limit, what was typed."""
        return {
            row.name: {part: data.get(f"{name}-{row.name}-{part}", "").strip() for part in _PARTS} for row in self.rows
        }

    def shown(self, name: str, value: Any) -> dict[str, Any]:
        typed = value or {}
        return {"name": name, "units": UNITS, "rows": [self._row(row, typed.get(row.name)) for row in self.rows]}

    def _row(self, row: LimitRow, typed: Mapping[str, str] | None) -> dict[str, Any]:
        usual_amount, usual_window = row.usual or (None, None)
        in_seconds = usual_amount if row.measure == "seconds" else usual_window
        size = _unit_of(in_seconds or 86_400)
        typed = typed or {}
        return {
            "row": row,
            "limit": typed.get("limit", ""),
            "window": typed.get("window", ""),
            "unit": int(typed["unit"]) if typed.get("unit", "").isdecimal() else size,
            "off": bool(typed.get("off")),
            "usual_limit": _plain(usual_amount / (size if row.measure == "seconds" else 1)) if usual_amount else "",
            "usual_window": _plain(usual_window / size) if usual_window else "",
            "has_window": row.measure not in ("running", "seconds"),
            "has_unit": row.measure != "running",
            "warning": _warning(row, typed.get("limit", "")),
        }


_PARTS = ("limit", "window", "unit", "off")


class LimitsField(forms.Field):
    """Where they differ from what holds otherwise: {"ip": {"limit": 60, "window": 600}, "key": None}."""

    widget = LimitsWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)

    def show(self, rows: Sequence[LimitRow]) -> None:
        """Which limits there are, with what holds for each where nothing is set."""
        self.widget.rows = rows

    def prepare_value(self, value: Any) -> Any:
        """What is kept as somebody would have typed it."""
        rows = {row.name: row for row in self.widget.rows}
        return {
            name: _typed(rows[name], limit) if _is_kept(limit) else limit
            for name, limit in (value or {}).items()
            if name in rows
        }

    def to_python(self, value: Any) -> dict[str, Any]:
        limits: dict[str, Any] = {}
        problems = []
        for row in self.widget.rows:
            typed = (value or {}).get(row.name) or {}
            try:
                if typed.get("off"):
                    limits[row.name] = None
                elif typed.get("limit") or typed.get("window"):
                    limits[row.name] = _read(row, typed)
            except ValueError as problem:
                problems.append(f"{row.title}: {problem}")
        if problems:
            raise ValidationError(problems)
        return limits


def _is_kept(limit: Any) -> bool:
    return limit is None or not isinstance(limit.get("limit"), str)


def _typed(row: LimitRow, limit: Mapping[str, float] | None) -> dict[str, str]:
    if limit is None:
        return {"off": "on"}
    if row.measure == "seconds":
        size = _unit_of(limit["limit"])
        return {"limit": _plain(limit["limit"] / size), "unit": str(size)}
    window = limit.get("window", 0)
    size = _unit_of(window or 1)
    return {"limit": _plain(limit["limit"]), "window": _plain(window / size) if window else "", "unit": str(size)}


def _read(row: LimitRow, typed: Mapping[str, str]) -> dict[str, float]:
    if not typed.get("limit"):
        raise ValueError("say how many, or leave the window empty too.")
    size = int(typed["unit"]) if typed.get("unit", "").isdecimal() else 1
    amount = _number(typed["limit"])
    if row.measure == "seconds":
        return {"limit": _whole(amount * size)}
    if row.measure == "running":
        return {"limit": amount}
    if typed.get("window"):
        return {"limit": amount, "window": _whole(_number(typed["window"]) * size)}
    if row.usual is None or not row.usual[1]:
        raise ValueError("say within which time.")
    return {"limit": amount, "window": row.usual[1]}


def _number(text: str) -> float:
    try:
        number = float(text.replace(",", "").removeprefix("$"))
    except ValueError:
        raise ValueError(f"“{text[:20]}” is not a number.") from None
    if not 0 <= number < 1e12:
        raise ValueError(f"“{text[:20]}” is not a number that a limit can have.")
    return _whole(number)


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number


def _plain(number: float) -> str:
    return f"{number:.10g}"


def _unit_of(seconds: float) -> int:
    """The largest unit that leaves no fraction; a day is said as 24 hours only by who types it so."""
    return next((size for size, _ in reversed(UNITS) if seconds >= size and seconds % size == 0), 1)


def _warning(row: LimitRow, typed: str) -> str:
    try:
        amount = _number(typed) if typed else (row.usual or (0, 0))[0]
    except ValueError:
        return ""
    if row.exact_up_to is None or amount <= row.exact_up_to:
        return ""
    return TOO_LARGE_TO_LOG.format(exact=row.exact_up_to, twice=2 * amount)


class KycRulesWidget(TableWidget):
    template = "accounts/_kyc_rules.html"

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, dict[str, str]]:
        return {
            group: {entry: data.get(f"{name}-{group}-{entry}", "") for entry in entries}
            for group, entries in _KYC_GROUPS.items()
        }

    def shown(self, name: str, value: Any) -> dict[str, Any]:
        rules = value or {}
        rows = [
            {
                "name": f"{name}-{group}-{entry}",
                "title": title,
                "level": str((rules.get(group) or {}).get(entry) or ""),
            }
            for group, entries in _KYC_GROUPS.items()
            for entry, title in entries.items()
        ]
        return {"rows": rows, "levels": [(str(level), words) for level, words in LEVELS]}


_KYC_GROUPS: dict[str, dict[str, str]] = {
    "channels": CHANNEL_TITLES,
    "exposure_tiers": {tier.value: title for tier, title in TIER_TITLES.items()},
}


class KycRulesField(forms.Field):
    """{"channels": {"sms": 1}, "exposure_tiers": {"T2": 2}}"""

    widget = KycRulesWidget

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, **options)

    def to_python(self, value: Any) -> dict[str, dict[str, int]]:
        rules = {
            group: {entry: int(level) for entry, level in entries.items() if level in {"1", "2", "3"}}
            for group, entries in (value or {}).items()
        }
        return {group: levels for group, levels in rules.items() if levels}
