"""The audit chain: written once, verified whole, and any change found."""

import json

import pytest
from django.db import connection, transaction

from accounts import audit, encryption
from accounts.models import AuditEntry, AuditHead, DataKey
from accounts.models.audit import AuditIsForever
from accounts.scoping import scoped
from tests.factories import make_workspace, moment


def _write(workspace, count):
    with transaction.atomic():
        for number in range(count):
            audit.record(
                workspace_id=workspace.pk,
                action="test.act",
                subject=workspace,
                acting_user=None,
                now=moment(),
                before={"n": number},
                after={"n": number + 1},
                reason="because",
            )


@pytest.fixture
def chain(workspace):
    _write(workspace, 5)
    return workspace


def _sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_verifies_an_untouched_chain(chain):
    assert audit.verify(chain.pk).bad_sequence is None
    assert audit.verify(chain.pk).entries >= 5


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE accounts_auditentry SET action = 'test.other' WHERE sequence = 4",
        "UPDATE accounts_auditentry SET actor_id = 7 WHERE sequence = 4",
        "UPDATE accounts_auditentry SET detail = '{}' WHERE sequence = 4",
        "UPDATE accounts_auditentry SET actor_label = 'somebody else' WHERE sequence = 4",
        "UPDATE accounts_auditentry SET object_id = '9' WHERE sequence = 4",
        "UPDATE accounts_auditentry SET object_type = 'accounts.user' WHERE sequence = 4",
        "UPDATE accounts_auditentry SET object_label = 'something else' WHERE sequence = 4",
        "UPDATE accounts_auditentry SET at = '2026-01-01 00:00:00' WHERE sequence = 4",
        "DELETE FROM accounts_auditentry WHERE sequence = 4",
    ],
)
def test_finds_the_entry_that_was_changed_in_the_database(chain, change):
    _sql(change)

    assert audit.verify(chain.pk).bad_sequence == 4


def test_still_verifies_when_the_key_of_the_secrets_is_gone(chain):
    with scoped(chain.pk):
        DataKey.objects.filter(purpose=DataKey.Purpose.SECRETS).delete()
    encryption.forget_keys()

    assert audit.verify(chain.pk).bad_sequence is None


def test_finds_a_detail_that_was_replaced_with_its_own_digest(chain):
    entry = AuditEntry._base_manager.get(workspace=chain, sequence=4)
    entry.detail = {"reason": "another one"}
    # Its key stands beside it, so whoever writes to the database can make this digest; not the chain's.
    _sql("UPDATE accounts_auditentry SET detail_digest = %s WHERE id = %s", audit._detail_digest(entry), entry.pk)
    _sql("UPDATE accounts_auditentry SET detail = %s WHERE id = %s", json.dumps(entry.detail), entry.pk)

    assert audit.verify(chain.pk).bad_sequence == 4


@pytest.mark.parametrize("hide_the_seam", [False, True])
def test_finds_where_two_genuine_histories_were_sewn_together(chain, hide_the_seam):
    first = AuditEntry._base_manager.get(workspace=chain, sequence=4)
    third = AuditEntry._base_manager.get(workspace=chain, sequence=3)
    _sql("DELETE FROM accounts_auditentry WHERE sequence >= 4")
    AuditHead.objects.filter(workspace=chain).update(sequence=3, digest=third.digest)
    _write(chain, 2)
    _sql("DELETE FROM accounts_auditentry WHERE sequence = 4")
    AuditEntry._base_manager.bulk_create([first])
    if hide_the_seam:
        _sql("UPDATE accounts_auditentry SET previous_digest = %s WHERE sequence = 5", first.digest)

    assert audit.verify(chain.pk).bad_sequence == 5


def test_finds_a_chain_cut_off_at_its_end(chain):
    last = audit.verify(chain.pk).entries
    _sql("DELETE FROM accounts_auditentry WHERE sequence = %s", last)

    verification = audit.verify(chain.pk)

    assert verification.bad_sequence == last
    assert "missing at the end" in verification.problem


def test_finds_that_nothing_says_where_the_chain_ends(chain):
    _sql("DELETE FROM accounts_audithead")

    assert "missing at the end" in audit.verify(chain.pk).problem


def test_verifies_a_chain_that_grows_meanwhile(chain):
    entries = audit.verify(chain.pk).entries
    before = AuditHead.objects.get(workspace=chain)
    _write(chain, 2)
    grown = AuditHead.objects.filter(workspace=chain)
    # What verify has read of the head before the two were written.
    grown.update(sequence=before.sequence, digest=before.digest)

    assert audit.verify(chain.pk) == audit.Verification(entries + 2)


def test_finds_another_end_of_the_same_length(chain):
    AuditHead.objects.filter(workspace=chain).update(digest="f" * 64)

    assert audit.verify(chain.pk).bad_sequence == audit.verify(chain.pk).entries + 1


def test_still_verifies_after_a_persons_details_were_erased(chain):
    _sql("UPDATE accounts_auditentry SET detail = NULL, detail_key = '', actor_label = '' WHERE sequence = 4")

    assert audit.verify(chain.pk).bad_sequence is None


def test_refuses_to_change_or_delete_through_the_models(chain):
    with scoped(chain.pk):
        entry = AuditEntry.objects.order_by("sequence").last()
        for attempt in (entry.save, entry.delete, AuditEntry.objects.all().delete):
            with pytest.raises(AuditIsForever):
                attempt()
        with pytest.raises(AuditIsForever):
            AuditEntry.objects.update(action="x")


def test_numbers_each_workspace_by_itself(chain):
    other = make_workspace(uponai_key="")
    _write(other, 1)

    assert AuditHead.objects.get(workspace=other).sequence == 2  # its founding and one act


@pytest.mark.django_db(transaction=True)
def test_belongs_into_a_transaction():
    workspace = make_workspace()

    with pytest.raises(transaction.TransactionManagementError):
        audit.record(workspace_id=workspace.pk, action="x", subject=workspace, acting_user=None, now=moment())
