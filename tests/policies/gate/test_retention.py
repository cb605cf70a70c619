"""What the gate forgets, and what it must not."""

import uuid
from datetime import timedelta

import pytest

from accounts.scoping import scoped
from policies import tasks
from policies.engine import reading
from policies.gate import retention
from policies.gate.judging import repeats
from policies.models import Dial, JudgedRequest
from tests.factories import make_workspace, moment
from tests.policies.gate.charges import dial
from tests.policies.gate.outbound.conftest import CHAT, SAY, gate, sandbox_of_gate, uponai

__all__ = ["gate", "sandbox_of_gate", "uponai"]

pytestmark = pytest.mark.django_db

OLD = int((retention.DIALS_KEPT + timedelta(minutes=1)).total_seconds())
YOUNG = int((retention.DIALS_KEPT - timedelta(minutes=1)).total_seconds())


def _dial(workspace, seconds_ago, **facts):
    return dial(workspace, seconds_ago=seconds_ago, **({"state": "done", "ip": "192.0.2.1"} | facts)).pk


def _judged(workspace, ago):
    with scoped(workspace.pk):
        JudgedRequest.objects.create(
            credential="token:1", idempotency_key=str(uuid.uuid4()), body_sha256="", at=moment() - ago, answer="{}"
        )


def _kept(workspace, model=Dial):
    with scoped(workspace.pk):
        return list(model.objects.order_by("pk").values_list("pk", flat=True))


def test_forgets_old_dials_that_nothing_needs(workspace):
    other = make_workspace()
    for where in (workspace, other):
        _dial(where, OLD)
        _dial(where, OLD, state="never", ended_at=moment())
    young = _dial(workspace, YOUNG)

    tasks.forget_attempts()

    assert _kept(workspace) == [young]
    assert _kept(other) == []


@pytest.mark.parametrize(
    "needed",
    [
        {"state": "unknown", "due_at": moment()},
        {"state": "running", "due_at": moment()},
        {"state": "running"},
        {"due_at": moment()},
        {"counted_by_database": True},
    ],
    ids=["unknown", "to be asked again", "running", "due", "counted by the database"],
)
def test_keeps_what_is_not_known_or_counted_yet(workspace, needed):
    row = _dial(workspace, OLD, **needed)

    tasks.forget_attempts()

    assert _kept(workspace) == [row]


def test_forgets_judged_requests_after_a_day(workspace):
    _judged(workspace, repeats.KEPT_FOR + timedelta(minutes=1))
    _judged(workspace, repeats.KEPT_FOR - timedelta(minutes=1))

    tasks.forget_attempts()

    assert len(_kept(workspace, JudgedRequest)) == 1


def test_takes_small_batches_and_the_oldest_first(workspace, monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    newer = [_dial(workspace, OLD + seconds) for seconds in (20, 10, 30)][1]

    assert retention.forget_old(now=moment()) == 2
    assert _kept(workspace) == [newer]
    assert retention.forget_old(now=moment()) == 1
    assert retention.forget_old(now=moment()) == 0


def test_keeps_dials_longer_than_any_limit_looks_back():
    assert retention.DIALS_KEPT.total_seconds() > reading.LONGEST_WINDOW_SECONDS


def test_is_called_every_hour(settings):
    entry = settings.CELERY_BEAT_SCHEDULE["forget attempts"]

    assert (entry["task"], entry["schedule"]) == (tasks.forget_attempts.name, 3600.0)


def test_a_chat_that_was_forgotten_is_refused_in_words(gate, uponai):
    chat = gate.post(CHAT, {"agent_id": "agent_chat"}).json()["chat_id"]
    message = {"chat_id": chat, "content": "Hello"}
    assert gate.post(SAY, message).status_code == 201

    with scoped(gate.workspace.pk):
        Dial.objects.update(at=moment() - timedelta(seconds=OLD))
    tasks.forget_attempts()
    refused = gate.post(SAY, message)

    assert (refused.status_code, refused.json()["code"]) == (403, "chat_not_started_here")
    assert "so long ago that it is forgotten" in refused.json()["message"]
