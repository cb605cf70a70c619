import io

import pytest
from django.core.management import CommandError, call_command

from accounts import workspaces
from accounts.models import AuditEntry, Membership, User, Workspace
from accounts.roles import Role
from accounts.scoping import scoped
from policies.models import CountryPolicy
from tests.factories import make_member, make_workspace

pytestmark = pytest.mark.django_db

KEY = "key_very_private_1234"
CLINIC = ("--slug", "clinic", "--name", "The Clinic", "--home-country", "de")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    for name in ("UPONAI_KEY", "UPONAI_KEY_FILE", "OWNER_PASSWORD", "OWNER_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))


def create(*arguments: str) -> str:
    out, err = io.StringIO(), io.StringIO()
    call_command("create_workspace", *CLINIC, *arguments, stdout=out, stderr=err)
    assert KEY not in out.getvalue() + err.getvalue()
    return out.getvalue()


def test_founds_a_workspace_and_prints_where_uponai_reaches_it():
    printed = create("--uponai-key", KEY)

    workspace = Workspace.objects.get(slug="clinic")
    assert (workspace.name, workspace.home_country.code) == ("The Clinic", "DE")
    assert printed.splitlines() == [
        "clinic",
        f"/hooks/{workspace.endpoint}/inbound",
        f"/hooks/{workspace.endpoint}/events",
    ]
    assert workspaces.uponai_key(workspace.pk) == KEY


def test_allows_the_home_country_only():
    create("--uponai-key", KEY)

    with scoped(Workspace.objects.get().pk):
        policy = CountryPolicy.objects.get()
        assert not AuditEntry.objects.filter(detail__icontains=KEY).exists()
    assert (policy.name, policy.is_default) == ("Home country only", True)
    for rules in (policy.current_revision.inbound, policy.current_revision.outbound):
        assert (rules["mode"], rules["countries"]) == ("list", ["DE"])


def test_reads_the_key_from_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY}\n"))

    create("--uponai-key", "-")

    assert workspaces.uponai_key(Workspace.objects.get().pk) == KEY


def test_reads_the_key_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "key").write_text(f"  {KEY}\n")
    monkeypatch.setenv("UPONAI_KEY_FILE", str(tmp_path / "key"))

    create()

    assert workspaces.uponai_key(Workspace.objects.get().pk) == KEY


def test_gives_it_an_owner(monkeypatch):
    monkeypatch.setenv("OWNER_PASSWORD", "quiet-otter-7392")

    create("--uponai-key", KEY, "--owner-email", "Ada@Example.com")

    with scoped(Workspace.objects.get().pk):
        membership = Membership.objects.get()
    assert (membership.user.email, membership.role) == ("ada@example.com", Role.OWNER)
    assert membership.user.check_password("quiet-otter-7392")


def test_asks_an_owner_who_has_an_account_for_no_password():
    user = make_member(make_workspace(slug="first"))

    create("--uponai-key", KEY, "--owner-email", user.email)

    with scoped(Workspace.objects.get(slug="clinic").pk):
        assert Membership.objects.get().user == user


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([], "The UponAI key is missing", id="no key"),
        pytest.param(["--uponai-key="], "The UponAI key is missing", id="empty key"),
        pytest.param(["--uponai-key=-"], "The UponAI key is missing", id="empty standard input"),
        pytest.param(["--uponai-key=two words"], "one word of printable ASCII", id="two words"),
        pytest.param(["--uponai-key=kéy"], "one word of printable ASCII", id="not ASCII"),
        pytest.param([f"--uponai-key={KEY}", "--slug=first"], "slug: ", id="a slug that is taken"),
        pytest.param([f"--uponai-key={KEY}", "--slug=not a slug"], "slug: ", id="no slug"),
        pytest.param([f"--uponai-key={KEY}", "--home-country=ZZ"], "home_country: ", id="no country"),
        pytest.param([f"--uponai-key={KEY}", "--home-country=RU"], "sanctions list", id="sanctioned"),
        pytest.param([f"--uponai-key={KEY}", "--time-zone=Mars/Base"], "time_zone: ", id="no time zone"),
        pytest.param([f"--uponai-key={KEY}", "--owner-email=ada"], "email: ", id="no address"),
        pytest.param([f"--uponai-key={KEY}", "--owner-email=ada@example.com"], "password: ", id="no password"),
    ],
)
def test_refuses_in_a_sentence_and_leaves_nothing_behind(arguments, words):
    make_workspace(slug="first")

    with pytest.raises(CommandError, match=words) as refusal:
        create(*arguments)

    assert refusal.value.returncode == 1
    assert KEY not in str(refusal.value)
    assert list(Workspace.objects.values_list("slug", flat=True)) == ["first"]
    assert not User.objects.exists()


def test_says_which_file_it_cannot_read(monkeypatch, tmp_path):
    monkeypatch.setenv("UPONAI_KEY_FILE", str(tmp_path / "nothing"))

    with pytest.raises(CommandError, match=r"UPONAI_KEY_FILE: .*nothing cannot be read: No such file"):
        create()
