"""The settings of the token's workspace."""

import pytest

from accounts.models import AuditEntry, Workspace
from accounts.scoping import scoped
from tests.rest import assert_problem, client_of

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/workspace/"
LIMITS = {"spend_workspace": {"limit": 200, "window": 86400}, "caller": None}


def test_changes_what_is_sent_and_tells_the_gate(workspace):
    client = client_of(workspace)
    before = Workspace.objects.get(pk=workspace.pk).snapshot_version

    changed = client.patch(ADDRESS, {"limits": LIMITS, "time_zone": "Europe/Berlin"})

    assert (changed.json()["limits"], changed.json()["time_zone"]) == (LIMITS, "Europe/Berlin")
    assert client.get(ADDRESS).json() == changed.json()
    assert client.get(ADDRESS)["ETag"] == changed["ETag"]
    assert Workspace.objects.get(pk=workspace.pk).snapshot_version == before + 1
    with scoped(workspace.pk):
        detail = AuditEntry.objects.order_by("-sequence").first().detail
    assert detail["before"] == {"limits": {}, "time_zone": "UTC"}
    assert detail["after"] == {"limits": LIMITS, "time_zone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"limits": {"nothing": None}}, "limits"),
        ({"limits": {"workspace": {"limit": 5}}}, "limits"),
        ({"limits": {"destination_prefix": {"limit": 5, "window": 86400}}}, "limits"),
        ({"limits": "none"}, "limits"),
        ({"limits": None}, "limits"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"home_country": "ZZ"}, "home_country"),
        ({"name": ""}, "name"),
        ({"slug": "mine"}, "slug"),
        ({"agent_minute_price": "0"}, "agent_minute_price"),
        ({"colour": 1}, "colour"),
    ],
)
def test_refuses_bad_input_and_changes_nothing(workspace, change, field):
    client = client_of(workspace)
    before = client.get(ADDRESS).json()

    assert_problem(client.patch(ADDRESS, {"name": "Other"} | change), 422, field)

    assert client.get(ADDRESS).json() == before


def test_refuses_a_version_that_is_gone_and_a_token_that_may_only_read(workspace):
    client = client_of(workspace)
    stale = client.get(ADDRESS)["ETag"]
    client.patch(ADDRESS, {"name": "One"}, headers={"If-Match": stale})

    assert_problem(client.patch(ADDRESS, {"name": "Two"}, headers={"If-Match": stale}), 412)
    assert_problem(client_of(workspace, "workspace:read").patch(ADDRESS, {"name": "Three"}), 403)
    assert client.get(ADDRESS).json()["name"] == "One"


def test_an_edit_that_changes_nothing_writes_nothing(workspace):
    client = client_of(workspace)
    client.patch(ADDRESS, {"limits": LIMITS})
    with scoped(workspace.pk):
        entries = AuditEntry.objects.count()

    client.patch(ADDRESS, {"limits": LIMITS})

    with scoped(workspace.pk):
        assert AuditEntry.objects.count() == entries
