"""The import: UponAI's numbers become ours, with what they say today, and nothing else changes."""

from io import StringIO

import pytest
from django.core.management import call_command

from accounts.models import Workspace
from accounts.workspaces import set_uponai_key
from policies import actions, flagged
from policies.gate import store
from policies.models import PhoneNumber
from policies.sync import push
from policies.sync.importing import import_numbers, preview_import
from policies.uponai.client import UponaiTrouble
from tests.factories import UPONAI_KEY, make_phone_number, moment

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


# --- What would change, before it does -------------------------------------------------------------


def plan_of(workspace):
    plan = preview_import(workspace=workspace)
    return plan, {change.phone_number: [told.text for told in change.details] for change in plan.changes}


def test_says_what_a_first_import_would_change_and_changes_nothing(stocked):
    plan, told = plan_of(stocked)

    assert plan.counts == {"found": 2, "added": 2, "changed": 0, "back": 0, "missing": 0}
    assert told["+14155550100"] == [
        "May be called from Canada and United States.",
        "Every country may be called from it: UponAI has no restriction on it.",
        "About calls UponAI asks https://example.com/theirs.",
        "It gets a policy of its own that says the same.",
    ]
    assert "Cuba: on the list at UponAI, always blocked all the same" in told["+14155550101"][1]
    assert plan.unrestricted == 2
    assert not PhoneNumber.objects.exists()


def test_says_what_a_later_import_would_change(stocked, uponai):
    _import(stocked)
    agents = [{"agent_id": "agent_back", "weight": 1}]
    uponai.retell.phone_number.update(
        "+14155550100", inbound_agents=agents, inbound_webhook_url="https://example.com/new?key=1"
    )
    uponai.retell.phone_number.delete("+14155550101")
    uponai.post("numbers", numbers=[{"phone_number": "+14155550102"}])

    plan, told = plan_of(stocked)

    assert plan.counts == {"found": 2, "added": 1, "changed": 1, "back": 0, "missing": 1}
    assert plan.sentence == "UponAI has 2 numbers: 1 new, 1 changed and 1 no longer there."
    assert told["+14155550100"] == [
        "Answered by agent_back instead of agent_front.",
        "About calls UponAI asks https://example.com/new… instead of https://example.com/theirs.",
    ]
    assert told["+14155550102"][-1].startswith("It stays as found, and is flagged")


# --- Numbers that appear later ---------------------------------------------------------------------


def test_keeps_what_it_found_for_the_day_of_disconnecting(stocked):
    _import(stocked)

    assert _number("+14155550100").found == {
        "lists": {"inbound": ["CA", "US"], "outbound": None},
        "inbound_webhook_url": "https://example.com/theirs",
        "inbound_sms_webhook_url": None,
    }
    assert _number("+14155550100").flagged_since is None


def test_a_number_that_appears_later_is_flagged_until_somebody_confirms_it(stocked, uponai):
    _import(stocked)
    uponai.post("numbers", numbers=[{"phone_number": "+14155550102"}])

    report = _import(stocked)

    number = _number("+14155550102")
    assert (report.added, report.flagged) == (1, 1)
    assert (number.policy.current_revision.inbound["mode"], number.sync_target.state) == ("unrestricted", "synced")
    assert number.flagged_since is not None
    assert flagged.confirm(phone_number=number, acting_user=None, now=moment())
    assert _number("+14155550102").flagged_since is None
    assert not flagged.confirm(phone_number=number, acting_user=None, now=moment())


def test_giving_it_a_policy_confirms_it(stocked, uponai):
    _import(stocked)
    uponai.post("numbers", numbers=[{"phone_number": "+14155550102"}])
    _import(stocked)

    other = _number("+14155550100").policy
    actions.assign_country_policy(phone_number=_number("+14155550102"), policy=other, acting_user=None, now=moment())

    assert _number("+14155550102").flagged_since is None


def test_by_setting_it_follows_the_default_policy_at_once(stocked, uponai):
    _import(stocked)
    Workspace.objects.filter(pk=stocked.pk).update(new_numbers="default_policy")
    default = _number("+14155550100").policy
    actions.make_default(policy=default, acting_user=None, now=moment())
    uponai.post("numbers", numbers=[{"phone_number": "+14155550102"}])
    assert plan_of(stocked)[1]["+14155550102"][-1].startswith(f"It follows “{default.name}” at once")

    _import(stocked)

    number = _number("+14155550102")
    assert (number.policy_id, number.flagged_since, number.sync_target.state) == (default.pk, None, "pending")
    assert push.push(number.sync_target.pk, clock=moment)
    assert uponai.retell.phone_number.retrieve("+14155550102").allowed_inbound_country_list == ["CA", "US"]


def test_a_number_that_comes_back_gets_what_its_policy_says(stocked, uponai):
    _import(stocked)
    uponai.retell.phone_number.delete("+14155550100")
    _import(stocked)
    uponai.post("numbers", numbers=[{"phone_number": "+14155550100"}])

    assert _import(stocked).back == 1

    assert push.push(_number("+14155550100").sync_target.pk, clock=moment)
    assert uponai.retell.phone_number.retrieve("+14155550100").allowed_inbound_country_list == ["CA", "US"]


def test_a_thousand_numbers_take_as_many_queries_as_ten(in_workspace, uponai, django_assert_max_num_queries):
    uponai.post("numbers", numbers=[{"phone_number": f"+1415555{number:04d}"} for number in range(1000)])

    with django_assert_max_num_queries(120):
        assert _import(in_workspace).added == 1000


def test_what_somebody_else_brought_while_uponai_was_read_is_not_gone(stocked):
    asked_at = moment()
    make_phone_number(stocked, "+14155550102", imported_at=moment())

    report = import_numbers(workspace=stocked, acting_user=None, now=asked_at)

    assert report.missing == 0


def test_tells_by_the_command_what_an_import_would_change(workspace, uponai):
    set_uponai_key(workspace=workspace, key=UPONAI_KEY, acting_user=None, now=moment())
    uponai.post("numbers", numbers=[FRONT, BACK])
    out = StringIO()

    call_command("import_numbers", workspace=workspace.slug, dry_run=True, stdout=out)

    assert "new +14155550100 Front desk" in out.getvalue()
