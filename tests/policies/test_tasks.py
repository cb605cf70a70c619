"""The worker's tasks share its threads fairly."""

import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from accounts import keys
from policies import lists, opens, tasks
from policies.models import ListEntry, Open, SyncTarget
from tests.factories import make_phone_number, moment


@pytest.fixture
def answers_slowly(settings):
    """An UponAI that answers everything with 503, after a while; answers how many requests it had at once at most."""
    running, most, lock = 0, [0], threading.Lock()

    class Slow(BaseHTTPRequestHandler):
        def do_PATCH(self):
            nonlocal running
            with lock:
                running += 1
                most[0] = max(most[0], running)
            time.sleep(0.3)
            with lock:
                running -= 1
            self.send_error(503)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.UPONAI_API_URL = f"http://127.0.0.1:{server.server_port}"
    yield most
    server.shutdown()


@pytest.mark.django_db
def test_sends_what_else_is_due_after_what_it_was_rung_for(in_workspace, answers_slowly):
    first, second = (make_phone_number(in_workspace, f"+1415555010{n}", synced=False) for n in (1, 2))

    tasks.push_phone_number(sync_target_id=first.sync_target.pk)

    assert {row.attempts for row in SyncTarget.objects.filter(phone_number__in=[first, second])} == {1}


@pytest.mark.django_db
def test_leaves_rows_alone_that_others_are_at_already(in_workspace, answers_slowly):
    number = make_phone_number(in_workspace, synced=False)

    with ExitStack() as others:
        assert all(others.enter_context(tasks._desk.place()) for _ in range(tasks.PUSHES_AT_ONCE))
        tasks.push_phone_number(sync_target_id=number.sync_target.pk)
        tasks.sweep_sync_targets()

    target = SyncTarget.objects.get(phone_number=number)
    assert (target.attempts, target.due_at <= moment()) == (0, True)


@pytest.mark.django_db(transaction=True)
def test_keeps_threads_free_while_uponai_hangs(workspace, answers_slowly):
    from django.db import connection

    if connection.vendor == "sqlite":
        pytest.skip("SQLite's test database cannot be shared by threads")
    numbers = [make_phone_number(workspace, f"+1415555010{n}", synced=False) for n in range(6)]
    rung = [
        threading.Thread(target=tasks.push_phone_number, kwargs={"sync_target_id": number.sync_target.pk})
        for number in numbers
    ]

    for thread in rung:
        thread.start()
    for thread in rung:
        thread.join()

    assert answers_slowly[0] <= tasks.PUSHES_AT_ONCE
    assert min(SyncTarget._base_manager.values_list("attempts", flat=True)) >= 1


@pytest.mark.django_db
def test_the_sweep_carries_the_end_of_opens_and_of_list_entries_through(in_workspace):
    then = moment() - timedelta(hours=2)
    facts = {"reason": "for an hour", "expires_at": then + timedelta(hours=1), "acting_user": None, "now": then}
    opens.open_temporarily(workspace_id=in_workspace.pk, scope="country", value="KE", **facts)
    lists.block_caller(workspace_id=in_workspace.pk, scope="prefix", value="+4474", **facts)

    tasks.sweep_holds()

    assert Open.objects.get().settled_at is not None
    assert not ListEntry.objects.exists()


@pytest.mark.django_db
def test_a_rotated_key_is_revoked_when_its_overlap_is_over(in_workspace):
    then = moment() - timedelta(days=8)
    facts = {"name": "Website", "domains": ["www.example.com"], "channels": ["chat"]}
    key = keys.mint_public_key(workspace=in_workspace, acting_user=None, now=then, **facts)
    keys.rotate_public_key(public_key=key, acting_user=None, now=then)

    tasks.retire_public_keys()

    key.refresh_from_db()
    assert key.status == "revoked"
