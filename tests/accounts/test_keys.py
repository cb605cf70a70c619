"""Public keys: minting, registering, editing, rotating, revoking."""

import pytest
from django.core.exceptions import ValidationError

from accounts import keys
from accounts.models import AuditEntry, PublicKey, Workspace

FACTS = {"name": "Website", "domains": ["www.example.com"], "channels": ["phone_call"]}


def mint(workspace, now, **facts):
    return keys.mint_public_key(workspace=workspace, acting_user=None, now=now, **FACTS | facts)


def newest_entry():
    return AuditEntry.objects.order_by("-sequence").first()


def problems(refusal):
    return set(refusal.value.message_dict)


def test_it_mints_a_key_of_its_own_and_tells_the_gate(in_workspace, now):
    before = Workspace.objects.get(pk=in_workspace.pk).snapshot_version

    one, two = mint(in_workspace, now), mint(in_workspace, now, name="Shop")

    assert one.key.startswith("pk_")
    assert len(one.key) == 35
    assert one.key != two.key
    assert one.kind == PublicKey.Kind.GATE_KEY
    assert newest_entry().action == "public_key.mint"
    assert Workspace.objects.get(pk=in_workspace.pk).snapshot_version == before + 2


def test_it_puts_domains_channels_and_number_right(in_workspace, now):
    key = mint(
        in_workspace,
        now,
        domains=[" WWW.Example.com. ", "bücher.example", "www.example.com"],
        channels=["chat", "phone_call"],
        phone_number="+1 (415) 555-0100",
    )

    assert key.domains == ["www.example.com", "xn--bcher-kva.example"]
    assert key.channels == ["phone_call", "chat"]
    assert key.phone_number == "+14155550100"


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"name": " "}, "name"),
        ({"domains": []}, "domains"),
        ({"domains": ["https://example.com"]}, "domains"),
        ({"domains": ["example.com/path"]}, "domains"),
        ({"domains": ["example"]}, "domains"),
        ({"domains": ["-bad.example.com"]}, "domains"),
        ({"domains": ["*.example.com"]}, "domains"),
        ({"channels": []}, "channels"),
        ({"channels": ["fax"]}, "channels"),
        ({"phone_number": "12345"}, "phone_number"),
        ({"allowed_fields": ["first name!"]}, "allowed_fields"),
        ({"captcha": "none of these"}, "captcha"),
        ({"kyc_level": -1}, "kyc_level"),
        ({"mode": "asleep"}, "mode"),
    ],
)
def test_it_refuses_what_cannot_be_naming_the_field(in_workspace, now, facts, field):
    with pytest.raises(ValidationError) as refusal:
        mint(in_workspace, now, **facts)

    assert problems(refusal) == {field}
    assert not PublicKey.objects.exists()


def test_it_names_every_bad_field_at_once(in_workspace, now):
    with pytest.raises(ValidationError) as refusal:
        mint(in_workspace, now, domains=["no host"], channels=["fax"])

    assert problems(refusal) == {"domains", "channels"}


def test_it_refuses_a_name_that_is_taken(in_workspace, now):
    mint(in_workspace, now)

    with pytest.raises(ValidationError) as refusal:
        mint(in_workspace, now)

    assert problems(refusal) == {"name"}


def test_it_notes_uponais_own_key_once(in_workspace, now):
    row = keys.register_public_key(
        workspace=in_workspace, key=" public_key_1 ", name="Widget", acting_user=None, now=now
    )

    assert (row.key, row.kind, row.domains) == ("public_key_1", "uponai", [])
    with pytest.raises(ValidationError) as refusal:
        keys.register_public_key(workspace=in_workspace, key="public_key_1", name="Again", acting_user=None, now=now)
    assert problems(refusal) == {"key"}


def test_an_edit_is_audited_with_what_changed_alone(in_workspace, now):
    key = mint(in_workspace, now)

    keys.edit_public_key(public_key=key, captcha="turnstile", name="Website", acting_user=None, now=now)

    assert PublicKey.objects.get().captcha == "turnstile"
    detail = newest_entry().detail
    assert (detail["before"], detail["after"]) == ({"captcha": "none"}, {"captcha": "turnstile"})


def test_an_edit_that_changes_nothing_writes_nothing(in_workspace, now):
    key = mint(in_workspace, now)
    entries = AuditEntry.objects.count()

    keys.edit_public_key(public_key=key, **FACTS, acting_user=None, now=now)

    assert AuditEntry.objects.count() == entries


@pytest.mark.parametrize(("overlap", "status"), [(True, "active"), (False, "revoked")])
def test_rotation_mints_a_successor_under_the_same_name(in_workspace, now, overlap, status):
    old = mint(in_workspace, now)

    new = keys.rotate_public_key(public_key=old, overlap=overlap, acting_user=None, now=now)

    old.refresh_from_db()
    assert (new.name, new.domains, new.channels) == ("Website", old.domains, old.channels)
    assert new.key != old.key
    assert (old.status, new.status) == (status, "active")
    assert old.name != "Website"
    assert newest_entry().action == "public_key.rotate"


def test_an_exposed_key_stops_at_once_and_has_a_successor(in_workspace, now):
    old = mint(in_workspace, now)

    new = keys.revoke_public_key(public_key=old, exposed=True, acting_user=None, now=now)

    old.refresh_from_db()
    assert old.status == "revoked"
    assert new.status == "active"
    assert newest_entry().detail["reason"] == "The key was exposed."


def test_revoking_twice_is_one_change(in_workspace, now):
    key = mint(in_workspace, now)
    for _ in range(2):
        keys.revoke_public_key(public_key=key, reason="gone", acting_user=None, now=now)

    assert AuditEntry.objects.filter(action="public_key.revoke").count() == 1


def test_it_rotates_neither_a_revoked_key_nor_uponais_own(in_workspace, now):
    revoked = mint(in_workspace, now)
    keys.revoke_public_key(public_key=revoked, acting_user=None, now=now)
    noted = keys.register_public_key(
        workspace=in_workspace, key="public_key_1", name="Widget", acting_user=None, now=now
    )

    for key in (revoked, noted):
        with pytest.raises(ValidationError):
            keys.rotate_public_key(public_key=key, overlap=True, acting_user=None, now=now)
