"""An open reaches UponAI when it begins and when it ends by itself, or once a second person agreed to it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.models import Workspace
from policies import approvals, exposure, opens
from policies.models import SyncTarget
from policies.sync import push
from policies.widening import NeedsApproval
from tests.factories import make_member, make_phone_number

pytestmark = pytest.mark.django_db
NUMBER = "+14155550100"


@pytest.fixture
def number(in_workspace, uponai):
    lists = {"allowed_inbound_country_list": ["CA", "US"], "allowed_outbound_country_list": ["CA", "US"]}
    uponai.post("numbers", numbers=[{"phone_number": NUMBER, **lists}])
    yield make_phone_number(in_workspace, NUMBER)
    exposure.forget()


def outbound(uponai):
    return uponai.retell.phone_number.retrieve(NUMBER).allowed_outbound_country_list


def pushed(number, now):
    assert SyncTarget.objects.get(phone_number=number).due_at <= now
    assert push.push(number.sync_target.pk, clock=lambda: now)


def opened(workspace, now, hours):
    return opens.open_temporarily(
        workspace_id=workspace.pk,
        scope="country",
        value="KE",
        direction="outbound",
        reason="conference",
        expires_at=now + timedelta(hours=hours),
        acting_user=None,
        now=now,
    )


def test_uponai_has_it_from_its_beginning_to_its_end(in_workspace, number, uponai, now):
    row = opened(in_workspace, now, 3)
    pushed(number, now)
    assert outbound(uponai) == ["CA", "KE", "US"]
    assert list(opens.ending_soon(now)) == []
    near = now + timedelta(hours=2, minutes=30)
    assert list(opens.ending_soon(near)) == [row]
    assert opens.ends_soon(row, near)

    over = now + timedelta(hours=3)
    assert list(opens.ending_soon(over)) == []
    assert opens.settle_expired(now=over) == 1
    pushed(number, over)

    assert outbound(uponai) == ["CA", "US"]


def test_one_that_waits_reaches_uponai_when_somebody_agreed(in_workspace, number, uponai, now):
    Workspace.objects.filter(pk=in_workspace.pk).update(approval_tier="T3")
    with pytest.raises(NeedsApproval) as caught:
        opened(in_workspace, now, 3)
    row = approvals.propose(caught.value)
    assert SyncTarget.objects.get(phone_number=number).due_at is None
    assert outbound(uponai) == ["CA", "US"]

    approvals.approve(proposal=row, acting_user=make_member(in_workspace), now=now)
    pushed(number, now)

    assert outbound(uponai) == ["CA", "KE", "US"]
