"""An inbound webhook is answered while the database hangs: by the last known lists, else with a rejection."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from django.db import DatabaseError, connection

from accounts.models import Workspace
from accounts.scoping import current_workspace_id, scoped
from policies.gate import patience, snapshots
from tests.factories import make_phone_number, make_workspace
from tests.policies.gate.webhooks import ACCEPTED, CANADIAN, JAMAICAN, OUR_NUMBER, REJECTED, body, deliver

REJECT_ALL = {"call_inbound": {"reject": True}, "chat_inbound": {"reject": True}}


@pytest.fixture(autouse=True)
def _patient_again():
    patience.ask_again()
    yield
    patience.ask_again()


@pytest.fixture
def hanging():
    over = threading.Event()
    yield lambda: over.wait(30)
    over.set()


def waiting():
    return [thread for thread in threading.enumerate() if thread.name == "patience"]


def test_waits_without_end_where_nobody_is_in_a_hurry():
    assert patience.in_time(threading.current_thread) is threading.current_thread()


@pytest.mark.django_db(transaction=True)
def test_leaves_behind_what_does_not_answer_in_time(hanging):
    with patience.at_most(0.05), pytest.raises(DatabaseError):
        patience.in_time(hanging)

    assert waiting()


@pytest.mark.django_db(transaction=True)
def test_others_do_not_wait_for_what_was_silent_a_moment_ago(hanging):
    with patience.at_most(0.05), pytest.raises(patience.OutOfTime):
        patience.in_time(hanging)
    asked: list[int] = []

    with patience.at_most(10.0), pytest.raises(patience.OutOfTime, match="a moment ago"):
        patience.in_time(lambda: asked.append(1))

    assert asked == []


@pytest.mark.django_db(transaction=True)
def test_hands_on_answers_troubles_and_the_workspace():
    def fail():
        raise LookupError("no such thing")

    with patience.at_most(20.0), scoped(7):
        assert patience.in_time(current_workspace_id) == 7
        with pytest.raises(LookupError, match="no such thing"):
            patience.in_time(fail)


@pytest.mark.django_db(transaction=True)
def test_all_that_is_asked_shares_the_time(hanging):
    with patience.at_most(0.0), pytest.raises(patience.OutOfTime):
        patience.in_time(lambda: 1)


# --- The door, while PostgreSQL is there and says nothing ------------------------------------------


@pytest.fixture
def locked():
    """A function that makes every query for workspaces hang until the test is over."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's test database cannot be locked from outside")
    import psycopg

    settings = connection.settings_dict
    other = psycopg.connect(
        host=settings["HOST"], port=settings["PORT"], dbname=settings["NAME"], user=settings["USER"]
    )
    yield lambda: other.execute(f'LOCK TABLE "{Workspace._meta.db_table}" IN ACCESS EXCLUSIVE MODE')
    other.rollback()
    other.close()
    for thread in waiting():
        thread.join(20)


@pytest.fixture
def number(transactional_db):
    workspace = make_workspace()
    make_phone_number(workspace, OUR_NUMBER)
    return workspace


@pytest.mark.django_db(transaction=True)
def test_a_process_that_knows_nothing_rejects(number, locked):
    locked()

    assert deliver(number, body(call_id="call_1")).json() == REJECT_ALL

    assert waiting()


@pytest.mark.django_db(transaction=True)
def test_a_process_that_knows_older_lists_decides_by_them(number, locked, nobody_listens, monkeypatch):
    deliver(number, body(call_id="call_1"))
    monkeypatch.setattr(snapshots, "POLL_SECONDS", 0.0)
    locked()

    assert deliver(number, body(CANADIAN, call_id="call_2")).json() == ACCEPTED
    assert waiting()
    assert deliver(number, body(JAMAICAN, call_id="call_3")).json() == REJECTED


# --- The door, while somebody else writes to SQLite -------------------------------------------------

BESIDE_A_WRITER = """
import os, sqlite3, sys, threading
sys.path.insert(0, os.getcwd())
os.environ["DJANGO_SETTINGS_MODULE"] = "fraudconsole.settings"
import django
django.setup()
from django.conf import settings
from django.core.management import call_command
call_command("migrate", verbosity=0)
from tests.factories import make_phone_number, make_workspace
from tests.policies.gate.webhooks import CANADIAN, CUBAN, JAMAICAN, OUR_NUMBER, body, deliver
settings.ALLOWED_HOSTS = ["*"]
workspace = make_workspace()
make_phone_number(workspace, OUR_NUMBER)
deliver(workspace, body(call_id="warm"))
writer = sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None)
writer.execute("BEGIN IMMEDIATE")
for caller in (CANADIAN, JAMAICAN, CUBAN):
    answer = deliver(workspace, body(caller, call_id=caller)).json()
    print(caller, answer["call_inbound"], flush=True)
print("left behind:", sum(thread.name == "patience" for thread in threading.enumerate()), flush=True)
writer.execute("ROLLBACK")
for thread in threading.enumerate():
    if thread.name == "patience":
        thread.join(30)
from accounts.scoping import scoped
from policies.models import Decision
with scoped(workspace.pk):
    print("recorded:", *Decision.objects.order_by("id").values_list("call_reference", flat=True), flush=True)
"""


def test_answers_while_somebody_writes_and_records_it_when_they_are_done(tmp_path):
    """Without the live store each decision is written before it is answered, and SQLite has one writer at a time."""
    environment = os.environ | {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": "",
        "REDIS_URL": "unix:///nowhere/valkey.sock",
        "LOG_LEVEL": "CRITICAL",
    }
    done = subprocess.run(
        [sys.executable, "-c", BESIDE_A_WRITER], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{CANADIAN} {{}}",
        f"{JAMAICAN} {{'reject': True}}",
        "+5351234567 {'reject': True}",
        "left behind: 1",
        f"recorded: warm {CANADIAN}",
    ]
