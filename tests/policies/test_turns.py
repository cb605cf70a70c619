"""Verbs at the same moment, on PostgreSQL: each waits for its turn, none is sacrificed to a deadlock."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from accounts import workspaces
from accounts.models import UponaiKey
from accounts.scoping import scoped
from policies import actions, holds
from policies.actions import Refused
from policies.models import CountryPolicy, Hold
from policies.sync import push
from tests.factories import make_phone_number, make_policy, make_workspace, moment, rules

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite lets one transaction write at a time anyway"),
    pytest.mark.django_db(transaction=True),
]

ROUNDS = 12


def _at_once(*verbs):
    """Runs each in a thread of its own, ROUNDS times together. Answers what was raised."""
    start = threading.Barrier(len(verbs))

    def run(verb):
        trouble = []
        try:
            for number in range(ROUNDS):
                start.wait()
                try:
                    verb(number)
                except Exception as problem:
                    trouble.append(problem)
        finally:
            connection.close()
        return trouble

    with ThreadPoolExecutor(len(verbs)) as pool:
        return [problem for trouble in pool.map(run, verbs) for problem in trouble]


def _edit(row, **changes):
    return lambda number: actions.edit_phone_number(
        phone_number=row,
        inbound_countries=["US"] if number % 2 else ["CA"],
        acting_user=None,
        now=moment(),
        **{name: f"{value} {number}" for name, value in changes.items()},
    )


def test_edits_numbers_renames_them_and_retries_their_sync_without_a_deadlock():
    workspace = make_workspace()
    first, second = (make_phone_number(workspace, f"+1415555010{digit}") for digit in range(2))

    trouble = _at_once(
        _edit(first, nickname="desk"),
        _edit(second),
        lambda _: push.retry(sync_target=first.sync_target, acting_user=None, now=moment()),
    )

    assert trouble == []


def test_lets_numbers_change_policies_crosswise():
    workspace = make_workspace()
    policies = [make_policy(workspace) for _ in range(2)]
    rows = [make_phone_number(workspace, f"+1415555010{digit}", policy=policies[digit]) for digit in range(2)]

    def assign(position):
        return lambda number: actions.assign_country_policy(
            phone_number=rows[position], policy=policies[(number + position) % 2], acting_user=None, now=moment()
        )

    assert _at_once(assign(0), assign(1)) == []


def test_has_one_default_policy_and_one_name_and_one_key_in_use():
    workspace = make_workspace()
    policies = [make_policy(workspace) for _ in range(2)]

    def make_default(position):
        return lambda _: actions.make_default(policy=policies[position], acting_user=None, now=moment())

    def create(number):
        actions.create_country_policy(
            workspace_id=workspace.pk,
            name=f"Europe {number}",
            inbound=rules(["DE"]),
            outbound=rules(["DE"]),
            acting_user=None,
            now=moment(),
        )

    def set_key(number):
        workspaces.set_uponai_key(workspace=workspace, key=f"key_{number}", acting_user=None, now=moment())

    assert _at_once(make_default(0), make_default(1)) == []
    refusals = _at_once(create, create)
    assert [type(problem) for problem in refusals] == [Refused] * ROUNDS
    assert _at_once(set_key, set_key) == []
    with scoped(workspace.pk):
        assert CountryPolicy.objects.filter(is_default=True).count() == 1
        assert UponaiKey.objects.filter(verifies_until=None).count() == 1


def test_imposes_the_same_hold_once_and_holds_everything_during_edits_without_a_deadlock():
    workspace = make_workspace()
    first, _ = (make_phone_number(workspace, f"+1415555010{digit}") for digit in range(2))

    def impose(scope, value):
        def imposing(number):
            now = moment()
            holds.impose(
                workspace_id=workspace.pk,
                scope=scope,
                value=value,
                reason=f"round {number}",
                expires_at=now + timedelta(hours=1),
                acting_user=None,
                now=now,
            )

        return imposing

    codes = ("JM", "KE", "LV", "GM", "SO", "GN", "MV", "EE", "LT", "RS", "BA", "SL")
    trouble = _at_once(
        lambda number: impose("country", codes[number])(number),
        lambda number: impose("country", codes[number])(number),
        impose("workspace", None),
        _edit(first),
    )

    assert trouble == []
    with scoped(workspace.pk):
        assert Hold.objects.count() == len(codes) + 1
