"""Charges, spends and rows of dials for tests."""

import uuid
from datetime import timedelta

from accounts.scoping import scoped
from policies.engine.limits import MEASURES, Charge, Limit, LimitName
from policies.gate import store
from policies.models import Dial
from tests.factories import moment

NEW = "+4477001"
DESTINATION = "+447700190123"


def charge(name=LimitName.IP, key="192.0.2.1", limit=3, window=600, **kind):
    return Charge(name, MEASURES[name], key, Limit(limit, window), **kind)


def running(limit=2, key="5", **kind):
    return charge(LimitName.RUNNING_KEY, key, limit, 0, **kind)


def money(micro, limit=1, key="5", **kind):
    return charge(LimitName.SPEND_KEY, key, limit, 86_400, amount=micro, **kind)


def spend(workspace, *charges, decision_id=None, key=None, version=None, **how):
    return store.spend(
        workspace.pk,
        version=version,
        key=key,
        decision_id=decision_id or str(uuid.uuid4()),
        decision=b'{"decision":1}',
        answer=b"yes",
        limited_answer=b"no",
        guarded_answer=b"careful",
        charges=charges,
        **how,
    )


def dial(workspace, *charges, seconds_ago=1, **facts):
    """The row of an attempt that was let through."""
    facts = {"decision_id": uuid.uuid4(), "to_number": DESTINATION, "country": "GB", "call_seconds": 180} | facts
    with scoped(workspace.pk):
        return Dial.objects.create(
            workspace=workspace,
            at=moment() - timedelta(seconds=seconds_ago),
            channel="phone_call",
            idempotency_key=str(facts["decision_id"]),
            charges=[charge.as_list() for charge in charges],
            **facts,
        )
