import io

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.factories import make_workspace

pytestmark = pytest.mark.django_db


def verify(*arguments: str) -> tuple[str, CommandError | None]:
    out, trouble = io.StringIO(), None
    try:
        call_command("verify_audit", *arguments, stdout=out)
    except CommandError as problem:
        trouble = problem
    return out.getvalue(), trouble


def tamper(workspace) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_auditentry SET action = 'nothing.happened' WHERE sequence = 2 AND workspace_id = %s",
            [workspace.pk],
        )


@pytest.fixture
def demo():
    return make_workspace(slug="demo")


def test_says_that_all_is_as_it_was_written(demo):
    printed, trouble = verify()

    assert trouble is None
    assert printed == "demo: 2 entries, all as they were written.\n"


def test_names_the_entry_that_was_altered(demo):
    tamper(demo)

    printed, trouble = verify("--workspace", "demo")

    assert trouble.returncode == 1
    assert printed == "demo: entry 2: it was altered.\n"


def test_looks_only_at_the_workspace_that_is_named(demo):
    tamper(make_workspace(slug="other"))

    assert verify("--workspace", "demo")[1] is None
    assert verify()[1].returncode == 1


def test_answers_json(demo):
    tamper(make_workspace(slug="other"))

    printed, trouble = verify("--json")

    assert trouble.returncode == 1
    assert orjson.loads(printed) == {
        "intact": False,
        "workspaces": [
            {"workspace": "demo", "entries": 2, "intact": True, "bad_sequence": None, "problem": None},
            {"workspace": "other", "entries": 1, "intact": False, "bad_sequence": 2, "problem": "it was altered"},
        ],
    }


def test_refuses_a_workspace_that_is_none():
    assert "no workspace 'nowhere'" in str(verify("--workspace", "nowhere")[1])
