"""A new UponAI key is tried, used, and never shown; the old one verifies webhooks for as long as was said."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from accounts import workspaces
from accounts.models import AuditEntry, UponaiKey
from tests.factories import make_workspace, moment
from tests.policies.sync.conftest import uponai  # noqa: F401

pytestmark = pytest.mark.django_db

NEW = "key_canary_of_the_new_one_7531"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in ("UPONAI_KEY", "UPONAI_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))


@pytest.fixture
def knows_both(uponai):  # noqa: F811
    uponai.put("settings", api_keys=["key_sandbox", NEW])
    return uponai


def set_key(workspace, monkeypatch=None, given="", **options):
    out = io.StringIO()
    if monkeypatch:
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
    call_command("set_uponai_key", workspace=workspace.slug, stdout=out, stderr=out, **options)
    return out.getvalue()


def test_rotates_with_an_overlap_from_standard_input(workspace, knows_both, monkeypatch, caplog):
    said = set_key(workspace, monkeypatch, f"{NEW}\n", overlap_hours=2)

    assert workspaces.uponai_key(workspace.pk) == NEW
    believed = {secret.text: secret.until for secret in workspaces.webhook_secrets(workspace.pk, moment())}
    assert believed[NEW] is None
    assert timedelta(hours=1, minutes=55) < believed["key_sandbox"] - moment() <= timedelta(hours=2)
    assert "ending in 7531" in said
    assert NEW not in said + caplog.text
    assert NEW not in str(list(AuditEntry._base_manager.values()))
    assert NEW not in str(list(UponaiKey._base_manager.values()))


def test_reads_the_key_from_a_file_and_ends_the_old_one_at_once(workspace, knows_both, monkeypatch, tmp_path):
    (tmp_path / "key").write_text(f"{NEW}\n")
    monkeypatch.setenv("UPONAI_KEY_FILE", str(tmp_path / "key"))

    set_key(workspace, overlap_hours=0)

    assert [secret.text for secret in workspaces.webhook_secrets(workspace.pk, moment())] == [NEW]


@pytest.mark.parametrize(
    ("given", "options", "named"),
    [
        ("", {}, "is missing"),
        ("two words_of_a_key", {}, "one word"),
        ("key_that_uponai_does_not_know", {}, "refuses it"),
        (NEW, {"overlap_hours": -1}, "overlap-hours"),
        (NEW, {"overlap_hours": 100_000}, "overlap-hours"),
    ],
    ids=["none", "words", "unknown", "before", "forever"],
)
def test_changes_nothing_when_the_key_cannot_be_used(workspace, knows_both, monkeypatch, given, options, named):
    with pytest.raises(CommandError, match=named) as refused:
        set_key(workspace, monkeypatch, given, **options)

    assert not given or given not in str(refused.value)
    assert workspaces.uponai_key(workspace.pk) == "key_sandbox"


def test_names_a_workspace_that_is_not_there(db):
    with pytest.raises(CommandError, match="'nowhere'"):
        call_command("set_uponai_key", workspace="nowhere")


def test_gives_a_workspace_its_first_key(knows_both, monkeypatch):
    other = make_workspace(uponai_key="")

    set_key(other, monkeypatch, NEW)

    assert workspaces.uponai_key(other.pk) == NEW
