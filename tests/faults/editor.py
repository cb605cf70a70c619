"""A process of its own that does what people do: one verb as a line of JSON in, what it changed as a line out.

Killed like any other process of the rig, so the tests themselves hold nothing that a crash would spare.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fraudconsole.settings")
django.setup()

from django.db import models, transaction  # noqa: E402
from django.db.models import F  # noqa: E402

from accounts import workspaces  # noqa: E402
from accounts.models import JobSlot, Workspace  # noqa: E402
from accounts.scoping import current_workspace_id, scoped  # noqa: E402
from policies import actions, bulk, held, holds  # noqa: E402
from policies.models import CountryPolicy, Hold, PhoneNumber, SyncTarget  # noqa: E402
from policies.sync import importing, lists  # noqa: E402
from tests import factories  # noqa: E402

Wanted = list[Any]
"""E.164, generation, inbound and outbound list: what UponAI is to have of a number since an edit."""


def found(*, slug: str, key: str) -> int:
    return int(factories.make_workspace(slug=slug, uponai_key=key).pk)


def bring() -> list[Wanted]:
    """Imports the workspace's numbers, as its connection does."""
    importing.import_numbers(workspace=_workspace(), acting_user=None, now=factories.moment())
    return _wanted(SyncTarget.objects.all())


def set_key(*, key: str) -> None:
    workspaces.set_uponai_key(workspace=_workspace(), key=key, acting_user=None, now=factories.moment())


def set_budget(*, requests_per_second: int) -> None:
    workspaces.change_settings(
        workspace=_workspace(), acting_user=None, now=factories.moment(), requests_per_second=requests_per_second
    )


def edit(*, e164: str, inbound: list[str], outbound: list[str], die: bool = False) -> list[Wanted]:
    """`die`: once it is committed and before anybody is rung, the process is gone."""
    now = factories.moment()
    with transaction.atomic():
        if die:
            transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
        actions.edit_phone_number(
            phone_number=PhoneNumber.objects.get(e164=e164),
            inbound_countries=inbound,
            outbound_countries=outbound,
            acting_user=None,
            now=now,
        )
    return _changed(now)


def share(*, e164s: list[str], name: str) -> list[Wanted]:
    """Lets these numbers follow one policy."""
    now, policy = factories.moment(), factories.make_policy(_workspace(), name=name)
    ids = list(PhoneNumber.objects.filter(e164__in=e164s).values_list("pk", flat=True))
    bulk.edit_phone_numbers(
        workspace_id=current_workspace_id(),
        phone_number_ids=ids,
        wanted={"policy": policy.pk},
        acting_user=None,
        now=now,
    )
    return _changed(now)


def edit_policy(*, name: str, inbound: list[str], outbound: list[str]) -> list[Wanted]:
    now = factories.moment()
    actions.edit_country_policy(
        policy=CountryPolicy.objects.get(name=name),
        inbound={"mode": "list", "countries": inbound},
        outbound={"mode": "list", "countries": outbound},
        acting_user=None,
        now=now,
    )
    return _changed(now)


def assign(*, e164: str, name: str) -> list[Wanted]:
    now = factories.moment()
    number, policy = PhoneNumber.objects.get(e164=e164), CountryPolicy.objects.get(name=name)
    actions.assign_country_policy(phone_number=number, policy=policy, acting_user=None, now=now)
    return _changed(now)


def revert(*, e164: str) -> list[Wanted]:
    """Back to the first revision of what the number follows."""
    now = factories.moment()
    policy = PhoneNumber.objects.select_related("policy").get(e164=e164).policy
    actions.revert_country_policy(policy=policy, revision_number=1, acting_user=None, now=now)
    return _changed(now)


def hold(*, scope: str, value: str) -> list[Wanted]:
    now = factories.moment()
    holds.impose(
        workspace_id=current_workspace_id(),
        scope=scope,
        value=value,
        reason="a spike",
        expires_at=now + timedelta(days=1),
        acting_user=None,
        now=now,
    )
    return _changed(now)


def lift(*, scope: str, value: str) -> list[Wanted]:
    now = factories.moment()
    held_now = Hold.objects.filter(scope=scope, value=value, settled_at=None).first()
    if held_now is not None:
        holds.lift(hold=held_now, acting_user=None, now=now)
    return _changed(now)


def local() -> list[dict[str, Any]]:
    """Every number of the workspace: what UponAI is to have, and what the console believes of it."""
    targets = SyncTarget.objects.select_related("phone_number__policy__current_revision")
    now = factories.moment()
    held_now, opened = held.of_lists(now), held.opens_of_lists(now)
    return [
        {
            "e164": target.phone_number.e164,
            "lists": lists.desired(
                target.phone_number.policy.current_revision,
                e164=target.phone_number.e164,
                holds=held_now,
                opens=opened,
            ).as_json(),
            "desired_generation": target.desired_generation,
            "applied_generation": target.applied_generation,
            "state": target.state,
            "leased": target.lease_token is not None,
            "attempts": target.attempts,
            "error": target.error,
            "due_at": str(target.due_at),
        }
        for target in targets
    ]


def unsynced() -> int:
    """How many numbers UponAI does not have yet, as the console believes: told in no time, however many there are."""
    arrived = SyncTarget.objects.filter(state=SyncTarget.State.SYNCED, applied_generation=F("desired_generation"))
    return int(SyncTarget.objects.exclude(pk__in=arrived.values("pk")).count())


def slots() -> str:
    """Which periodic jobs claimed how many periods."""
    counted = JobSlot.objects.values_list("job").annotate(models.Count("pk")).order_by("job")
    return ", ".join(f"{job} {count}" for job, count in counted) or "no job claims its periods"


def _workspace() -> Workspace:
    return Workspace.objects.get(pk=current_workspace_id())


def _changed(now: Any) -> list[Wanted]:
    return _wanted(SyncTarget.objects.filter(desired_at=now))


def _wanted(targets: Any) -> list[Wanted]:
    """Only this process edits, so what is wanted of a row now is what its generation stands for."""
    now = factories.moment()
    held_now, opened = held.of_lists(now), held.opens_of_lists(now)
    answer = []
    for target in targets.select_related("phone_number__policy__current_revision"):
        number = target.phone_number
        wanted = lists.desired(number.policy.current_revision, e164=number.e164, holds=held_now, opens=opened)
        answer.append([number.e164, target.desired_generation, *wanted.as_json().values()])
    return answer


VERBS: dict[str, Callable[..., Any]] = {
    verb.__name__: verb
    for verb in (
        *(found, bring, set_key, set_budget, edit, share, edit_policy, assign, revert, hold, lift),
        *(local, unsynced, slots),
    )
}


def main() -> None:
    for line in sys.stdin:
        asked, started = json.loads(line), time.monotonic()
        place = scoped(asked["workspace"]) if asked["workspace"] else nullcontext()
        try:
            with place:
                answer = {"result": VERBS[asked["verb"]](**asked["arguments"])}
        except actions.Refused as refused:
            answer = {"refused": str(refused)}
        print(json.dumps(answer | {"seconds": time.monotonic() - started}), flush=True)


if __name__ == "__main__":
    main()
