"""Telephone numbers of people who do not exist: ranges set aside for fiction where a valid one exists. Pure.

`#` stands for any digit. The other ranges are ordinary ones, since a number must be valid to be judged like a
real one; the demo dials the sandbox alone, which connects to nobody.
"""

from __future__ import annotations

from random import Random
from typing import Final

# North America sets 555-0100 to 555-0199 aside in every area code.
_US_AREA_CODES: Final = (
    "201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 248 251 "
    "252 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 315 316 317 318 "
    "319 320 321 323 325 330 334 336 337 347 352 360 361 386 401 402 404 405 406 407 408 409 410 412 413 414 415 "
    "417 419 423 425 432 434 440 443 469 478 479 480 484 501 502 503 504 505 507 508 509 510 512 513 515 516 517 "
    "518 520 530 540 541 559 561 562 563 570 573 574 585 601 602 603 605 606 607 608 609 610 612 614 615 616 617 "
    "618 619 620 623 626 630 631 636 641 646 650 651 660 661 702 703 704 706 707 708 712 713 714 715 716 717 718"
)
_NEARBY_AREA_CODES: Final = "617 508 413 401 203 603 207 212 718 516"
_CANADIAN_AREA_CODES: Final = "204 250 306 403 416 418 450 506 514 519 604 613 705 709 780 819 902 905"


def _fiction(area_codes: str) -> tuple[str, ...]:
    return tuple(f"+1{code}55501##" for code in area_codes.split())


RANGES: Final[dict[str, tuple[str, ...]]] = {
    "US": _fiction(_US_AREA_CODES),
    "CA": _fiction(_CANADIAN_AREA_CODES),
    "JM": ("+187655501##",),
    "DO": ("+180955501##", "+182955501##"),
    "GB": ("+44207946####", "+441214960###", "+441614960###", "+44740012####"),
    "FR": ("+3319900####", "+3326191####", "+3353649####"),
    "DE": ("+4930231250##", "+49152288173##"),
    "AU": ("+614915701##", "+6125550####"),
    "IE": ("+35387123####",),
    "SE": ("+46701740###",),
    "ES": ("+3461234####",),
    "IT": ("+39312345####",),
    "GR": ("+30691234####",),
    "CH": ("+4178123####",),
    "AT": ("+43664123####",),
    "NL": ("+31612345###",),
    "MX": ("+52551234####",),
    "IN": ("+91981234####",),
    "NG": ("+234802123####",),
    "JP": ("+81901234####",),
    "BR": ("+551191234####",),
    "PH": ("+63917123####",),
    "GD": ("+1473403####",),
    "AG": ("+1268464####",),
    "LV": ("+3712123####", "+3712640####"),
    "GM": ("+220301####", "+220770####"),
    "MV": ("+960771####",),
    "SL": ("+23276123###",),
    "SO": ("+25261512####",),
    "CU": ("+535123####",),
    "IR": ("+98912123####",),
    "SY": ("+96394456####",),
    "RU": ("+7916123####",),
    "BY": ("+37529123####",),
    "VE": ("+58412123####",),
}
NEARBY: Final = _fiction(_NEARBY_AREA_CODES)
# Numbers a form should never dial: US premium rate, UK premium rate, satellite, personal numbers.
COSTLY: Final = ("+1900555####", "+44909879####", "+88163123####", "+4470012#####")
# What people type when a form asks for a number.
MISTYPED: Final = ("+1555", "+15555555555", "+1415555", "+0014155550123", "+99912345678", "+44123")
WITHHELD: Final = (None, None, "anonymous", "Restricted", "unknown")


def invent(patterns: tuple[str, ...], random: Random) -> str:
    """A number of one of the ranges."""
    pattern = random.choice(patterns)
    return "".join(random.choice("0123456789") if sign == "#" else sign for sign in pattern)


def invent_in_block(pattern: str, block: str, random: Random) -> str:
    """A number of the range whose first free digits are `block`: attackers rent numbers by the thousand."""
    return invent((pattern.replace("#" * len(block), block, 1),), random)
