"""Declaring who may pass the gate by: verb, REST and pages."""

from datetime import timedelta

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.roles import Role
from accounts.scoping import scoped
from monitoring import senders
from monitoring.ingest import gating
from monitoring.models import AgentSeen, Call, KnownSender, PullProgress
from policies.rules_input import Refused
from tests.factories import make_workspace, moment
from tests.monitoring.api.test_calls import make_call
from tests.rest import assert_problem, client_of
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db

SENDERS = "/api/v1/known-senders/"
PAGE = "/admin/ungated/"


def _ungated(workspace, reference, **facts):
    values = {"gating": "ungated", "way_around": "private_key", "started_at": moment(), "agent": "agent_1"}
    return make_call(workspace, reference, **values | facts)


def _declare(workspace, kind, value="", **more):
    given = {"reason": "ours", "acting_user": None, "now": moment()} | more
    row, _ = senders.declare(workspace_id=workspace.pk, kind=kind, value=value, **given)
    return row


def _gating(workspace):
    with scoped(workspace.pk):
        return dict(Call.objects.values_list("call_reference", "gating"))


def test_marks_what_a_sender_started_and_takes_it_back(workspace):
    _ungated(workspace, "by_agent")
    _ungated(workspace, "by_batch", way_around="batch", agent="agent_2")
    _ungated(workspace, "by_both", way_around="batch")
    _ungated(workspace, "by_number", agent="agent_3", phone_number="+14155550111")
    _ungated(workspace, "by_nobody", agent="agent_4")
    agent = _declare(workspace, "agent", "agent_1")
    _declare(workspace, "batch")
    _declare(workspace, "phone_number", "+1 (415) 555-0111")
    assert _gating(workspace) == {
        "by_agent": "known",
        "by_batch": "known",
        "by_both": "known",
        "by_number": "known",
        "by_nobody": "ungated",
    }

    senders.remove(sender=agent, acting_user=None, now=moment())

    assert _gating(workspace)["by_agent"] == "ungated"
    assert _gating(workspace)["by_both"] == "known"
    with scoped(workspace.pk):
        actions = list(AuditEntry.objects.order_by("sequence").values_list("action", flat=True))
    assert actions[-4:] == ["known_sender.declare"] * 3 + ["known_sender.remove"]


def test_what_has_run_out_covers_nothing_that_comes_later(workspace):
    now = moment()
    _declare(workspace, "agent", "agent_1", expires_at=now + timedelta(hours=1))
    _ungated(workspace, "later")
    with scoped(workspace.pk):
        gating.recognise(Call.objects.all(), now=now + timedelta(hours=2))
        assert _gating(workspace) == {"later": "ungated"}
        gating.recognise(Call.objects.all(), now=now)
        assert _gating(workspace) == {"later": "known"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "everything"}, "kind"),
        ({"kind": "agent"}, "value"),
        ({"kind": "batch", "value": "batch_1"}, "value"),
        ({"kind": "phone_number", "value": "the front desk"}, "value"),
        ({"kind": "agent", "value": "a" * 81}, "value"),
        ({"kind": "agent", "value": "agent_1", "reason": "  "}, "reason"),
        ({"kind": "agent", "value": "agent_1", "reason": "x" * 301}, "reason"),
        ({"kind": "batch", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_refuses_in_words_what_is_no_sender(workspace, given, field):
    body = {"reason": "ours", **given}

    assert_problem(client_of(workspace).post(SENDERS, body), 422, field)
    assert KnownSender._base_manager.count() == 0


def test_declares_and_removes_by_rest_within_one_workspace(workspace):
    _ungated(workspace, "call_9")
    client, other = client_of(workspace), client_of(make_workspace())

    made = client.post(SENDERS, {"kind": "agent", "value": "agent_1", "reason": "our dialler"})

    assert made.status_code == 201
    assert made.json().items() >= {"kind": "agent", "value": "agent_1", "expires_at": None}.items()
    again = client.post(SENDERS, {"kind": "agent", "value": " agent_1", "reason": "the dialler of ours"})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert again.json()["declared_at"] > made.json()["declared_at"]
    assert [row["id"] for row in client.get(SENDERS).json()["results"]] == [made.json()["id"]]
    assert other.get(SENDERS).json()["results"] == []
    assert other.delete(made["Location"]).status_code == 404
    known = client.get("/api/v1/calls/?gating=known").json()["results"]
    assert [(call["call_reference"], call["way_around"]) for call in known] == [("call_9", "private_key")]
    assert client.delete(made["Location"]).status_code == 204
    assert client.get("/api/v1/calls/?gating=known").json()["results"] == []
    assert client.get("/api/v1/calls/?gating=ungated&way_around=private_key").json()["results"]


def test_refuses_the_verb_names_the_field(workspace):
    with pytest.raises(Refused) as refused:
        _declare(workspace, "agent")
    assert [problem.field for problem in refused.value.problems] == ["value"]


# --- Pages ------------------------------------------------------------------------------------------


def _read_lately(workspace):
    with scoped(workspace.pk):
        for kind in PullProgress.Kind.values:
            PullProgress.objects.create(workspace=workspace, kind=kind, read_until=moment())


def test_says_first_what_did_not_pass_and_what_it_probably_was(workspace, django_assert_max_num_queries):
    _read_lately(workspace)
    for number in range(14):
        _ungated(workspace, f"call_{number}", country="LV" if number % 2 else "GM", cost_cents=20)
    make_call(workspace, "passed", gating="gated", started_at=moment())
    client = signed_in(workspace)
    client.get(PAGE)

    with django_assert_max_num_queries(16):
        page = client.get(PAGE).content.decode()

    assert "14 calls since" in page
    assert "did not pass the gate, $2.80, to Gambia and Latvia." in page
    assert "All were probably started with UponAI" in page
    assert reverse("admin:monitoring_knownsender_add") + "?kind=agent&amp;value=agent_1" in page


def test_is_quiet_where_all_passed_and_says_where_it_cannot_know(workspace):
    client = signed_in(workspace, Role.VIEWER)
    assert "were not read yet" in client.get(PAGE).content.decode()
    _read_lately(workspace)
    assert "Everything that was started in the last 24 hours passed the gate." in client.get(PAGE).content.decode()
    with scoped(workspace.pk):
        PullProgress.objects.update(read_until=moment() - timedelta(hours=3), error="UponAI answered 503.")
    page = client.get(f"{PAGE}?period=7d").content.decode()
    assert "so later ones are known only where events told of them. UponAI answered 503." in page
    assert "Declare as known" not in page


def test_declares_and_removes_by_the_page(workspace):
    _ungated(workspace, "call_9")
    client = signed_in(workspace, Role.POLICY_EDITOR)
    form = reverse("admin:monitoring_knownsender_add")
    assert 'value="agent_1"' in client.get(f"{form}?kind=agent&value=agent_1").content.decode()

    refused = client.post(form, {"kind": "agent", "value": "", "minutes": "0", "reason": "ours"})
    assert "Say which number or which agent." in refused.content.decode()
    client.post(form, {"kind": "agent", "value": "agent_1", "minutes": "0", "reason": "ours"})
    assert _gating(workspace) == {"call_9": "known"}

    with scoped(workspace.pk):
        row = KnownSender.objects.get()
    listed = client.get(reverse("admin:monitoring_knownsender_changelist")).content.decode()
    assert "Agent agent_1 may pass the gate by: ours" in listed
    assert signed_in(workspace, Role.VIEWER).post(f"/admin/monitoring/knownsender/{row.pk}/remove/").status_code == 403
    client.post(reverse("admin:monitoring_knownsender_remove", args=[row.pk]))
    assert _gating(workspace) == {"call_9": "ungated"}


def test_names_the_agents_whose_events_are_missing(workspace):
    client = signed_in(workspace, Role.ANALYST)
    address = reverse("admin:monitoring_agentseen_changelist")
    assert "UponAI told of no agent yet" in client.get(address).content.decode()
    with scoped(workspace.pk):
        now = moment()
        AgentSeen.objects.create(workspace=workspace, agent="agent_fine", last_event_at=now, last_call_at=now)
        assert "The one agent" in client.get(address).content.decode()
        AgentSeen.objects.create(workspace=workspace, agent="agent_mute", missed=12, last_call_at=now)

    page = client.get(address).content.decode()

    assert "agent_mute: no event ever, 12 calls of the last 24 hours seen only in UponAI" in page
    assert client.post(address).status_code in (200, 403)
