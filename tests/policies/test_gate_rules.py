"""What `accounts` is lent: the gate hears of every change there, and limits are said as the factory has them."""

import pytest

from accounts import keys, workspaces
from policies import limit_rows
from policies.engine.limits import LimitName
from policies.gate import store
from policies.limit_words import TITLES, duration, in_words
from tests.factories import make_policy, moment


def published(workspace):
    return int(store.connection().get(store._key(workspace.pk, "snapshot-version")))


@pytest.mark.django_db(transaction=True)
def test_the_gate_hears_of_a_key_and_of_settings_at_once(in_workspace):
    said = []
    facts = {"name": "Website", "domains": ["www.example.com"], "channels": ["chat"]}
    key = keys.mint_public_key(workspace=in_workspace, acting_user=None, now=moment(), **facts)
    said.append(published(in_workspace))
    keys.revoke_public_key(public_key=key, acting_user=None, now=moment())
    said.append(published(in_workspace))
    workspaces.change_settings(workspace=in_workspace, limits={"ip": None}, acting_user=None, now=moment())
    said.append(published(in_workspace))
    make_policy(in_workspace)
    said.append(published(in_workspace))

    assert said == [said[0] + step for step in range(4)]


def test_every_limit_has_words_and_a_place():
    assert list(TITLES) != sorted(TITLES)
    assert set(TITLES) == set(LimitName)


@pytest.mark.django_db
def test_a_row_says_what_holds_and_why(in_workspace):
    in_workspace.limits = {"destination_prefix": {"limit": 9, "window": 60}, "caller": None}
    in_workspace.save()

    outbound = {row.name: row.usual_words for row in limit_rows.of_direction(in_workspace.pk, "outbound")}
    inbound = {row.name: row.usual_words for row in limit_rows.of_direction(in_workspace.pk, "inbound")}
    whole = {row.name: row.usual_words for row in limit_rows.of_workspace()}

    assert outbound["destination_prefix"] == "9 in 1 minute (set in the workspace)"
    assert inbound["caller"] == "off (set in the workspace)"
    assert whole["destination_prefix"] == "20 in 10 minutes with a key, 200 in 10 minutes by a backend"
    assert whole["running_workspace"] == "none"
    assert outbound.keys() & inbound.keys() == set()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (90, "90 seconds"), (600, "10 minutes"), (7200, "2 hours"), (86400, "1 day"), (0, "0 seconds")],
)
def test_a_duration_is_said_in_its_largest_whole_unit(seconds, words):
    assert duration(seconds) == words


def test_a_limit_that_is_off_says_so():
    assert in_words(LimitName.IP, None) == "off"
