"""The import: UponAI's numbers become ours, with what they say today, and nothing else changes."""

import pytest

from accounts.models import Workspace
from policies import actions
from policies.gate import store
from policies.models import PhoneNumber
from policies.sync import push
from policies.sync.importing import import_numbers
from policies.uponai.client import UponaiTrouble
from tests.factories import moment

pytestmark = pytest.mark.django_db

FRONT = {
    "phone_number": "+14155550100",
    "nickname": "Front desk",
    "inbound_agents": [{"agent_id": "agent_front", "weight": 1}],
    "inbound_webhook_url": "https://example.com/theirs",
    "allowed_inbound_country_list": ["US", "CA"],
    "allowed_outbound_country_list": None,
}
BACK = {"phone_number": "+14155550101", "allowed_inbound_country_list": ["US", "CU"]}


@pytest.fixture
def stocked(in_workspace, uponai):
    uponai.post("numbers", numbers=[FRONT, BACK])
    return in_workspace


def _import(workspace):
    return import_numbers(workspace=workspace, acting_user=None, now=moment())


def _number(e164):
    return PhoneNumber.objects.select_related("policy__current_revision", "sync_target").get(e164=e164)


def test_tells_the_gate_of_the_new_numbers(stocked, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        _import(stocked)

    told = store.connection().get(store._key(stocked.pk, "snapshot-version"))
    assert int(told) == Workspace.objects.get(pk=stocked.pk).snapshot_version


def test_takes_numbers_over_as_they_are(stocked):
    report = _import(stocked)

    assert (report.found, report.added, report.missing) == (2, 2, 0)
    number = _number("+14155550100")
    revision = number.policy.current_revision
    assert revision.inbound["countries"] == ["CA", "US"]
    assert revision.outbound["mode"] == "unrestricted"
    assert (number.nickname, number.inbound_agents) == ("Front desk", ["agent_front"])
    assert number.inbound_webhook_url == "https://example.com/theirs"
    assert (number.sync_target.state, number.sync_target.due_at) == ("synced", None)
    assert number.inbound_when_console_down == "answered"
    assert _number("+14155550101").inbound_when_console_down == "dropped"


def test_leaves_out_a_sanctioned_country_and_cleans_it_at_uponai(stocked, uponai):
    _import(stocked)
    number = _number("+14155550101")

    assert number.policy.current_revision.inbound["countries"] == ["US"]
    assert number.sync_target.state == "pending"
    assert push.push(number.sync_target.pk, clock=moment)
    assert uponai.retell.phone_number.retrieve("+14155550101").allowed_inbound_country_list == ["US"]


def test_a_second_import_changes_nothing(stocked):
    _import(stocked)

    report = _import(stocked)

    assert (report.found, report.added, report.changed, report.missing) == (2, 0, 0, 0)


def test_does_not_take_over_lists_of_a_number_it_knows(stocked, uponai):
    _import(stocked)
    uponai.retell.phone_number.update("+14155550100", allowed_inbound_country_list=["FR"], nickname="Other")

    _import(stocked)

    assert _number("+14155550100").policy.current_revision.inbound["countries"] == ["CA", "US"]


def test_marks_a_number_that_is_gone_and_takes_it_back(stocked, uponai):
    _import(stocked)
    uponai.retell.phone_number.delete("+14155550101")
    assert _import(stocked).missing == 1
    assert _number("+14155550101").missing_since is not None

    uponai.post("numbers", numbers=[BACK])
    _import(stocked)

    assert _number("+14155550101").missing_since is None


def test_changes_nothing_when_uponai_does_not_answer(stocked, uponai):
    uponai.post("faults", rate=1, kinds=["500"], seed=1)

    with pytest.raises(UponaiTrouble, match="500"):
        _import(stocked)

    assert not PhoneNumber.objects.exists()


def test_gives_each_number_a_name_of_its_own_for_its_policy(stocked):
    actions.create_country_policy(
        workspace_id=stocked.pk,
        name="+14155550100",
        inbound={"mode": "list", "countries": ["US"]},
        outbound={"mode": "list", "countries": ["US"]},
        acting_user=None,
        now=moment(),
    )

    _import(stocked)

    assert _number("+14155550100").policy.name == "+14155550100 2"
