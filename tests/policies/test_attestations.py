"""What people saw in UponAI's dashboard is kept with who and when, and is asked for again."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts import keys
from accounts.models import AuditEntry
from policies import attestations
from policies.attestations import LOOK_AGAIN_AFTER, attest
from policies.models import Attestation
from policies.rules_input import Refused
from tests.factories import make_member, make_workspace, moment

pytestmark = pytest.mark.django_db

THIRD = datetime(2026, 11, 3, 12, tzinfo=UTC)


@pytest.fixture
def key(in_workspace):
    return make_key(in_workspace)


def make_key(workspace, name="Landing page"):
    return keys.register_public_key(
        workspace=workspace, key=f"public_key_{name}", name=name, acting_user=None, now=moment()
    )


def ada(workspace):
    person = make_member(workspace)
    person.name = "Ada"
    person.save()
    return person


def _saw(key, topic="fraud_protection", seen="on", *, by=None, at=THIRD, **more):
    return attest(workspace_id=key.workspace_id, public_key=key, topic=topic, seen=seen, acting_user=by, now=at, **more)


def _of(key, topic):
    [standing] = [standing for standing in attestations.of_key(key) if standing.topic == topic]
    return standing


def test_says_who_saw_what_when_and_by_when_to_look_again(in_workspace, key):
    _saw(key, by=ada(in_workspace), link="https://example.com/shot.png", note="first in the list")

    standing = _of(key, "fraud_protection")
    assert attestations.in_words(standing) == "Fraud Protection: on, as Ada saw on 3 Nov; look again by 3 Dec"
    assert standing.newest.link == "https://example.com/shot.png"
    entry = AuditEntry.objects.get(action="public_key.attest")
    assert (entry.object_id, entry.detail["after"]["seen"]) == (str(key.pk), "on")
    assert attestations.in_words(_of(key, "allowed_domains")) == "Allowed domains: nobody has looked yet"


def test_the_newest_look_counts_and_is_due_again_after_a_month(in_workspace, key):
    _saw(key, at=THIRD)
    _saw(key, seen="off", at=THIRD + timedelta(days=1))

    standing = _of(key, "fraud_protection")
    assert standing.newest.seen == "off"
    due_at = THIRD + timedelta(days=1) + LOOK_AGAIN_AFTER
    assert not standing.is_due(due_at - timedelta(seconds=1))
    assert standing.is_due(due_at)
    assert _of(key, "abuse_prevention").is_due(THIRD)
    assert Attestation.objects.count() == 2


def test_a_key_that_was_revoked_needs_no_look(in_workspace, key):
    other = make_key(in_workspace, "Other")
    keys.revoke_public_key(public_key=other, acting_user=None, now=moment())
    other.refresh_from_db()

    assert {standing.public_key.pk for standing in attestations.of_keys([key, other])} == {key.pk}


def test_the_account_has_its_kyc_alone(in_workspace, key):
    assert attestations.of_account().newest is None
    attest(workspace_id=in_workspace.pk, topic="kyc", seen="on", acting_user=ada(in_workspace), now=THIRD)

    assert "approved, as Ada saw on 3 Nov" in attestations.in_words(attestations.of_account())
    assert _of(key, "fraud_protection").newest is None


def test_refuses_a_look_that_means_nothing(in_workspace, key):
    gate_key = keys.mint_public_key(
        workspace=in_workspace,
        name="Widget",
        domains=["example.com"],
        channels=["chat"],
        acting_user=None,
        now=moment(),
    )
    for about, wrong in (
        (gate_key, {}),
        (key, {"topic": "kyc"}),
        (None, {"topic": "fraud_protection"}),
        (key, {"seen": "perhaps"}),
        (key, {"topic": "colour"}),
        (key, {"link": "javascript:alert(1)"}),
        (key, {"link": "https://example.com/" + "x" * 500}),
        (key, {"note": "x" * 301}),
    ):
        given = {"topic": "fraud_protection", "seen": "on"} | wrong
        with pytest.raises(Refused) as refused:
            attest(workspace_id=in_workspace.pk, public_key=about, acting_user=None, now=moment(), **given)
        field = next(iter(wrong), "public_key")
        assert [problem.field for problem in refused.value.problems] == [field]
    assert not Attestation.objects.exists()


def test_another_workspaces_looks_are_not_seen(in_workspace):
    other = make_workspace()
    attest(workspace_id=other.pk, topic="kyc", seen="on", acting_user=None, now=moment())

    assert attestations.of_account().newest is None
