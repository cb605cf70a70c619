"""What holds where a country policy says nothing: class rules and prefix rules of the platform.

Data with a version. A policy's own rule wins over a platform rule of the same or lesser length.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from policies.engine.types import Direction, NumberClass, PrefixRule, RuleAction

RULES_VERSION: Final = "platform rules v1, 2026-11"

_COSTLY_CLASSES: Final = (
    NumberClass.PREMIUM_RATE,
    NumberClass.SHARED_COST,
    NumberClass.SATELLITE,
    NumberClass.INTERNATIONAL_NETWORK,
    NumberClass.PERSONAL,
    NumberClass.PAGER,
)
CLASS_RULES: Final = MappingProxyType(
    {
        Direction.INBOUND: MappingProxyType(dict[NumberClass, RuleAction]()),
        Direction.OUTBOUND: MappingProxyType(dict.fromkeys(_COSTLY_CLASSES, RuleAction.BLOCK)),
    }
)
# Dialled with a public key, whoever fills in the form chooses the number; a backend may call toll-free.
PUBLIC_KEY_CLASS_RULES: Final = MappingProxyType({NumberClass.TOLL_FREE: RuleAction.BLOCK})

# Ukrainian codes of Crimea and Sevastopol, and the two operators of the occupied parts of Donetsk and
# Luhansk. The ordinary codes of those two oblasts include places under Ukraine's control, so they are looked
# at twice instead of being blocked.
_OCCUPIED_AREAS: Final = tuple(
    PrefixRule(prefix, RuleAction.BLOCK) for prefix in ("+38065", "+380692", "+38071", "+38072")
)
_REVIEWED_AREAS: Final = tuple(PrefixRule(prefix, RuleAction.CHALLENGE) for prefix in ("+38062", "+38064"))
# +979 is premium rate on an international code; +1 600 belongs to no place in Canada.
_COSTLY_PREFIXES: Final = tuple(PrefixRule(prefix, RuleAction.BLOCK) for prefix in ("+979", "+1600"))

PREFIX_RULES: Final = MappingProxyType(
    {
        Direction.INBOUND: (*_OCCUPIED_AREAS, *_REVIEWED_AREAS),
        Direction.OUTBOUND: (*_OCCUPIED_AREAS, *_REVIEWED_AREAS, *_COSTLY_PREFIXES),
    }
)
