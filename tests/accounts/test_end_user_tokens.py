"""End-user tokens: believed by the workspace that minted them, for as long as they say, and no further."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from accounts import end_user_tokens
from accounts.end_user_tokens import InvalidEndUserToken
from tests.factories import moment


def _mint(**facts):
    return end_user_tokens.mint(**{"workspace_id": 1, "subject": "user-17", "now": moment()} | facts)


def test_tells_for_whom_it_speaks():
    text, minted = _mint(destination="+44 7400 123456")

    found = end_user_tokens.read(text, workspace_id=1, now=moment())

    assert found == minted
    assert (found.subject, found.destination) == ("user-17", "+447400123456")


def test_may_reach_any_number_when_none_is_named():
    text, _ = _mint()

    assert end_user_tokens.read(text, workspace_id=1, now=moment()).destination is None


def test_ends_at_its_second():
    now = moment().replace(microsecond=0)
    text, _ = _mint(now=now, expires_in=60)

    assert end_user_tokens.read(text, workspace_id=1, now=now + timedelta(seconds=59.9))
    with pytest.raises(InvalidEndUserToken, match="over"):
        end_user_tokens.read(text, workspace_id=1, now=now + timedelta(seconds=60))


def test_is_nothing_to_another_workspace():
    text, _ = _mint()

    with pytest.raises(InvalidEndUserToken):
        end_user_tokens.read(text, workspace_id=2, now=moment())


def test_notices_every_altered_sign():
    text, _ = _mint()
    for position in range(len(text)):
        other = "A" if text[position] != "A" else "B"
        altered = text[:position] + other + text[position + 1 :]
        # The last sign of a signature in base64 has bits that mean nothing.
        if position < len(text) - 1:
            with pytest.raises(InvalidEndUserToken):
                end_user_tokens.read(altered, workspace_id=1, now=moment())


@pytest.mark.parametrize(
    "text", [None, 5, "", "eu_", "eu_:", "eu_a:b", "eu_é:ü", "fc_x", "eu_" + "a" * 5000, "eu_\udc80:a"]
)
def test_refuses_what_is_no_token(text):
    with pytest.raises(InvalidEndUserToken):
        end_user_tokens.read(text, workspace_id=1, now=moment())


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"subject": " "}, "subject"),
        ({"subject": "x" * 121}, "subject"),
        ({"subject": "a\nb"}, "subject"),
        ({"expires_in": 9}, "expires_in"),
        ({"expires_in": 86_401}, "expires_in"),
        ({"destination": "call me"}, "destination"),
        ({"destination": "415 555 0100"}, "destination"),
        ({"destination": "+14155550100,,79161234567"}, "destination"),
    ],
)
def test_says_what_it_cannot_be_minted_from(facts, field):
    with pytest.raises(ValidationError) as problem:
        _mint(**facts)

    assert list(problem.value.message_dict) == [field]
