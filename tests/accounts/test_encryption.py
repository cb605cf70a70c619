"""Secrets at rest open only where they were sealed."""

import base64

import pytest

from accounts import encryption, workspaces
from accounts.encryption import CannotOpen
from accounts.models import DataKey, UponaiKey
from accounts.scoping import scoped, unscoped
from tests.factories import make_workspace, moment

pytestmark = pytest.mark.django_db

NEW_KEY = base64.urlsafe_b64encode(b"n" * 32).decode()


def _seal(workspace, **changes):
    place = {"workspace_id": workspace.pk, "model": "uponaikey", "row": 1, "field": "sealed"} | changes
    return place, encryption.seal(**place, secret="key_live_42")


def test_opens_what_it_sealed(workspace):
    place, sealed = _seal(workspace)

    assert "key_live_42" not in sealed
    assert encryption.unseal(**place, sealed=sealed) == "key_live_42"


@pytest.mark.parametrize("moved", [{"row": 2}, {"field": "note"}, {"model": "publickey"}])
def test_does_not_open_in_another_place(workspace, moved):
    place, sealed = _seal(workspace)

    with pytest.raises(CannotOpen, match="moved"):
        encryption.unseal(**{**place, **moved}, sealed=sealed)


def test_does_not_open_in_another_workspace(workspace):
    place, sealed = _seal(workspace)

    with pytest.raises(CannotOpen):
        encryption.unseal(**{**place, "workspace_id": make_workspace().pk}, sealed=sealed)


def test_does_not_open_after_a_changed_letter(workspace):
    place, sealed = _seal(workspace)
    changed = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]

    with pytest.raises(CannotOpen):
        encryption.unseal(**place, sealed=changed)


@pytest.mark.parametrize("kept", [0, 4, 20])
def test_does_not_open_what_was_cut_off(workspace, kept):
    place, sealed = _seal(workspace)
    head, body = sealed.rsplit(".", 1)

    with pytest.raises(CannotOpen):
        encryption.unseal(**place, sealed=f"{head}.{body[:kept]}")


def test_opens_under_an_older_wrapping_key_and_not_without_it(workspace, settings):
    place, sealed = _seal(workspace)
    encryption.forget_keys()
    settings.ENCRYPTION_KEYS = [NEW_KEY, *settings.ENCRYPTION_KEYS]

    assert encryption.unseal(**place, sealed=sealed) == "key_live_42"

    encryption.forget_keys()
    settings.ENCRYPTION_KEYS = [NEW_KEY]
    with pytest.raises(CannotOpen, match="removed too early"):
        encryption.unseal(**place, sealed=sealed)
    encryption.forget_keys()


def test_is_gone_with_its_data_key(workspace):
    place, sealed = _seal(workspace)
    with unscoped(reason="a test of crypto-erasure"):
        DataKey.objects.filter(workspace=workspace).delete()
    encryption.forget_keys()

    with pytest.raises(CannotOpen, match="no longer exists"):
        encryption.unseal(**place, sealed=sealed)


def test_keeps_the_uponai_key_sealed_and_the_old_one_only_for_its_grace(workspace):
    old_until = moment().replace(year=2099)
    workspaces.set_uponai_key(
        workspace=workspace, key="key_second", acting_user=None, now=moment(), old_verifies_until=old_until
    )

    assert workspaces.uponai_key(workspace.pk) == "key_second"

    def secrets(now):
        return [secret.text for secret in workspaces.webhook_secrets(workspace.pk, now)]

    assert secrets(moment()) == ["key_second", "key_sandbox"]
    assert secrets(old_until) == ["key_second"]
    with scoped(workspace.pk):
        assert not any("key_second" in row.sealed for row in UponaiKey.objects.all())
