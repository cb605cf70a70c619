"""Public keys: minting, registering, editing, rotating, revoking."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from accounts import keys
from accounts.models import AuditEntry, PublicKey, Workspace
from accounts.scoping import scoped
from tests.factories import make_phone_number, make_workspace

FACTS = {"name": "Website", "domains": ["www.example.com"], "channels": ["phone_call"]}
CAPTCHA = {"captcha": "turnstile", "captcha_site_key": "0x4AAA", "captcha_secret": "s3cret"}


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
    make_phone_number(in_workspace, "+14155550100")

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
        ({"phone_number": "+14155550199"}, "phone_number"),
        ({"captcha": "turnstile", "captcha_secret": "s3cret"}, "captcha_site_key"),
        ({"captcha": "turnstile", "captcha_site_key": "0x4AAA"}, "captcha_secret"),
        ({"captcha_threshold": 1.5}, "captcha_threshold"),
        ({"limits": {"nothing": None}}, "limits"),
        ({"limits": {"ip": {"limit": -1, "window": 60}}}, "limits"),
        ({"limits": {"caller": {"limit": 1, "window": 60}}}, "limits"),
        ({"limits": {"destination": {"limit": 1, "window": 7200}}}, "limits"),
        ({"kyc_rules": {"channels": {"fax": 1}}}, "kyc_rules"),
        ({"kyc_rules": {"exposure_tiers": {"T2": 9}}}, "kyc_rules"),
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

    keys.edit_public_key(public_key=key, kyc_level=2, name="Website", acting_user=None, now=now)

    assert PublicKey.objects.get().kyc_level == 2
    detail = newest_entry().detail
    assert (detail["before"], detail["after"]) == ({"kyc_level": 0}, {"kyc_level": 2})


def test_an_edit_that_changes_nothing_writes_nothing(in_workspace, now):
    key = mint(in_workspace, now)
    entries = AuditEntry.objects.count()

    keys.edit_public_key(public_key=key, **FACTS, acting_user=None, now=now)

    assert AuditEntry.objects.count() == entries


def test_a_captcha_secret_is_sealed_and_never_written_to_the_log(in_workspace, now):
    key = mint(in_workspace, now, **CAPTCHA)
    minted = newest_entry().detail
    keys.edit_public_key(public_key=key, captcha_secret="another", acting_user=None, now=now)

    key.refresh_from_db()
    assert keys.captcha_secret(key) == "another"
    assert "another" not in key.captcha_secret
    detail = newest_entry().detail
    assert (detail["before"], detail["after"]) == ({"captcha_secret": "set"}, {"captcha_secret": "replaced"})
    assert minted["after"]["captcha_secret"] == "set"
    assert not any("s3cret" in str(entry.detail) for entry in AuditEntry.objects.all())


def test_a_blank_captcha_secret_leaves_the_one_that_is_there(in_workspace, now):
    key = mint(in_workspace, now, **CAPTCHA)

    keys.edit_public_key(public_key=key, captcha_secret="", kyc_level=1, acting_user=None, now=now)

    key.refresh_from_db()
    assert keys.captcha_secret(key) == "s3cret"


def test_the_site_key_of_a_captcha_cannot_be_taken_away(in_workspace, now):
    key = mint(in_workspace, now, **CAPTCHA)

    with pytest.raises(ValidationError) as refusal:
        keys.edit_public_key(public_key=key, captcha_site_key="", acting_user=None, now=now)

    assert problems(refusal) == {"captcha_site_key"}


def test_a_key_saved_before_captchas_needed_a_secret_can_still_be_edited(in_workspace, now):
    key = mint(in_workspace, now)
    PublicKey.objects.filter(pk=key.pk).update(captcha="turnstile", phone_number="+14155550199")

    keys.edit_public_key(public_key=key, kyc_level=1, captcha="turnstile", acting_user=None, now=now)

    assert PublicKey.objects.get().kyc_level == 1


def test_the_number_of_another_workspace_is_foreign(in_workspace, now):
    make_phone_number(make_workspace(), "+14155550155")

    with pytest.raises(ValidationError) as refusal:
        mint(in_workspace, now, phone_number="+14155550155")

    assert problems(refusal) == {"phone_number"}


def test_limits_are_kept_as_they_are_read_by_the_gate(in_workspace, now):
    key = mint(in_workspace, now, limits={"spend_key": {"limit": 5, "window": 86400}, "ip": None})

    assert key.limits == {"ip": None, "spend_key": {"limit": 5, "window": 86400}}


def test_nothing_is_promised_of_uponais_own_key(in_workspace, now):
    with pytest.raises(ValidationError) as refusal:
        keys.register_public_key(
            workspace=in_workspace,
            key="public_key_1",
            name="Widget",
            limits={"ip": None},
            captcha_secret="s3cret",
            acting_user=None,
            now=now,
        )

    assert problems(refusal) == {"limits", "captcha_secret"}


@pytest.mark.parametrize(("overlap", "status"), [(keys.OVERLAP, "active"), (keys.NO_OVERLAP, "revoked")])
def test_rotation_mints_a_successor_under_the_same_name(in_workspace, now, overlap, status):
    old = mint(in_workspace, now)

    new = keys.rotate_public_key(public_key=old, overlap=overlap, acting_user=None, now=now)

    old.refresh_from_db()
    assert (new.name, new.domains, new.channels) == ("Website", old.domains, old.channels)
    assert (old.successor, old.retires_at) == (new, now + overlap)
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
            keys.rotate_public_key(public_key=key, acting_user=None, now=now)


def test_a_rotated_key_keeps_its_rules_and_its_secret(in_workspace, now):
    old = mint(in_workspace, now, limits={"key": {"limit": 9, "window": 60}}, **CAPTCHA)

    new = keys.rotate_public_key(public_key=old, acting_user=None, now=now)

    assert (new.limits, new.captcha_site_key) == (old.limits, "0x4AAA")
    assert keys.captcha_secret(new) == "s3cret"


def test_a_key_is_rotated_once_and_an_exposed_one_leaves_its_successor(in_workspace, now):
    old = mint(in_workspace, now)
    new = keys.rotate_public_key(public_key=old, acting_user=None, now=now)

    with pytest.raises(ValidationError):
        keys.rotate_public_key(public_key=old, acting_user=None, now=now)
    answered = keys.revoke_public_key(public_key=old, exposed=True, acting_user=None, now=now)

    old.refresh_from_db()
    assert (answered, old.status) == (new, "revoked")
    assert PublicKey.objects.count() == 2


@pytest.mark.parametrize("overlap", [timedelta(days=91), timedelta(seconds=-1)])
def test_an_overlap_has_an_end(in_workspace, now, overlap):
    key = mint(in_workspace, now)

    with pytest.raises(ValidationError) as refusal:
        keys.rotate_public_key(public_key=key, overlap=overlap, acting_user=None, now=now)

    assert problems(refusal) == {"overlap"}


def test_a_key_is_retired_when_its_overlap_is_over_and_not_before(workspace, now):
    with scoped(workspace.pk):
        old = mint(workspace, now)
        new = keys.rotate_public_key(public_key=old, overlap=timedelta(hours=1), acting_user=None, now=now)

    retired = [keys.retire_public_keys(now=now + timedelta(minutes=minutes)) for minutes in (59, 60, 61)]

    with scoped(workspace.pk):
        old.refresh_from_db()
        new.refresh_from_db()
        assert newest_entry().action == "public_key.retire"
    assert retired == [0, 1, 0]
    assert (old.status, new.status) == ("revoked", "active")
