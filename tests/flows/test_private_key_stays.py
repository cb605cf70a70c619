"""A workspace's private UponAI key is used everywhere and is found nowhere: a hunt for it after a busy day."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver, reverse

from accounts import audit, keys, workspaces
from accounts.middleware import SESSION_KEY
from accounts.scoping import scoped, unscoped
from policies import actions, bells, connecting, rules_input
from policies.gate import store
from policies.sync import drift, management, push
from tests.accounts.api.test_routes import routes
from tests.factories import make_phone_number, make_token, make_workspace, moment
from tests.policies.sync.conftest import uponai  # noqa: F401
from tests.rest import client_of
from tests.signing_in import signed_in

pytestmark = pytest.mark.django_db

OLD, NEW, WRONG = "key_canary_first_0f2a9d", "key_canary_second_7c41be", "key_canary_wrong_55aa10"
CANARIES = re.compile("canary_(first_0f2a|second_7c41|wrong_55aa)")
NUMBER = "+14155550100"


@pytest.fixture
def account(uponai, settings):  # noqa: F811
    settings.UPONAI_MANAGEMENT = "sandbox"
    management._compared.clear()
    uponai.put("settings", api_keys=["key_sandbox", OLD, NEW])
    uponai.post("numbers", numbers=[{"phone_number": NUMBER}])
    return uponai


def _rotated(workspace, monkeypatch) -> None:
    workspaces.set_uponai_key(workspace=workspace, key=OLD, acting_user=None, now=moment())
    monkeypatch.setenv("UPONAI_KEY_FILE", "/nowhere")
    with pytest.raises(Exception, match="cannot be read"):
        call_command("set_uponai_key", workspace=workspace.slug)
    monkeypatch.delenv("UPONAI_KEY_FILE")
    monkeypatch.setattr("sys.stdin", io.StringIO(NEW))
    call_command("set_uponai_key", workspace=workspace.slug, stdout=io.StringIO())
    with pytest.raises(rules_input.Refused) as refused:
        connecting.connect(workspace=workspace, key=WRONG, acting_user=None, now=moment())
    assert not CANARIES.search(str(refused.value))


def _worked(workspace, uponai, settings, monkeypatch) -> None:  # noqa: F811
    """Everything that uses the key: pushes that succeed, fail and break off, comparisons, the assumed API."""
    keys.register_public_key(workspace=workspace, key="public_key_1", name="Theirs", acting_user=None, now=moment())
    number = make_phone_number(workspace, NUMBER, synced=False)
    here = settings.UPONAI_API_URL
    for address in ("http://127.0.0.1:9", f"{here}/nothing", here):
        settings.UPONAI_API_URL = address
        actions.edit_phone_number(phone_number=number, inbound_countries=["US", "GB"], acting_user=None, now=moment())
        push.push(number.sync_target.pk, clock=moment)
        management.sweep(clock=moment, seconds=10)
    bells.listen_again()
    bells.ring(drift.TASK, workspace_id=workspace.pk)
    bells.wait_until_rung()
    drift.check_if_due(workspace.pk, clock=moment)


def _shown_at_the_gate(client: Client) -> Iterator[str]:
    """Whoever shows the key at a door that is not for it gets it back in no answer."""
    for address in ("/gate/v2/create-phone-call", "/gate/v1/form", "/api/v1/workspace/", f"/admin/{NEW}/"):
        for key in (NEW, OLD, WRONG):
            answer = client.post(address, {}, "application/json", headers={"Authorization": f"Bearer {key}"})
            yield answer.content.decode().replace(f"/admin/{NEW}/", "")


def _pages(client: Client, workspace) -> Iterator[tuple[str, str]]:
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        with unscoped(reason="a hunt through all rows"):
            row = model._base_manager.order_by("pk").first()
        addresses = [reverse(f"{name}_changelist")] + ([reverse(f"{name}_change", args=[row.pk])] if row else [])
        for address in addresses:
            yield address, client.get(address, follow=True).content.decode()
    for pattern in get_resolver("monitoring.dashboards.urls").url_patterns:
        if "<" not in str(pattern.pattern):
            address = reverse(f"monitoring:{pattern.name}")
            yield address, client.get(address).content.decode()
    address = reverse("admin:accounts_workspace_change", args=[workspace.pk])
    yield address, client.get(address).content.decode()


def _answers(workspace) -> Iterator[tuple[str, str]]:
    client = client_of(workspace)
    for address, _view, _actions in routes():
        yield address, client.get(address).content.decode()


def _live_store() -> Iterator[tuple[str, str]]:
    """Every value in it, the worker's messages among them."""
    connection = store.connection()
    readers = {
        b"string": connection.get,
        b"list": lambda key: connection.lrange(key, 0, -1),
        b"hash": connection.hgetall,
        b"set": connection.smembers,
        b"zset": lambda key: connection.zrange(key, 0, -1),
        b"stream": connection.xrange,
    }
    for key in connection.scan_iter():
        kind = connection.type(key)
        yield repr(key), repr(readers[kind if isinstance(kind, bytes) else kind.encode()](key))


def _rows() -> Iterator[tuple[str, str]]:
    with unscoped(reason="a hunt through all rows"):
        for model in apps.get_models():
            yield model.__name__, repr(list(model._base_manager.values()))


def test_the_private_key_is_found_nowhere(account, settings, monkeypatch, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    workspace = make_workspace(uponai_key="")
    client = signed_in(workspace)
    client.raise_request_exception = False
    with scoped(workspace.pk):
        _rotated(workspace, monkeypatch)
        _worked(workspace, account, settings, monkeypatch)
    session = client.session
    session[SESSION_KEY] = workspace.slug
    session.save()
    make_token(workspace)

    shown = [("a door", text) for text in _shown_at_the_gate(Client(raise_request_exception=False))]
    shown += [*_pages(client, workspace), *_answers(workspace), *_live_store(), *_rows()]
    assert workspaces.uponai_key(workspace.pk) == NEW
    shown += [("the objects' own words", repr(workspaces.webhook_secrets(workspace.pk, moment())))]
    shown += [("the sandbox's log", repr(account.get("log", after=0)))]
    written = capfd.readouterr()
    shown += [("the log", caplog.text), ("standard output", written.out), ("standard error", written.err)]

    assert len(shown) > 100
    assert [place for place, text in shown if CANARIES.search(text)] == []
    assert audit.verify(workspace.pk).problem == ""


def test_an_error_page_shows_nothing_of_what_it_broke_in(account, settings, monkeypatch, caplog):
    workspace = make_workspace(uponai_key=NEW)
    client = signed_in(workspace)
    client.raise_request_exception = False

    def breaks(*, key: str, **more: object) -> None:
        raise RuntimeError("a bug, while a key is in hand")

    monkeypatch.setattr("accounts.encryption.seal", lambda **place: breaks(key=place["secret"]))
    address = reverse("admin:accounts_publickey_add")
    answer = client.post(
        address,
        {
            "name": "W",
            "domains": "a.example",
            "channels": ["chat"],
            "captcha": "turnstile",
            "captcha_threshold": "0.5",
            "captcha_site_key": "0x4",
            "new_captcha_secret": NEW,
            "fraud_protection": "on",
            "kyc_level": "0",
            "mode": "enforcing",
        },
    )

    assert answer.status_code == 500
    assert not CANARIES.search(answer.content.decode())
    assert not CANARIES.search(caplog.text)
