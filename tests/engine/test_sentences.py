"""What people read about a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from policies.engine.sentences import CLASS_WORDS, sentence, sentence_for
from policies.engine.types import Direction, NumberClass, Reason, Snapshot, VerdictKind
from tests.engine.worlds import LISTING, OPEN, judge, make_snapshot

SENTENCES = [
    ("outbound", "+14155552671", LISTING, "Allowed."),
    (
        "outbound",
        "+18765551234",
        LISTING,
        "Blocked: Jamaica (+1 876) is not among the countries this number may call.",
    ),
    (
        "inbound",
        "+447400123456",
        LISTING,
        "Blocked: United Kingdom (+44) is not among the countries that may call this number.",
    ),
    ("outbound", "+5351234567", OPEN, "Blocked: Cuba is on the platform sanctions list; no setting can open it."),
    ("inbound", "+539912", OPEN, "Blocked: Cuba is on the platform sanctions list; no setting can open it."),
    (
        "outbound",
        "+19002345678",
        LISTING,
        "Blocked: calls to premium-rate numbers are restricted by this number's policy.",
    ),
    ("outbound", "+380652123456", OPEN, "Blocked: a prefix rule covers the dialled number in Ukraine (+380)."),
    ("inbound", "+380621234567", OPEN, "Guarded: a prefix rule covers the caller's number in Ukraine (+380)."),
    ("outbound", "+380621234567", OPEN, "Challenged: a captcha must be solved first."),
    ("inbound", None, LISTING, "Blocked: the number is withheld, and only listed countries may call."),
    ("outbound", "911", OPEN, "Blocked: emergency numbers are never dialled."),
    ("outbound", "nonsense", OPEN, "Blocked: the dialled number is not a complete international phone number."),
    ("outbound", "+11234567890", OPEN, "Blocked: the dialled number lies in a range that nobody has been given."),
    ("inbound", "+14155552671", make_snapshot(policy_id=None), "Blocked: this phone number follows no country policy."),
]


@pytest.mark.parametrize(
    ("direction", "peer", "snapshot", "expected"), SENTENCES, ids=[row[3][:50] for row in SENTENCES]
)
def test_says_what_was_decided_and_why(direction: str, peer: Any, snapshot: Snapshot, expected: str) -> None:
    assert sentence(judge(direction, peer, snapshot)) == expected


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("direction", list(Direction))
def test_has_a_sentence_for_every_reason(reason: Reason, direction: Direction) -> None:
    text = sentence_for(verdict=VerdictKind.BLOCK, reason=reason, direction=direction, country="JM")

    assert text.startswith("Blocked: ")
    assert text.endswith(".")
    assert "_" not in text
    assert "None" not in text


def test_has_words_for_every_number_class() -> None:
    assert set(CLASS_WORDS) == set(NumberClass)
