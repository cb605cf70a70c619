"""Which kinds of numbers a prefix reaches."""

import pytest

from policies.engine.names import NumberClass
from policies.engine.prefix_classes import classes_of

COSTLY = {NumberClass.PREMIUM_RATE, NumberClass.PERSONAL}


@pytest.mark.parametrize(
    ("prefix", "costly"),
    [
        ("+1900", {"premium_rate"}),
        ("+19002", {"premium_rate"}),
        ("+44", {"premium_rate", "personal"}),
        ("+4490", {"premium_rate"}),
        ("+449098790879", {"premium_rate"}),
        ("+4470", {"personal"}),
        ("+4420", set()),
        ("+1415", set()),
        ("+447400", set()),
        ("+4", set()),
    ],
)
def test_the_costly_kinds_behind_a_prefix(prefix, costly):
    assert classes_of(prefix) & COSTLY == costly
