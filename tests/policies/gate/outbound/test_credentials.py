"""Who may ask at the outbound doors, and whose word about the end user is taken."""

import ipaddress
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import keys, leaks, tokens, workspaces
from accounts.models import ApiToken, AuditEntry, KeyLeak, UponaiKey
from accounts.scoping import scoped
from policies.gate import store
from tests.factories import UPONAI_KEY, make_token, make_workspace, moment
from tests.policies.gate.outbound.conftest import CALL, CHAT, DIAL, PEER, SITE, started

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "fc_",
        "pk_",
        "fc_" + "a" * 46,
        "pk_" + "a" * 32,
        "pk_" + "a" * 600,
        "nonsense",
        "key_of_nobody",
        "\xff\xfe",
        "pk_\x00",
    ],
)
def test_knows_no_such_credential(gate, uponai, text):
    response = gate.post(CALL, DIAL, credential=text)

    assert response.status_code == 401
    assert response.json()["status"] == "error"
    assert response["x-should-retry"] == "false"
    assert started(uponai) == []


def test_a_token_needs_the_right_to_the_gate(gate, uponai):
    assert gate.post(CALL, DIAL, credential=make_token(gate.workspace, "calls:read")).status_code == 401
    assert gate.post(CALL, DIAL, credential=make_token(gate.workspace, "*")).status_code == 201


def test_a_token_that_expired_or_was_revoked_opens_nothing(gate, uponai):
    now = moment()
    expired = tokens.create_token(
        workspace=gate.workspace,
        name="old",
        scopes=["gate:write"],
        acting_user=None,
        now=now - timedelta(days=2),
        expires_at=now - timedelta(days=1),
    )
    assert gate.post(CALL, DIAL, credential=expired).status_code == 401

    assert gate.post(CALL, DIAL).status_code == 201
    with scoped(gate.workspace.pk):
        token = ApiToken.objects.get(name="test")
    tokens.revoke_token(token=token, acting_user=None, now=now)
    gate.publish()
    assert gate.post(CALL, DIAL).status_code == 401


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "https://example.com",
        "https://www.example.com.evil.com",
        "https://evil.com/www.example.com",
        "https://www.example.com@evil.com",
        "https://evilwww.example.com",
        "www.example.com",
        "https://[::1",
        "https://www.example.com\x00",
        "javascript://www.example.com",
    ],
)
def test_a_key_works_on_its_own_web_sites_only(gate, uponai, origin):
    response = gate.page(CALL, gate.key(), {"to_number": PEER}, origin=origin)

    assert (response.status_code, response.json()["code"]) == (403, "blocked")
    assert "Access-Control-Allow-Origin" not in response
    assert started(uponai) == []


@pytest.mark.parametrize("origin", [SITE, "http://www.example.com:8080", "https://WWW.EXAMPLE.COM"])
def test_a_key_works_on_its_web_site_by_any_port(gate, uponai, origin):
    response = gate.page(CALL, gate.key(), {"to_number": PEER}, origin=origin)

    assert response.status_code == 201
    assert response["Access-Control-Allow-Origin"] == origin
    assert response["Vary"] == "Origin"


def test_a_credential_ends_with_its_workspaces_address(gate, uponai):
    assert gate.post(CALL, DIAL).status_code == 201
    type(gate.workspace).objects.filter(pk=gate.workspace.pk).update(endpoint="elsewhere")
    store.publish_version(gate.workspace.pk, 999)

    assert gate.post(CALL, DIAL).status_code == 401
    assert gate.post(CALL, DIAL).status_code == 201


def test_a_revoked_key_opens_nothing(gate, uponai):
    key = gate.key()
    keys.revoke_public_key(public_key=key, acting_user=None, now=moment())
    gate.publish()

    assert gate.page(CALL, key, {"to_number": PEER}).status_code in (401, 403)
    assert started(uponai) == []


def test_a_backend_vouches_for_its_end_user(gate, uponai):
    response = gate.post(
        CALL, DIAL, X_End_User_Id="user 7 \u00e9".encode().decode("latin-1"), X_End_User_IP="::ffff:198.51.100.9"
    )

    assert response.status_code == 201
    (dial,) = gate.dials()
    assert (dial.subject, dial.ip) == ("user 7 é", "198.51.100.9")


def test_without_word_of_it_the_backends_own_address_is_nobodys(gate, uponai):
    gate.post(CALL, DIAL)

    assert gate.dials()[0].ip is None


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-End-User-IP", "nonsense"),
        ("X-End-User-IP", ""),
        ("X-End-User-IP", "203.0.113.7, 198.51.100.1"),
        ("X-End-User-IP", "203.0.113.0/24"),
        ("X-End-User-IP", "fe80::1%eth0"),
        ("X-End-User-IP", "203.0.113.7:443"),
        ("X-End-User-Id", ""),
        ("X-End-User-Id", "x" * 121),
        ("X-End-User-Id", "a\x00b"),
        ("X-End-User-Id", "\xff"),
        ("X-End-User-Token", "anything"),
    ],
)
def test_names_the_header_that_is_wrong(gate, uponai, header, value):
    response = gate.post(CALL, DIAL, **{header: value})

    assert response.status_code == 422
    assert header in response.json()["message"]
    assert started(uponai) == []


@pytest.mark.parametrize("header", ["X-End-User-Id", "X-End-User-IP"])
def test_nobody_vouches_with_a_key(gate, uponai, header):
    response = gate.page(CALL, gate.key(), {"to_number": PEER}, **{header: "203.0.113.9"})

    assert (response.status_code, header in response.json()["message"]) == (422, True)


FORGED = [
    "198.51.100.1",
    " 198.51.100.1 ",
    "198.51.100.1, 198.51.100.2",
    "198.51.100.1,198.51.100.2,198.51.100.3",
    "198.51.100.1:80",
    "[2001:db8::1]",
    "[2001:db8::1]:80",
    "2001:db8::1",
    "2001:db8::1%eth0",
    "::ffff:198.51.100.1",
    "::ffff:c633:6401",
    "0:0:0:0:0:ffff:198.51.100.1",
    "127.0.0.1",
    "10.0.0.1",
    "0.0.0.0",
    "::1",
    "::",
    "localhost",
    "unknown",
    "_hidden",
    "",
    " ",
    ",",
    ",,,",
    "198.51.100.1,",
    ",198.51.100.1",
    "nonsense",
    "198.51.100",
    "198.51.100.1.1",
    "0x7f000001",
    "2130706433",
    "0300.0250.0.1",
    "198.51.100.1; DROP TABLE",
    '"198.51.100.1"',
    "for=198.51.100.1",
    "198.51.100.1\t",
    "١٩٨.51.100.1".encode().decode("latin-1"),
    "x" * 4000,
    ",".join(["198.51.100.1"] * 300),
    "198.51.100.1/32",
]


def test_a_page_cannot_choose_its_address(gate, uponai):
    """Nobody's word is taken when there is no proxy of ours."""
    key = gate.key()
    for forged in FORGED:
        headers = {"X-Forwarded-For": forged, "Forwarded": f"for={forged[:40]}", "X-Real-IP": forged[:40]}
        assert gate.page(CHAT, key, {}, ip="203.0.113.7", **headers).status_code == 201

    assert [dial.ip for dial in gate.dials()] == ["203.0.113.7"] * len(FORGED)


@pytest.mark.parametrize("proxies", [["10.0.0.2"], ["10.0.0.3", "10.0.0.2"]])
def test_believes_what_our_outermost_proxy_saw(gate, uponai, settings, proxies):
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/24")]
    key = gate.key()
    for forged in FORGED:
        seen = ", ".join(filter(None, [forged, "203.0.113.7", *proxies[:-1]]))
        assert gate.page(CHAT, key, {}, ip=proxies[-1], **{"X-Forwarded-For": seen}).status_code == 201

    assert [dial.ip for dial in gate.dials()] == ["203.0.113.7"] * len(FORGED)


# --- UponAI's own key ------------------------------------------------------------------------------------------------


def _leaks(workspace):
    with scoped(workspace.pk):
        return list(KeyLeak.objects.order_by("pk"))


def _audited(workspace):
    with scoped(workspace.pk):
        return AuditEntry.objects.filter(action="uponai_key.leaked").count()


def test_a_private_key_in_a_web_page_is_a_leak(gate, uponai, caplog):
    for _ in range(3):
        response = gate.post(CALL, DIAL, credential=UPONAI_KEY, Origin="https://www.example.com")

    assert response.status_code == 401
    assert "Replace it" in response.json()["message"]
    assert UPONAI_KEY not in response.content.decode()
    assert started(uponai) == []
    (leak,) = _leaks(gate.workspace)
    assert (leak.origin, leak.times, leak.ip, leak.path) == ("https://www.example.com", 3, "203.0.113.7", CALL)
    assert (leak.last_four, leak.resolved_at) == (UPONAI_KEY[-4:], None)
    assert _audited(gate.workspace) == 1
    assert any(record.levelname == "ERROR" and "private UponAI key" in record.message for record in caplog.records)
    assert UPONAI_KEY not in caplog.text


def test_who_shows_a_leaked_key_again_and_again_keeps_no_edit_waiting(gate, uponai):
    gate.post(CALL, DIAL, credential=UPONAI_KEY, Origin=SITE)

    with CaptureQueriesContext(connection) as queries:
        gate.post(CALL, DIAL, credential=UPONAI_KEY, Origin=SITE)

    assert queries
    assert not [query["sql"] for query in queries if "accounts_workspace" in query["sql"]]


def test_each_web_site_is_a_leak_of_its_own_and_a_backend_is_told_what_to_use(gate, uponai):
    gate.post(CALL, DIAL, credential=UPONAI_KEY, Origin="https://a.example")
    gate.post(CHAT, {}, credential=UPONAI_KEY, Origin="https://b.example")
    response = gate.post(CALL, DIAL, credential=UPONAI_KEY)

    assert "gate:write" in response.json()["message"]
    assert [leak.origin for leak in _leaks(gate.workspace)] == ["https://a.example", "https://b.example", ""]
    assert _audited(gate.workspace) == 3


def test_a_leak_ends_with_the_key(gate, uponai):
    gate.post(CALL, DIAL, credential=UPONAI_KEY, Origin=SITE)
    change = {"workspace": gate.workspace, "acting_user": None}

    workspaces.set_uponai_key(key=UPONAI_KEY, now=moment(), **change)
    assert _leaks(gate.workspace)[0].resolved_at is None  # it is the same key still

    workspaces.set_uponai_key(key="key_another_one", now=moment(), **change)
    assert _leaks(gate.workspace)[0].resolved_at is not None
    with scoped(gate.workspace.pk):
        assert not leaks.open_leaks().exists()

    workspaces.set_uponai_key(key=UPONAI_KEY, now=moment(), **change)
    gate.post(CALL, DIAL, credential=UPONAI_KEY, Origin=SITE)
    (leak,) = _leaks(gate.workspace)
    assert (leak.times, leak.resolved_at) == (2, None)
    assert _audited(gate.workspace) == 2


def test_a_replaced_key_is_noted_and_leaves_nothing_open(gate, uponai):
    until = moment() + timedelta(hours=1)
    workspaces.set_uponai_key(
        workspace=gate.workspace, key="key_another_one", acting_user=None, now=moment(), old_verifies_until=until
    )

    for _ in range(2):
        assert gate.post(CALL, DIAL, credential=UPONAI_KEY, Origin=SITE).status_code == 401

    (leak,) = _leaks(gate.workspace)
    assert leak.times == 2
    assert leak.resolved_at is not None


def test_knows_keys_that_were_stored_before_they_had_a_fingerprint(gate, uponai):
    with scoped(gate.workspace.pk):
        UponaiKey.objects.update(fingerprint="")

    gate.post(CALL, DIAL, credential=UPONAI_KEY, Origin=SITE)

    assert len(_leaks(gate.workspace)) == 1


def test_a_leak_is_told_to_the_workspace_whose_key_it_is(gate, uponai):
    other = make_workspace(uponai_key="key_of_the_other")

    gate.post(CALL, DIAL, credential="key_of_the_other", Origin=SITE)

    assert (len(_leaks(other)), len(_leaks(gate.workspace))) == (1, 0)
