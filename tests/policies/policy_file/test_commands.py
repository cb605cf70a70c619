"""export_policy, plan and apply as a pipeline in CI sees them: what they print, and their exit codes."""

import io
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from accounts import workspaces
from policies.models import PolicyRevision, ProposedChange
from tests.factories import make_phone_number, make_policy, moment
from tests.policies.policy_file.files import NUMBER, everything, file_of

pytestmark = pytest.mark.django_db

NARROWER = "policies: {home: {inbound: {countries: [US]}}}"


@pytest.fixture
def path(in_workspace, tmp_path):
    make_phone_number(in_workspace, NUMBER, policy=make_policy(in_workspace, name="home"))
    path = tmp_path / "policy.yaml"
    path.write_text(file_of(in_workspace, NARROWER))
    return path


def run(*arguments):
    """Exit code, standard output and the refusal."""
    out = io.StringIO()
    try:
        call_command(*map(str, arguments), stdout=out)
    except CommandError as refusal:
        return refusal.returncode, out.getvalue(), str(refusal)
    except SystemExit as ending:
        return ending.code, out.getvalue(), ""
    return 0, out.getvalue(), ""


def test_plans_applies_and_has_nothing_left_to_do(in_workspace, path, tmp_path):
    code, said, _ = run("plan", path)
    assert (code, "- Canada (CA)" in said, "\x1b" in said) == (2, True, False)
    assert PolicyRevision.objects.count() == 1

    code, plan, _ = run("plan", path, "--json")
    (tmp_path / "plan.json").write_text(plan)
    assert (code, json.loads(plan)["state"]) == (2, "changes")

    code, said, _ = run("apply", path, "--plan", tmp_path / "plan.json")
    assert (code, "Done." in said) == (0, True)

    assert run("apply", path)[:2] == (0, f"Nothing to do: {in_workspace.slug} is as the file says.\n")
    assert run("plan", path)[0] == 0
    assert json.loads(run("apply", path, "--json")[1])["state"] == "nothing_to_do"
    assert PolicyRevision.objects.count() == 2


def test_exports_what_it_then_finds_nothing_to_do_about(in_workspace, path, monkeypatch):
    for option in ([], ["--json"]):
        exported = run("export_policy", "--workspace", in_workspace.slug, *option)[1]
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(exported.encode())))

        assert run("plan", "-", "--workspace", in_workspace.slug)[0] == 0


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_refuses_with_file_line_and_field(in_workspace, path, command):
    path.write_text(file_of(in_workspace, "policies:\n  home:\n    inbound: {countries: [US, UK]}\n"))
    before = everything(in_workspace)

    code, said, refusal = run(command, path)
    assert (code, said) == (1, "")
    assert "nothing was changed" in refusal
    assert "line 5: policies.home.inbound.countries.1: “UK” is not the code of any country." in refusal

    code, said, _ = run(command, path, "--json")
    assert code == 1
    (error,) = json.loads(said)["errors"]
    assert (error["field"], error["line"]) == ("policies.home.inbound.countries.1", 5)
    assert everything(in_workspace) == before


def test_refuses_another_workspace_s_file_and_what_it_cannot_find(in_workspace, path, tmp_path):
    plan = tmp_path / "plan"
    plan.write_text("hello")
    for arguments, sentence in [
        (["plan", path, "--workspace", "nowhere"], "no workspace 'nowhere'"),
        (["plan", tmp_path / "nothing"], "nothing cannot be read: No such file"),
        (["plan", tmp_path], "cannot be read: Is a directory"),
        (["apply", path, "--plan", tmp_path / "nothing"], "nothing cannot be read"),
        (["apply", path, "--plan", plan], "not a plan"),
        (["apply", "-", "--plan", "-"], "cannot both come from standard input"),
    ]:
        code, _, refusal = run(*arguments)
        assert (code, sentence in refusal) == (1, True), (arguments, refusal)
    path.write_text("version: 1\nworkspace: nowhere\n")
    assert "line 2: workspace: There is no workspace 'nowhere'" in run("plan", path)[2]
    assert "The file is for the workspace 'nowhere'" in run("plan", path, "--workspace", in_workspace.slug)[2]


def test_refuses_when_the_world_moved_since_the_plan(in_workspace, path, tmp_path):
    (tmp_path / "plan.json").write_text(run("plan", path, "--json")[1])
    moved = tmp_path / "other.yaml"
    moved.write_text(file_of(in_workspace, "policies: {home: {inbound: {countries: [GB]}}}"))
    run("apply", moved)

    code, _, refusal = run("apply", path, "--plan", tmp_path / "plan.json")

    assert (code, "home (revision 1 → 2)" in refusal) == (1, True)


def test_says_that_it_waits_for_a_second_person(in_workspace, path):
    workspaces.change_settings(workspace=in_workspace, approval_tier="T3", acting_user=None, now=moment())
    path.write_text(file_of(in_workspace, "policies: {home: {inbound: {countries: [US, CA, GB]}}}"))

    code, said, _ = run("apply", path)
    assert (code, "needs a second person" in said) == (0, True)

    answer = json.loads(run("apply", path, "--json")[1])
    assert answer == {"state": "awaiting_approval", "approval": ProposedChange.objects.get().pk}
    assert PolicyRevision.objects.count() == 1


def test_ends_with_1_when_it_is_called_wrongly():
    """2 would tell a pipeline that there are changes."""
    called = [sys.executable, "manage.py", "plan"]

    outcome = subprocess.run([*called, "--colour", "red"], capture_output=True, text=True, check=False)

    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert "usage: " in outcome.stderr
