"""Who and what the demo shows: people, policies, phone numbers, keys, end users and kinds of traffic. Data only.

The businesses do not exist. Numbers are fictional ones where a valid fictional range exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from monitoring.demo import peers
from monitoring.demo.traffic import EVERY_DAY, FLAT, OFFICE, OFFICE_WEEK, Attack, Business, Stream
from policies.engine.types import Channel, Direction

SLUG: Final = "demo"
NAME: Final = "Harbor Dental & Travel"
TIME_ZONE: Final = "America/New_York"
SECOND_SLUG: Final = "demo-eu"
SECOND_NAME: Final = "Nordkai Reisen (chat only)"
SECOND_TIME_ZONE: Final = "Europe/Berlin"
DAYS: Final = 30

# E-mail address, name, role here, role in the second workspace.
PEOPLE: Final = (
    ("owner@demo.example", "Olivia Marsh", "owner", "owner"),
    ("editor@demo.example", "Elias Brandt", "policy_editor", "policy_editor"),
    ("reviewer@demo.example", "Rosa Delgado", "kyc_reviewer", ""),
    ("second.reviewer@demo.example", "Sam Okafor", "second_reviewer", ""),
    ("analyst@demo.example", "Anna Lindqvist", "analyst", "analyst"),
    ("viewer@demo.example", "Victor Chen", "viewer", ""),
)
OWNER: Final = "owner@demo.example"
EDITOR: Final = "editor@demo.example"
REVIEWER: Final = "reviewer@demo.example"
SECOND_REVIEWER: Final = "second.reviewer@demo.example"


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    inbound: dict[str, Any]
    outbound: dict[str, Any]
    reason: str = ""


def _only(*countries: str, **more: Any) -> dict[str, Any]:
    return {"mode": "list", "countries": list(countries), **more}


_ANYWHERE: Final = {"mode": "unrestricted", "countries": []}
_NORTH_AMERICA: Final = ("US", "CA")
_WITH_UK: Final = ("US", "CA", "GB", "IE")
_CARIBBEAN: Final = ("US", "CA", "DO", "JM", "MX")
# 1-829 is one of the area codes of the Dominican Republic; a rule for a part of a country that is open.
_ONE_AREA_CLOSED: Final = [{"prefix": "+1829", "action": "block"}]

US_AND_CANADA: Final = "US and Canada only"
WITH_UK: Final = "North America and UK"
CARIBBEAN: Final = "Caribbean desk"
LEGACY: Final = "Unrestricted (legacy)"
WIDGET: Final = "Call-back widget"
POLICIES: Final = (
    Policy(US_AND_CANADA, _only(*_NORTH_AMERICA), _only(*_NORTH_AMERICA)),
    Policy(WITH_UK, _only(*_WITH_UK), _only(*_WITH_UK)),
    Policy(
        CARIBBEAN,
        _only(*_CARIBBEAN),
        _only(*_CARIBBEAN, class_rules={"toll_free": "block"}, prefix_rules=_ONE_AREA_CLOSED),
        "Guests and hotels on the islands.",
    ),
    Policy(LEGACY, _ANYWHERE, _ANYWHERE, "Set up before policies existed; to be reviewed."),
    Policy(WIDGET, _only(*_WITH_UK), _ANYWHERE, "Travellers ask to be called back wherever they are."),
)
# What the editor did on the evening of the attack.
NARROWED: Final = _only(*_WITH_UK)
NARROWED_REASON: Final = "Calls to Latvia, Gambia and Sierra Leone that nobody here asked for."


@dataclass(frozen=True, slots=True)
class Line:
    e164: str
    nickname: str
    policy: str
    inbound_agent: str = ""
    outbound_agent: str = ""


FRONT_DESK: Final = Line("+14155550100", "Front desk", US_AND_CANADA, "agent_front_desk")
REMINDERS: Final = Line("+14155550101", "Appointment reminders", US_AND_CANADA, "agent_front_desk", "agent_reminders")
BILLING: Final = Line("+14155550102", "Billing", US_AND_CANADA, "agent_billing", "agent_billing")
TRAVEL_DESK: Final = Line("+12125550110", "Travel desk", WITH_UK, "agent_travel", "agent_travel")
CALL_BACK: Final = Line("+12125550111", "Call-back widget", WIDGET, "", "agent_call_back")
HOTELS: Final = Line("+12125550112", "Hotel bookings", WITH_UK, "agent_travel")
ISLANDS: Final = Line("+13055550120", "Caribbean desk", CARIBBEAN, "agent_travel", "agent_travel")
EMERGENCIES: Final = Line("+18005550123", "Travellers in need", LEGACY, "agent_emergencies")
LONDON: Final = Line("+442079460100", "London office", WITH_UK, "agent_london", "agent_london")
AFTER_HOURS: Final = Line("+16465550130", "After hours", US_AND_CANADA)
LINES: Final = (
    *(FRONT_DESK, REMINDERS, BILLING, TRAVEL_DESK, CALL_BACK),
    *(HOTELS, ISLANDS, EMERGENCIES, LONDON, AFTER_HOURS),
)

CHANGED_BEHIND: Final = ISLANDS
"""Somebody changed this one in UponAI's dashboard: it may not call Mexico any more."""
LEFT_THERE: Final = ("US", "CA", "DO", "JM")

WIDGET_KEY: Final = "Call-back form"
CHAT_KEY: Final = "Concierge chat"
PARTNER_KEY: Final = "Partner portal"
REGISTERED_KEY: Final = "Old landing page (UponAI)"
GATE_KEYS: Final[dict[str, dict[str, Any]]] = {
    WIDGET_KEY: {
        "domains": ["travel.harbor.example"],
        "channels": ["phone_call", "sms"],
        "phone_number": CALL_BACK.e164,
        "agent": CALL_BACK.outbound_agent,
        "captcha": "recaptcha_v3",
        "captcha_site_key": "6Lc_harbor-travel-demo",
        "captcha_secret": "demo-secret",
    },
    CHAT_KEY: {
        "domains": ["harbor.example", "www.harbor.example"],
        "channels": ["web_call", "chat"],
        "agent": "agent_concierge",
        "captcha": "turnstile",
        "captcha_site_key": "0x4AAA-harbor-demo",
        "captcha_secret": "demo-secret",
        "kyc_level": 1,
    },
    PARTNER_KEY: {
        "domains": ["partners.harbor.example"],
        "channels": ["chat"],
        "agent": "agent_partners",
        "mode": "observing",
    },
}
REGISTERED: Final[dict[str, dict[str, Any]]] = {
    REGISTERED_KEY: {
        "key": "public_key_demo_landing_page",
        "domains": ["landing.harbor.example", "localhost"],
        "channels": ["web_call", "chat"],
        "fraud_protection": False,
    }
}

# Name, country, level, state, countries of use, purpose.
END_USERS: Final = (
    ("Amelia Hart", "US", 1, "approved", ("US",), "Appointments for a family of four"),
    ("Bruno Silva", "BR", 2, "approved", ("BR", "US"), "Group travel from Brazil"),
    ("Chloe Martin", "FR", 2, "in_review", ("FR", "US"), "Calls hotels in France"),
    ("Daniel Osei", "GB", 2, "submitted", ("GB",), "Reminders to patients in London"),
    ("Elena Rossi", "IT", 3, "proposed_approve", ("IT", "CH"), "Concierge for Italian guests"),
    ("Farid Haddad", "AE", 3, "needs_information", ("AE",), "Calls hotels in Dubai"),
    ("Grace Kim", "US", 1, "approved", ("US", "CA"), "Web calls from the patients' page"),
    ("Henrik Berg", "SE", 2, "submitted", ("SE", "DE"), "Ferry bookings"),
    ("Ines Costa", "ES", 1, "draft", ("ES",), "Not filled in yet"),
    ("Jamal Wright", "US", 2, "approved", ("US",), "Dental plan sales"),
    ("Keiko Tanaka", "JP", 2, "expired", ("JP", "US"), "Season of 2025"),
    ("Liam Murphy", "IE", 1, "approved", ("IE", "GB"), "Appointments"),
    ("Maria Lopez", "MX", 2, "in_review", ("MX", "US"), "Calls to guests in Mexico"),
    ("Nadia Petrova", "LV", 3, "proposed_reject", ("LV", "EE"), "Bulk calls to Latvia"),
    ("Oscar Nilsson", "SE", 1, "withdrawn", ("SE",), "Changed his mind"),
    ("Priya Nair", "IN", 2, "submitted", ("IN", "US"), "Support line for travellers"),
    ("Quentin Moreau", "FR", 1, "rejected", ("FR",), "Document did not match"),
    ("Rachel Adler", "US", 3, "approved", ("US", "CA", "GB"), "Travel agency with a dialler"),
    ("Stefan Weber", "DE", 2, "suspended", ("DE",), "Complaints in October"),
    ("Tomas Novak", "CZ", 1, "draft", ("CZ",), "Not filled in yet"),
    ("Uma Patel", "IN", 1, "submitted", ("IN",), "Chats from the web page"),
    ("Viktor Lang", "AT", 2, "needs_information", ("AT", "DE"), "Ski resort shuttle"),
    ("Wendy Brooks", "CA", 1, "approved", ("CA", "US"), "Appointments"),
    ("Yusuf Demir", "TR", 2, "in_review", ("TR", "DE"), "Health travel"),
    ("Erased person", "", 1, "erased", (), ""),
)


def reference_of(position: int) -> str:
    """What the business's own systems call the end user at this place of the list."""
    return f"guest-{1001 + position}"


_INBOUND, _OUTBOUND = Direction.INBOUND, Direction.OUTBOUND
_AT_HOME: Final = {"US": 97.5, "CA": 1.7, "MX": 0.5, "GB": 0.3}
_TRAVELLERS: Final = {"US": 86, "CA": 4, "GB": 5, "IE": 1, "DO": 0.8, "JM": 0.5} | dict.fromkeys(
    ("IT", "GR", "FR", "DE", "ES", "CH"), 0.45
)
_ISLANDERS: Final = {"US": 60, "DO": 22, "JM": 12, "MX": 4, "AG": 1, "GD": 1}
_WIDGET: Final = {"US": 90, "CA": 3, "GB": 4, "MX": 0.8, "DE": 0.7, "IT": 0.6, "FR": 0.5, "AU": 0.4}
_SANCTIONED: Final = tuple(
    pattern for country in ("CU", "CU", "IR", "RU", "VE", "VE", "SY", "BY") for pattern in peers.RANGES[country]
)
_ONE_RING: Final = tuple(
    pattern for country in ("GD", "AG", "JM", "SL", "MV", "SO") for pattern in peers.RANGES[country]
)


def _calls(name: str, direction: Direction, line: Line, per_day: float, **more: Any) -> Stream:
    agent = line.inbound_agent if direction == _INBOUND else line.outbound_agent
    return Stream(
        name=name,
        direction=direction,
        channel=more.pop("channel", Channel.PHONE_CALL),
        per_day=per_day,
        phone_number=line.e164,
        agent=agent,
        **{"connected": 0.985 if direction == _INBOUND else 0.6, **more},
    )


def _web(name: str, channel: Channel, per_day: float, key: str, origin: str, **more: Any) -> Stream:
    return Stream(
        name=name,
        direction=_INBOUND,
        channel=channel,
        per_day=per_day,
        public_key=key,
        origin=origin,
        **{"agent": "agent_concierge", "connected": 0.97, **more},
    )


def _streams(keys: dict[str, str]) -> tuple[Stream, ...]:
    office = {"hours": OFFICE, "week": OFFICE_WEEK}
    steadily = {"hours": FLAT, "week": EVERY_DAY}
    form = {"public_key": keys.get(WIDGET_KEY, ""), "origin": "https://travel.harbor.example"}
    chat = (keys.get(CHAT_KEY, ""), "https://harbor.example")
    landing = (keys.get(REGISTERED_KEY, ""), "https://landing.harbor.example")
    short = {"median_seconds": 45, "spread": 0.5}
    return (
        _calls("front desk", _INBOUND, FRONT_DESK, 90, countries=_AT_HOME, **office),
        _calls("billing", _INBOUND, BILLING, 24, countries=_AT_HOME, median_seconds=180, **office),
        _calls("billing calls", _OUTBOUND, BILLING, 18, countries=_AT_HOME, median_seconds=100, **office),
        _calls("reminders", _OUTBOUND, REMINDERS, 92, countries=_AT_HOME, **office, **short),
        _calls("reminder messages", _OUTBOUND, REMINDERS, 80, channel=Channel.SMS, countries=_AT_HOME, **office),
        _calls("replies", _INBOUND, REMINDERS, 22, channel=Channel.SMS, countries=_AT_HOME),
        _calls("travel desk", _INBOUND, TRAVEL_DESK, 54, countries=_TRAVELLERS, median_seconds=210),
        _calls("travel calls", _OUTBOUND, TRAVEL_DESK, 26, countries=_TRAVELLERS, median_seconds=140),
        _calls("hotels", _INBOUND, HOTELS, 30, countries=_TRAVELLERS, median_seconds=170),
        _calls("islands", _INBOUND, ISLANDS, 16, countries=_ISLANDERS, median_seconds=190),
        _calls("island calls", _OUTBOUND, ISLANDS, 14, countries=_ISLANDERS, median_seconds=150),
        _calls("emergencies", _INBOUND, EMERGENCIES, 9, countries=_TRAVELLERS, median_seconds=260),
        _calls("london", _INBOUND, LONDON, 14, countries={"GB": 92, "IE": 4, "US": 2, "FR": 2}, **office),
        _calls("london calls", _OUTBOUND, LONDON, 9, countries={"GB": 93, "IE": 5, "NL": 2}, **office),
        _calls("call-backs", _OUTBOUND, CALL_BACK, 54, countries=_WIDGET, median_seconds=160, **form),
        _web("web calls", Channel.WEB_CALL, 56, *chat, median_seconds=110),
        _web("chats", Channel.CHAT, 72, *chat, median_seconds=180),
        _web("landing page", Channel.CHAT, 14, *landing, median_seconds=120),
        # What nobody asked for.
        _calls("withheld", _INBOUND, FRONT_DESK, 2.5, peers=peers.WITHHELD, **office),
        _calls("withheld on the road", _INBOUND, EMERGENCIES, 1.5, peers=peers.WITHHELD),
        _calls("robots", _INBOUND, BILLING, 9, median_seconds=12, spread=0.4, **office),
        _calls("sanctioned callers", _INBOUND, TRAVEL_DESK, 7, peers=_SANCTIONED, **steadily),
        _calls("sanctioned callers in need", _INBOUND, EMERGENCIES, 3, peers=_SANCTIONED, **steadily),
        _calls("sanctioned call-backs", _OUTBOUND, CALL_BACK, 2.5, peers=_SANCTIONED, **form),
        _calls("one ring", _INBOUND, AFTER_HOURS, 6, peers=_ONE_RING, **steadily),
        _calls("costly numbers", _OUTBOUND, CALL_BACK, 1.2, peers=peers.COSTLY, **form),
        _calls("typing errors", _OUTBOUND, CALL_BACK, 3, peers=peers.MISTYPED, **form),
    )


def attack_before(anchor: datetime, keys: dict[str, str]) -> Attack:
    """The evening two days before `anchor`."""
    zone = ZoneInfo(TIME_ZONE)
    evening = anchor.astimezone(zone).date() - timedelta(days=2)
    starts_at = datetime.combine(evening, time(19, 10), zone).astimezone(UTC)
    return Attack(
        starts_at=starts_at,
        noticed_at=starts_at + timedelta(minutes=42),
        ends_at=starts_at + timedelta(minutes=125),
        phone_number=CALL_BACK.e164,
        agent=CALL_BACK.outbound_agent,
        public_key=keys.get(WIDGET_KEY, ""),
        origin="https://travel.harbor.example",
    )


def first_business(*, anchor: datetime, opened_on: date, keys: dict[str, str], scale: float = 1.0) -> Business:
    """`keys`: the text of each public key by its name."""
    return Business(
        seed=SLUG,
        time_zone=ZoneInfo(TIME_ZONE),
        opened_on=opened_on,
        streams=_streams(keys),
        attack=attack_before(anchor, keys),
        subjects=tuple(reference_of(position) for position in range(len(END_USERS) - 1)),
        scale=scale,
    )


def second_business(*, opened_on: date, keys: dict[str, str], scale: float = 1.0) -> Business:
    chat = (keys.get(CHAT_KEY, ""), "https://nordkai.example")
    return Business(
        seed=SECOND_SLUG,
        time_zone=ZoneInfo(SECOND_TIME_ZONE),
        opened_on=opened_on,
        streams=(
            _web("chats", Channel.CHAT, 4, *chat, agent="agent_nordkai", median_seconds=150),
            _web("web calls", Channel.WEB_CALL, 2, *chat, agent="agent_nordkai", median_seconds=90),
        ),
        scale=scale,
    )


SECOND_GATE_KEYS: Final[dict[str, dict[str, Any]]] = {
    CHAT_KEY: {
        "domains": ["nordkai.example"],
        "channels": ["web_call", "chat"],
        "agent": "agent_nordkai",
    }
}
SECOND_POLICIES: Final = (Policy("Germany and neighbours", _only("DE", "AT", "CH"), _only("DE", "AT", "CH")),)
