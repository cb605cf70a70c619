"""Facts about countries: names, groups, the sanctioned seven, exposure tiers, prices. Versioned and dated.

Data and pure functions only. It knows nothing of any workspace, and phone numbers are not resolved here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

# ISO 3166-1 alpha-2 with everyday English names, and XK, which is in use for Kosovo though ISO left it free.
_NAMES: Final = """
AD Andorra; AE United Arab Emirates; AF Afghanistan; AG Antigua and Barbuda; AI Anguilla; AL Albania;
AM Armenia; AO Angola; AQ Antarctica; AR Argentina; AS American Samoa; AT Austria; AU Australia; AW Aruba;
AX Åland Islands; AZ Azerbaijan; BA Bosnia and Herzegovina; BB Barbados; BD Bangladesh; BE Belgium;
BF Burkina Faso; BG Bulgaria; BH Bahrain; BI Burundi; BJ Benin; BL Saint Barthélemy; BM Bermuda;
BN Brunei; BO Bolivia; BQ Bonaire, Sint Eustatius and Saba; BR Brazil; BS Bahamas; BT Bhutan;
BV Bouvet Island; BW Botswana; BY Belarus; BZ Belize; CA Canada; CC Cocos Islands;
CD Democratic Republic of the Congo; CF Central African Republic; CG Congo; CH Switzerland;
CI Côte d'Ivoire; CK Cook Islands; CL Chile; CM Cameroon; CN China; CO Colombia; CR Costa Rica; CU Cuba;
CV Cabo Verde; CW Curaçao; CX Christmas Island; CY Cyprus; CZ Czechia; DE Germany; DJ Djibouti;
DK Denmark; DM Dominica; DO Dominican Republic; DZ Algeria; EC Ecuador; EE Estonia; EG Egypt;
EH Western Sahara; ER Eritrea; ES Spain; ET Ethiopia; FI Finland; FJ Fiji; FK Falkland Islands;
FM Micronesia; FO Faroe Islands; FR France; GA Gabon; GB United Kingdom; GD Grenada; GE Georgia;
GF French Guiana; GG Guernsey; GH Ghana; GI Gibraltar; GL Greenland; GM Gambia; GN Guinea; GP Guadeloupe;
GQ Equatorial Guinea; GR Greece; GS South Georgia; GT Guatemala; GU Guam; GW Guinea-Bissau; GY Guyana;
HK Hong Kong; HM Heard Island and McDonald Islands; HN Honduras; HR Croatia; HT Haiti; HU Hungary;
ID Indonesia; IE Ireland; IL Israel; IM Isle of Man; IN India; IO British Indian Ocean Territory; IQ Iraq;
IR Iran; IS Iceland; IT Italy; JE Jersey; JM Jamaica; JO Jordan; JP Japan; KE Kenya; KG Kyrgyzstan;
KH Cambodia; KI Kiribati; KM Comoros; KN Saint Kitts and Nevis; KP North Korea; KR South Korea; KW Kuwait;
KY Cayman Islands; KZ Kazakhstan; LA Laos; LB Lebanon; LC Saint Lucia; LI Liechtenstein; LK Sri Lanka;
LR Liberia; LS Lesotho; LT Lithuania; LU Luxembourg; LV Latvia; LY Libya; MA Morocco; MC Monaco;
MD Moldova; ME Montenegro; MF Saint Martin; MG Madagascar; MH Marshall Islands; MK North Macedonia;
ML Mali; MM Myanmar; MN Mongolia; MO Macao; MP Northern Mariana Islands; MQ Martinique; MR Mauritania;
MS Montserrat; MT Malta; MU Mauritius; MV Maldives; MW Malawi; MX Mexico; MY Malaysia; MZ Mozambique;
NA Namibia; NC New Caledonia; NE Niger; NF Norfolk Island; NG Nigeria; NI Nicaragua; NL Netherlands;
NO Norway; NP Nepal; NR Nauru; NU Niue; NZ New Zealand; OM Oman; PA Panama; PE Peru; PF French Polynesia;
PG Papua New Guinea; PH Philippines; PK Pakistan; PL Poland; PM Saint Pierre and Miquelon; PN Pitcairn;
PR Puerto Rico; PS Palestine; PT Portugal; PW Palau; PY Paraguay; QA Qatar; RE Réunion; RO Romania;
RS Serbia; RU Russia; RW Rwanda; SA Saudi Arabia; SB Solomon Islands; SC Seychelles; SD Sudan; SE Sweden;
SG Singapore; SH Saint Helena; SI Slovenia; SJ Svalbard and Jan Mayen; SK Slovakia; SL Sierra Leone;
SM San Marino; SN Senegal; SO Somalia; SR Suriname; SS South Sudan; ST Sao Tome and Principe;
SV El Salvador; SX Sint Maarten; SY Syria; SZ Eswatini; TC Turks and Caicos Islands; TD Chad;
TF French Southern Territories; TG Togo; TH Thailand; TJ Tajikistan; TK Tokelau; TL Timor-Leste;
TM Turkmenistan; TN Tunisia; TO Tonga; TR Türkiye; TT Trinidad and Tobago; TV Tuvalu; TW Taiwan;
TZ Tanzania; UA Ukraine; UG Uganda; UM United States Minor Outlying Islands; US United States; UY Uruguay;
UZ Uzbekistan; VA Vatican City; VC Saint Vincent and the Grenadines; VE Venezuela;
VG British Virgin Islands; VI U.S. Virgin Islands; VN Vietnam; VU Vanuatu; WF Wallis and Futuna; WS Samoa;
XK Kosovo; YE Yemen; YT Mayotte; ZA South Africa; ZM Zambia; ZW Zimbabwe
"""

NAMES: Final = MappingProxyType(
    {entry[:2]: entry[3:] for entry in (part.strip() for part in _NAMES.split(";")) if entry}
)
CODES: Final = frozenset(NAMES)
STATELESS: Final = "XX"
"""In place of a nationality, of people who have none; a code that ISO leaves to its users. It is no country."""

# A product rule of the platform, not legal advice. The order is the one in which it is shown.
SANCTIONED: Final = ("CU", "IR", "KP", "SY", "RU", "BY", "VE")
SANCTIONED_SET: Final = frozenset(SANCTIONED)
SANCTIONS_VERSION: Final = "platform sanctions list v1, 2026-11"

# Uninhabited and without telephone numbers: a list that holds only this code lets no call through.
NO_TELEPHONES: Final = "BV"


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


_US_TERRITORIES: Final = _codes("AS GU MP PR VI")
_CARIBBEAN: Final = _codes("AG AI BB BM BS DM DO GD JM KN KY LC MS SX TC TT VC VG")
_CROWN_DEPENDENCIES: Final = _codes("GG IM JE")
_EUROPEAN_UNION: Final = _codes("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK")


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    countries: frozenset[str]


# Countries people think of together. Those behind one calling code are here because a list that names only
# the largest of them does not include the others.
GROUPS: Final = MappingProxyType(
    {
        "us_and_canada": Group("United States and Canada", _codes("CA US")),
        "us_and_territories": Group("United States and its territories", _US_TERRITORIES | {"US"}),
        "us_territories": Group("Territories of the United States", _US_TERRITORIES),
        "caribbean_plus_1": Group("Caribbean and Bermuda (+1)", _CARIBBEAN),
        "north_american_plan": Group("Everywhere in +1", _codes("CA US") | _US_TERRITORIES | _CARIBBEAN),
        "gb_and_crown_dependencies": Group(
            "United Kingdom, Guernsey, Isle of Man and Jersey", _CROWN_DEPENDENCIES | {"GB"}
        ),
        "crown_dependencies": Group("Guernsey, Isle of Man and Jersey", _CROWN_DEPENDENCIES),
        "european_union": Group("European Union", _EUROPEAN_UNION),
        "european_economic_area": Group("European Economic Area", _EUROPEAN_UNION | _codes("IS LI NO")),
        "australia_and_islands": Group("Australia and its islands (+61)", _codes("AU CC CX")),
        "finland_and_aland": Group("Finland and Åland (+358)", _codes("AX FI")),
        "norway_and_svalbard": Group("Norway and Svalbard (+47)", _codes("NO SJ")),
        "italy_and_vatican": Group("Italy and the Vatican (+39)", _codes("IT VA")),
        "guadeloupe_and_neighbours": Group("Guadeloupe, Saint Barthélemy and Saint Martin (+590)", _codes("BL GP MF")),
        "reunion_and_mayotte": Group("Réunion and Mayotte (+262)", _codes("RE YT")),
        "curacao_and_bonaire": Group("Curaçao and Bonaire (+599)", _codes("BQ CW")),
        "morocco_and_western_sahara": Group("Morocco and Western Sahara (+212)", _codes("EH MA")),
        "australia_and_new_zealand": Group("Australia and New Zealand", _codes("AU NZ")),
    }
)


class ExposureTier(StrEnum):
    ALWAYS_DENIED = "T0"
    DENIED_BY_DEFAULT = "T1"
    CHALLENGED = "T2"
    NORMAL = "T3"


# A prior about number ranges, drawn from published lists of where revenue-share traffic terminated. It says
# nothing about the people of a country, and a workspace's own history overrides it.
EXPOSURE_NAME: Final = "cost and revenue-share exposure of number ranges"
EXPOSURE_VERSION: Final = "exposure tiers v1, 2026-11"
EXPOSURE_TIERS: Final = MappingProxyType(
    {
        ExposureTier.ALWAYS_DENIED: SANCTIONED_SET,
        ExposureTier.DENIED_BY_DEFAULT: _codes(
            "SO GN SL GM SN GW ST KM BI TD DJ ER LR MG ML MR NE TG ZW CF CD "
            "MV LK TL PG SB VU TV KI TO WS CK NU TK NR FK SH "
            "BA EE LV LT RS AL AZ TJ UZ AF TN DZ"
        )
        | (_CARIBBEAN - {"DO"}),
        ExposureTier.CHALLENGED: _codes("NG DO AE SA MA BE IT CH PK BD PH EG"),
    }
)
_TIER_OF: Final = {code: tier for tier, codes in EXPOSURE_TIERS.items() for code in codes}

# What a minute of an outbound call costs, in US dollars, where a workspace has not entered its own prices.
PRICES_VERSION: Final = "per-minute prices v1, 2026-11"
DEFAULT_PRICE_PER_MINUTE: Final = Decimal("0.50")
_CARIBBEAN_PRICE: Final = Decimal("0.25")
_PRICES: Final = """
    US 0.015  CA 0.03  MX 0.05  FR 0.06  IT 0.06  AU 0.10  DE 0.10  ES 0.10  GB 0.10  IN 0.15  MY 0.20
    JP 0.28   ID 0.40  TH 0.45  PH 0.80  AF 1.69  BT 1.23  BI 1.42  KH 1.38  BD 0.89  AZ 0.83  AO 0.81
    AL 0.68   BF 0.67  BN 0.65  BH 0.56  DZ 0.52  AI 0.45  BB 0.42  AG 0.37  VG 0.35  BS 0.24  BR 0.28
    AT 0.15   BE 0.13  DO 0.15  AR 0.19  SO 0.75  LV 0.40  LT 0.35  EE 0.40  BA 0.45  RS 0.40  SL 0.65
    GN 0.60   GM 0.70  SN 0.50  MV 0.95  NG 0.20  PR 0.03  VI 0.03  GU 0.05  AS 0.10  MP 0.10
"""
_PRICE_WORDS: Final = _PRICES.split()
PRICE_PER_MINUTE: Final = MappingProxyType(
    dict.fromkeys(sorted(_CARIBBEAN), _CARIBBEAN_PRICE)
    | {code: Decimal(price) for code, price in zip(_PRICE_WORDS[::2], _PRICE_WORDS[1::2], strict=True)}
)
# Classes whose price has little to do with the country in front of them.
CLASS_PRICE_PER_MINUTE: Final = MappingProxyType(
    {
        "satellite": Decimal("6.00"),
        "international_network": Decimal("6.00"),
        "premium_rate": Decimal("3.60"),
    }
)

# What a message costs, in US dollars: assumptions for budgeting, between published list prices. Countries that are
# not named cost what the average message of the fraud samples in Prelude's report of 2025 did.
SMS_PRICES_VERSION: Final = "prices per message v1, 2026-11"
DEFAULT_PRICE_PER_SMS: Final = Decimal("0.13")
_SMS_PRICES: Final = """
    US 0.008  CA 0.008  GB 0.04  MX 0.05  IN 0.05  PK 0.20  NG 0.25  LK 0.25  UZ 0.30
"""
_SMS_PRICE_WORDS: Final = _SMS_PRICES.split()
PRICE_PER_SMS: Final = MappingProxyType(
    {code: Decimal(price) for code, price in zip(_SMS_PRICE_WORDS[::2], _SMS_PRICE_WORDS[1::2], strict=True)}
)


def name_of(code: str | None) -> str:
    """The English name; an unknown code is named by itself, none at all as an unknown country."""
    if code == STATELESS:
        return "Stateless"
    return NAMES.get(code, code) if code else "Unknown country"


def in_words(codes: Iterable[str]) -> str:
    """Up to three names, then how many more."""
    names = [name_of(code) for code in codes]
    if len(names) <= 3:
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "nothing"
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def is_sanctioned(code: str | None) -> bool:
    return code in SANCTIONED_SET


def flag(code: str | None) -> str:
    """The flag emoji of a two-letter code, or a white flag where there is none."""
    if not (code and _TWO_LETTERS.fullmatch(code)) or code == STATELESS:
        return "\U0001f3f3"
    return "".join(chr(0x1F1E6 + ord(letter) - ord("A")) for letter in code)


def exposure_tier(code: str | None) -> ExposureTier:
    """A number without a country is non-geographic or unassigned: denied by default."""
    return ExposureTier.DENIED_BY_DEFAULT if code is None else _TIER_OF.get(code, ExposureTier.NORMAL)


def price_per_minute(code: str | None, number_class: str | None = None) -> Decimal:
    """The assumed price of one outbound minute, in US dollars."""
    by_country = PRICE_PER_MINUTE.get(code or "", DEFAULT_PRICE_PER_MINUTE)
    return max(by_country, CLASS_PRICE_PER_MINUTE.get(number_class or "", by_country))


def price_per_sms(code: str | None) -> Decimal:
    """The assumed price of one message, in US dollars."""
    return PRICE_PER_SMS.get(code or "", DEFAULT_PRICE_PER_SMS)


_TWO_LETTERS: Final = re.compile(r"[A-Z]{2}")
_OFTEN_MEANT: Final = MappingProxyType({"UK": "GB", "EL": "GR", "EN": "GB", "UAE": "AE", "USA": "US"})


@dataclass(frozen=True, slots=True)
class CountryProblem:
    """Why one entry of a country list cannot be accepted. `value` is cut to what is safe to show."""

    code: str
    detail: str
    value: Any

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "detail": self.detail, "value": self.value}


def normalise_country_list(values: Any) -> tuple[list[str], list[CountryProblem]]:
    """Put a list of country codes right (capitals, no duplicates, sorted) and name what cannot be put right.

    Takes any value and never raises. The first list holds what is acceptable, even beside problems.
    """
    if not isinstance(values, list | tuple | set | frozenset):
        detail = "Countries must be a list of two-letter country codes."
        return [], [CountryProblem("invalid_country", detail, _shown(values))]
    if not values:
        detail = (
            "The list is empty. UponAI treats an empty list as no restriction at all, so it cannot be saved: "
            "name at least one country."
        )
        return [], [CountryProblem("empty", detail, None)]
    accepted: set[str] = set()
    problems: list[CountryProblem] = []
    for value in values:
        code, problem = _normalise_country(value)
        if problem is not None:
            problems.append(problem)
        else:
            accepted.add(code)
    return sorted(accepted), problems


def _normalise_country(value: Any) -> tuple[str, CountryProblem | None]:
    if not isinstance(value, str):
        return "", CountryProblem("invalid_country", "A country code must be text.", _shown(value))
    text = value.strip()
    code = text.upper() if text.isascii() else text
    if not _TWO_LETTERS.fullmatch(code):
        detail = f"“{_shown(value)}” is not a two-letter country code.{_hint(code)}"
        return "", CountryProblem("invalid_country", detail, _shown(value))
    if code in SANCTIONED_SET:
        detail = f"{NAMES[code]} ({code}) is on the {SANCTIONS_VERSION}; no setting can open it."
        return "", CountryProblem("sanctioned_country", detail, code)
    if code not in CODES:
        detail = f"“{code}” is not the code of any country.{_hint(code)}"
        return "", CountryProblem("unknown_country", detail, code)
    return code, None


def _hint(code: str) -> str:
    meant = _OFTEN_MEANT.get(code)
    return f" {NAMES[meant]} is {meant}." if meant else ""


def _shown(value: Any) -> Any:
    """A scalar cut short, or only its kind: what a stranger sent is never repeated at length."""
    if isinstance(value, str):
        return value if len(value) <= 20 else value[:20] + "…"
    if value is None or isinstance(value, bool):
        return value
    return type(value).__name__
