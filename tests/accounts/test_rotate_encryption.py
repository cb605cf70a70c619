"""Changing the key that wraps the data keys: no secret is lost at any moment of it."""

import base64
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts import encryption, workspaces
from accounts.encryption import CannotOpen
from accounts.models import DataKey
from accounts.scoping import unscoped
from tests.factories import make_workspace

pytestmark = pytest.mark.django_db

NEW_KEY, NEWER_KEY = (base64.urlsafe_b64encode(letter * 32).decode() for letter in (b"n", b"o"))
SECRETS = 50


@pytest.fixture(autouse=True)
def _no_key_is_remembered():
    encryption.forget_keys()
    yield
    encryption.forget_keys()


def _sealed():
    """Secrets of several workspaces with the place of each."""
    kept = []
    for number in range(5):
        workspace = make_workspace(uponai_key=f"key_of_{number}")
        for row in range(SECRETS // 5):
            place = {"workspace_id": workspace.pk, "model": "publickey", "row": row, "field": "captcha_secret"}
            kept.append((place, f"secret {row}", encryption.seal(**place, secret=f"secret {row}")))
    return kept


def _all_open(kept):
    encryption.forget_keys()
    return all(encryption.unseal(**place, sealed=sealed) == secret for place, secret, sealed in kept)


def _rotate(**options):
    told = StringIO()
    call_command("rotate_encryption", **options, stdout=told)
    return told.getvalue()


def test_every_secret_opens_before_during_and_after_and_the_old_key_may_go(settings):
    kept = _sealed()
    old = settings.ENCRYPTION_KEYS
    for newest in (NEW_KEY, NEWER_KEY):
        settings.ENCRYPTION_KEYS = [newest, *old]
        assert _all_open(kept)

        assert json.loads(_rotate(json=True)) == {"rewrapped": DataKey._base_manager.count(), "already": 0, "lost": []}

        assert _all_open(kept)
        settings.ENCRYPTION_KEYS = old = [newest]
        assert _all_open(kept)


def test_goes_on_where_it_was_broken_off_and_does_nothing_twice(settings, monkeypatch):
    kept, wrap, left = _sealed(), encryption._wrap, 3
    settings.ENCRYPTION_KEYS = [NEW_KEY, *settings.ENCRYPTION_KEYS]

    def wrap_and_die(key, data_key_id):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return wrap(key, data_key_id)

    monkeypatch.setattr(encryption, "_wrap", wrap_and_die)
    with pytest.raises(KeyboardInterrupt):
        encryption.rewrap_data_keys()
    monkeypatch.setattr(encryption, "_wrap", wrap)
    assert _all_open(kept)

    done = encryption.rewrap_data_keys()
    again = encryption.rewrap_data_keys()

    total = DataKey._base_manager.count()
    assert (done.rewrapped, done.already) == (total - 3, 3)
    assert (again.rewrapped, again.already) == (0, total)
    settings.ENCRYPTION_KEYS = [NEW_KEY]
    assert _all_open(kept)


def test_names_what_opens_with_none_of_the_keys_and_does_the_others(settings):
    lost = make_workspace()
    with unscoped(reason="a data key whose wrapping key was removed too early"):
        settings.ENCRYPTION_KEYS, known = [NEWER_KEY], settings.ENCRYPTION_KEYS
        other = make_workspace()
    settings.ENCRYPTION_KEYS = [NEW_KEY, NEWER_KEY]

    with pytest.raises(CommandError, match="open with none of ENCRYPTION_KEYS"):
        _rotate()

    settings.ENCRYPTION_KEYS = [NEW_KEY]
    encryption.forget_keys()
    assert workspaces.uponai_key(other.pk)
    with pytest.raises(CannotOpen):
        workspaces.uponai_key(lost.pk)
    settings.ENCRYPTION_KEYS = known
    encryption.forget_keys()
    assert workspaces.uponai_key(lost.pk)


def test_a_row_that_was_swapped_between_workspaces_opens_for_neither(settings):
    kept = _sealed()
    settings.ENCRYPTION_KEYS = [NEW_KEY, *settings.ENCRYPTION_KEYS]
    encryption.rewrap_data_keys()

    others = [sealed for _place, _secret, sealed in reversed(kept)]
    for (place, *_), foreign in zip(kept, others, strict=True):
        with pytest.raises(CannotOpen):
            encryption.unseal(**place, sealed=foreign)
