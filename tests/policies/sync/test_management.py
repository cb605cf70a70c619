"""Public keys and KYC statuses arrive where an API for them is assumed, and only there."""

from datetime import timedelta
from io import StringIO

import httpx
import pytest
from django.core.management import CommandError, call_command

from accounts import keys, workspaces
from accounts.kyc import privacy, review
from accounts.models import PublicKey
from policies.models import ManagedRecord
from policies.sync import connection, management
from policies.sync.connection import Standing
from policies.uponai import management as api
from policies.uponai.client import UponaiClient
from tests.accounts.kyc import cases
from tests.factories import moment

pytestmark = pytest.mark.django_db

KEY = "public_key_0123456789"
WHO = {"acting_user": None}


@pytest.fixture
def assumed(settings, uponai):
    settings.UPONAI_MANAGEMENT = "sandbox"
    management._compared.clear()
    return uponai


@pytest.fixture
def key(in_workspace):
    return keys.register_public_key(
        workspace=in_workspace, key=KEY, name="Landing page", domains=["www.example.com"], now=moment(), **WHO
    )


def _sweep(now=None):
    return management.sweep(clock=lambda: now or moment(), seconds=60)


def _edit(key, **changes):
    keys.edit_public_key(public_key=key, now=moment(), **WHO, **changes)


def _there(uponai, key=KEY):
    answer = uponai.http.get(f"/sandbox/public-keys/{key}")
    return answer.json() if answer.is_success else None


def _due(now=None):
    return management.due_records(now=now or moment())


def test_waiting_for_the_sync_waits_for_keys_too(key, assumed):
    said = StringIO()

    call_command("sync", wait=True, stdout=said)

    assert _there(assumed)["domains"] == ["www.example.com"]
    assert management.waiting(now=moment()) == 0
    ManagedRecord.objects.update(due_at=moment(), lease_until=moment() + timedelta(minutes=1))
    with pytest.raises(CommandError, match="1 still wait for UponAI"):
        call_command("sync", wait=True, timeout=0.1, stdout=said)


def test_without_an_assumed_api_nothing_is_noted_sent_or_shown(key, uponai, settings):
    settings.UPONAI_MANAGEMENT = ""

    assert _sweep() == 0
    assert not ManagedRecord.objects.exists()
    assert management.of_key(key) is None
    assert uponai.get("public-keys") == []


def test_a_registered_key_arrives_follows_each_edit_and_goes_when_it_is_revoked(key, assumed):
    assert _sweep() == 1
    first = _there(assumed)
    assert (first["domains"], first["fraud_protection"], first["abuse_prevention"]) == (
        ["www.example.com"],
        True,
        False,
    )
    record = management.of_key(key)
    assert (record.due_at, record.error, record.lease_until) == (None, "", None)
    assert record.applied == record.wanted

    _edit(key, fraud_protection=False, domains=["b.example.com", "a.example.com"])
    _edit(key, captcha="recaptcha_v3", captcha_site_key="6Lc", captcha_threshold=0.7)
    assert _sweep() == 1
    there = _there(assumed)
    assert there["domains"] == ["a.example.com", "b.example.com"]
    assert (there["fraud_protection"], there["abuse_prevention"], there["score_threshold"]) == (False, True, 0.7)

    keys.revoke_public_key(public_key=key, now=moment(), **WHO)
    assert _sweep() == 1
    assert _there(assumed) is None
    assert not ManagedRecord.objects.exists()
    assert _sweep() == 0


def test_the_consoles_own_keys_are_told_to_nobody(in_workspace, assumed):
    key = keys.mint_public_key(
        workspace=in_workspace, name="Widget", domains=["example.com"], channels=["chat"], now=moment(), **WHO
    )

    assert _sweep() == 0
    assert assumed.get("public-keys") == []
    assert management.of_key(key) is None


def test_what_was_changed_there_is_put_right_at_the_next_look(key, assumed):
    _sweep()
    assumed.http.patch(f"/sandbox/public-keys/{KEY}", json={"fraud_protection": False})
    soon, later = moment() + timedelta(minutes=14), moment() + timedelta(minutes=16)

    _sweep(soon)
    assert _there(assumed)["fraud_protection"] is False

    assert _sweep(later) == 1
    assert _there(assumed)["fraud_protection"] is True


def test_sends_nothing_when_uponai_has_it_already(key, assumed):
    _sweep()
    changes = len(assumed.get("log", after=0))

    assert _sweep(moment() + timedelta(minutes=16)) == 1

    assert len(assumed.get("log", after=0)) == changes


def test_a_subjects_status_follows_approval_suspension_and_erasure(in_workspace, assumed):
    record = cases.approved(in_workspace, moment()).record
    name = record.subject.reference
    assert _sweep() == 1
    assert assumed.get("kyc-status")["subjects"] == {name: {"approved": True, "level": record.level}}

    review.suspend(
        record=record, reason_codes=["fraud_incident"], text_for_colleagues="stolen card", now=moment(), **WHO
    )
    assert _sweep() == 1
    assert assumed.get("kyc-status")["subjects"] == {name: {"approved": False, "level": 0}}

    privacy.erase(subject=record.subject, reason="asked for", now=moment(), **WHO)
    management.note_changes(now=moment(), all_of_them=True)
    _sweep()
    assert assumed.get("kyc-status")["subjects"] == {}
    assert not ManagedRecord.objects.filter(name=name).exists()


def test_an_approval_that_ran_out_counts_no_longer(in_workspace, assumed):
    record = cases.approved(in_workspace, moment()).record
    _sweep()

    management.note_changes(now=record.expires_at, all_of_them=True)
    _sweep(record.expires_at)

    assert assumed.get("kyc-status")["subjects"][record.subject.reference] == {"approved": False, "level": 0}


def test_nobody_is_told_of_a_case_that_is_only_being_looked_at(in_workspace, assumed):
    cases.in_review(in_workspace, moment())

    assert _sweep() == 0
    assert assumed.get("kyc-status")["subjects"] == {}


def test_an_uponai_that_is_away_is_asked_again_and_nothing_is_lost(key, assumed, settings):
    here, settings.UPONAI_API_URL = settings.UPONAI_API_URL, "http://127.0.0.1:9"

    assert _sweep() == 0
    record = management.of_key(key)
    assert (record.attempts, record.error) == (1, "UponAI cannot be reached.")
    assert moment() < record.due_at <= moment() + timedelta(seconds=5)

    settings.UPONAI_API_URL = here
    assert _sweep() == 0  # not yet
    assert _sweep(record.due_at) == 1
    assert _there(assumed)


@pytest.mark.parametrize("status", [401, 503])
def test_a_refusal_of_what_is_only_assumed_stops_nothing_else(key, in_workspace, assumed, monkeypatch, status):
    exchange = UponaiClient._exchange

    def refuse(client, method, path, **arguments):
        if path.startswith("/sandbox/"):
            return status, b"{}", httpx.Headers()
        return exchange(client, method, path, **arguments)

    monkeypatch.setattr(UponaiClient, "_exchange", refuse)
    now = moment()
    for _ in range(connection.FAILURES_TO_BLOCK + 1):
        assert _sweep(now) == 0
        now = management.of_key(key).due_at

    assert str(status) in management.of_key(key).error
    assert connection.standing(in_workspace.pk, now=now).standing is Standing.READY
    assert connection.of(in_workspace.pk).last_trouble == ""
    monkeypatch.undo()
    assert _sweep(now) == 1


def test_a_yes_is_not_believed_before_it_was_read_back(key, assumed, monkeypatch):
    _sweep()
    _edit(key, fraud_protection=False)
    ask = api.UponaiClient.ask

    def only_say_yes(client, method, path, **arguments):
        return {} if method == "PATCH" else ask(client, method, path, **arguments)

    monkeypatch.setattr(api.UponaiClient, "ask", only_say_yes)
    assert _sweep() == 0
    record = management.of_key(key)
    assert "still shows something else" in record.error
    assert record.applied["fraud_protection"] is True

    monkeypatch.undo()
    assert _sweep(record.due_at) == 1
    assert _there(assumed)["fraud_protection"] is False


def test_one_record_has_one_writer_and_a_dead_ones_lease_ends(key, assumed):
    management.note_changes(now=moment())
    [record_id] = _due()
    dead_until = moment() + management.LEASE
    ManagedRecord.objects.update(lease_until=dead_until)

    assert _due() == []
    assert not management.bring(record_id, clock=moment)
    assert management.bring(record_id, clock=lambda: dead_until + timedelta(seconds=1))


def test_an_edit_during_the_request_is_brought_next(key, assumed, monkeypatch):
    management.note_changes(now=moment())
    [record_id] = _due()
    write = api.write

    def edit_meanwhile(*arguments, **more):
        write(*arguments, **more)
        monkeypatch.setattr(api, "write", write)
        _edit(key, fraud_protection=False)
        management.note_changes(now=moment())

    monkeypatch.setattr(api, "write", edit_meanwhile)
    assert not management.bring(record_id, clock=moment)

    assert _due() == [record_id]
    assert management.bring(record_id, clock=moment)
    assert _there(assumed)["fraud_protection"] is False


def test_odd_names_lead_nowhere_else(in_workspace, assumed):
    for number, text in enumerate(("..", ".", "a/../../kyc-status", "a?b#c", "ключ %2F")):
        keys.register_public_key(workspace=in_workspace, key=text, name=f"Odd {number}", now=moment(), **WHO)

    assert _sweep() == 5
    assert {row["key"] for row in assumed.get("public-keys")} == {*PublicKey.objects.values_list("key", flat=True)}


def test_a_workspace_without_a_key_is_left_alone(in_workspace, key, assumed):
    workspaces.UponaiKey.objects.all().delete()

    assert _sweep() == 0
    assert not ManagedRecord.objects.exists()


def test_the_uponai_key_travels_in_the_header_alone(key, assumed):
    _sweep()

    said = httpx.get(f"{assumed.url}/sandbox/log", headers={"Authorization": "Bearer key_sandbox"}, trust_env=False)
    assert "key_sandbox" not in said.text
