"""Many honest people behind one address: a campus, an event, a mobile network. Each calls their own number once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from accounts import end_user_tokens
from accounts.scoping import scoped
from policies.engine.limits import LimitName
from policies.gate import store
from policies.limit_words import MANY_BEHIND_ONE_ADDRESS, PEOPLE_BEHIND_ONE_ADDRESS, in_words
from tests.accounts.kyc import cases
from tests.factories import moment
from tests.policies.gate.judging.conftest import CAPTCHA, gate, sandbox_of_gate, uponai, verifier
from tests.policies.gate.outbound.conftest import CALL

__all__ = ["gate", "sandbox_of_gate", "uponai", "verifier"]

pytestmark = pytest.mark.django_db

ONE_IN = 20
PEOPLE = PEOPLE_BEHIND_ONE_ADDRESS // ONE_IN
AREAS = (202, 206, 212, 303, 305, 312, 404, 415, 503, 602, 617, 702, 713, 801, 813, 901, 916, 919)
BY_PERSON = (LimitName.SUBJECT, LimitName.COUNTRIES_PER_IP)
ADDRESS = "198.51.100.7"
USUAL_MICRO = 173_000
"""90 seconds to a number at home."""


@pytest.fixture
def people(gate):
    """By their reference, their own number."""
    numbers = {f"person-{n}": f"+1{AREAS[n % len(AREAS)]}555{100 + n:04d}" for n in range(PEOPLE)}
    with scoped(gate.workspace.pk):
        for reference in numbers:
            cases.quickly_approved(reference, moment())
    return numbers


def _profile():
    """What is documented, for so many fewer people. What one person may do stays."""
    limits = {}
    for name, limit in MANY_BEHIND_ONE_ADDRESS.items():
        part = limit.limit if name in BY_PERSON else limit.limit // ONE_IN
        limits[name.value] = limit.as_dict() | {"limit": part}
    return limits


def _answers(gate, key, people, verifier):
    """What each is told; a call is over before the next person's begins."""
    told = Counter()
    for reference, number in people:
        proof, _ = end_user_tokens.mint(
            workspace_id=gate.workspace.pk, subject=reference, now=moment(), destination=number
        )
        shown = {"X_Captcha_Token": verifier.token(), "X_End_User_Token": proof}
        response = gate.page(CALL, key, {"to_number": number}, ip=ADDRESS, **shown)
        told[response.status_code] += 1
        if response.status_code == 201:
            store.give_back(gate.workspace.pk, response["X-Decision-Id"], cost_micro=USUAL_MICRO)
    return told


def test_lets_them_all_call_with_the_documented_limits_on_the_key(gate, people, uponai, verifier):
    key = gate.key(**CAPTCHA, kyc_level=1, limits=_profile())

    told = _answers(gate, key, people.items(), verifier)

    assert told[429] <= 0.01 * PEOPLE, told
    # A machine that is busy with other tests may answer 503 now and then; that is no limit's doing.
    assert told[201] >= 0.95 * PEOPLE, told


def test_takes_them_for_one_with_the_usual_limits(gate, people, uponai, verifier):
    key = gate.key(**CAPTCHA, kyc_level=1)

    told = _answers(gate, key, list(people.items())[:40], verifier)

    assert told == {201: 10, 429: 30}


def test_still_lets_one_of_them_call_only_a_few_times(gate, people, uponai, verifier):
    key = gate.key(**CAPTCHA, kyc_level=1, limits=_profile())

    told = _answers(gate, key, [("person-0", f"+1{area}5550100") for area in AREAS[:6]], verifier)

    assert told == {201: 3, 429: 3}


def test_the_guide_names_these_limits():
    guide = (Path(__file__).parents[3] / "docs" / "gate.md").read_text()

    for name, limit in MANY_BEHIND_ONE_ADDRESS.items():
        assert f"| `{name}` | {in_words(name, limit)} |" in guide
