"""Whatever people, UponAI and strangers do in whatever order: what must always be so, and in the end both are equal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from accounts import workspaces
from accounts.scoping import scoped
from policies import actions
from policies.models import CountryPolicy, PhoneNumber, SyncTarget
from policies.sync import drift, importing, lists, push, schedule
from policies.uponai.client import UponaiTrouble
from tests import factories
from tests.faults.judging import LISTS, SANCTIONED
from tests.faults.rig import NIGHTLY, once_is_enough, same, say
from tests.sandbox.conftest import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(7200 if NIGHTLY else 180), once_is_enough]

RUNS, STEPS = (2000, 50) if NIGHTLY else (12, 20)
NUMBERS = [f"+141555501{line:02d}" for line in range(4)]
COUNTRIES = ["US", "CA", "GB", "DE", "FR", "CU", "RU"]
KINDS = ["500", "429", "late_apply", "garbage", "truncated", "noop_200", "reset"]
ROUNDS = 400

numbers = st.sampled_from(NUMBERS)
some_countries = st.lists(st.sampled_from(COUNTRIES), min_size=1, max_size=4, unique=True)
QUIET = {"rate": 0}


class Sync(RuleBasedStateMachine):
    """A workspace with four numbers; its clock is moved by the rules alone."""

    uponai: Sandbox
    made = 0

    @initialize()
    def found(self) -> None:
        Sync.made += 1
        self.uponai.post("reset")
        self.key = f"key_{Sync.made}"
        self.now = factories.moment()
        self.unrestricted: set[str] = set()
        self.judged = 0
        self.foreign: list[int] = []
        self.meddled: set[str] = set()
        self._admit()
        self.uponai.post("numbers", numbers=[{"phone_number": e164, LISTS[0]: ["US", "CU"]} for e164 in NUMBERS])
        self.workspace = factories.make_workspace(uponai_key=self.key, requests_per_second=1000)
        self.scope = scoped(self.workspace.pk)
        self.scope.__enter__()
        self._import()

    # --- What people do

    @rule(e164=numbers, inbound=some_countries, outbound=some_countries)
    def edit(self, e164: str, inbound: list[str], outbound: list[str]) -> None:
        number = PhoneNumber.objects.filter(e164=e164).first()
        if number is None:
            return
        try:
            actions.edit_phone_number(
                phone_number=number, inbound_countries=inbound, outbound_countries=outbound, **self._acting()
            )
        except actions.Refused:
            assert SANCTIONED & {*inbound, *outbound}

    @rule(e164=numbers)
    def unrestrict(self, e164: str) -> None:
        self.unrestricted.add(e164)
        actions.edit_phone_number(
            phone_number=PhoneNumber.objects.get(e164=e164),
            inbound_countries=None,
            confirm_unrestricted=True,
            reason="a hotline",
            **self._acting(),
        )

    @rule(chosen=st.lists(numbers, min_size=2, unique=True), inbound=some_countries)
    def bulk_edit(self, chosen: list[str], inbound: list[str]) -> None:
        policy = factories.make_policy(self.workspace, inbound=["US"], outbound=["US"])
        for number in PhoneNumber.objects.filter(e164__in=chosen):
            actions.assign_country_policy(phone_number=number, policy=policy, **self._acting())
        lawful = sorted({*inbound} - SANCTIONED) or ["US"]
        actions.edit_country_policy(
            policy=CountryPolicy.objects.get(pk=policy.pk),
            inbound={"mode": "list", "countries": lawful},
            **self._acting(),
        )

    @rule()
    def change_key(self) -> None:
        old, self.key = self.key, f"{self.key}x"
        self._admit(old)
        workspaces.set_uponai_key(workspace=self.workspace, key=self.key, **self._acting())
        self._admit()

    @rule()
    def import_again(self) -> None:
        self._import()

    # --- What UponAI and strangers do

    @rule(e164=numbers)
    def number_is_given_up(self, e164: str) -> None:
        self.uponai.post("faults", **QUIET)
        self._behind_our_back("DELETE", f"/delete-phone-number/{e164}")

    @rule(e164=numbers)
    def number_is_bought(self, e164: str) -> None:
        if e164 not in self._remote():
            self.meddled.add(e164)
            self.uponai.post("numbers", numbers=[{"phone_number": e164, LISTS[1]: ["US"]}])

    @rule(e164=numbers, countries=some_countries)
    def somebody_writes_there(self, e164: str, countries: list[str]) -> None:
        self.uponai.post("faults", **QUIET)
        self._behind_our_back("PATCH", f"/update-phone-number/{e164}", {LISTS[0]: countries})

    @rule(kind=st.sampled_from(KINDS), rate=st.sampled_from([0.3, 1.0]), seed=st.integers(1, 99))
    def faults_begin(self, kind: str, rate: float, seed: int) -> None:
        self.uponai.post("faults", kinds=[kind], rate=rate, seed=seed, late_seconds=[0.05, 0.1])

    @rule()
    def faults_end(self) -> None:
        self.uponai.post("faults", **QUIET)

    # --- What the console does

    @rule(seconds=st.integers(1, 40))
    def workers_work(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        for target in schedule.due_targets(now=self.now)[:6]:
            push.push(target, clock=lambda: self.now)

    @rule(e164=numbers)
    def a_worker_dies(self, e164: str) -> None:
        """With the lease in its hand."""
        SyncTarget.objects.filter(phone_number__e164=e164, lease_token=None, due_at__isnull=False).update(
            lease_until=self.now + push.LEASE, lease_token="6f2c8a40-0000-4000-8000-000000000000"
        )

    @rule()
    def compare(self) -> None:
        self._compare()

    # --- What must always be so

    @invariant()
    def what_was_sent_is_lawful(self) -> None:
        for change in self.uponai.get("log", after=self.judged):
            self.judged = change["n"]
            if change["n"] in self.foreign or change["method"] != "PATCH":
                continue
            for name in LISTS:
                countries = change["body"].get(name, ["-"])
                e164 = change["path"].rpartition("/")[2]
                assert not SANCTIONED & {*(countries or ())}, change
                assert countries != [], change
                assert countries is not None or name == LISTS[1] or e164 in self.unrestricted, change

    @invariant()
    def nothing_is_applied_that_nobody_wants_yet(self) -> None:
        for target in SyncTarget.objects.all():
            assert target.applied_generation <= target.desired_generation

    def teardown(self) -> None:
        if hasattr(self, "scope"):
            self.uponai.post("faults", **QUIET)
            self._settle()
            self.scope.__exit__(None, None, None)

    # --- How

    def _settle(self) -> None:
        """What nobody meddled with becomes equal without the comparison, which would hide what a push missed."""
        self._until_equal(lambda: None, but=self.meddled)
        self._import()
        self._until_equal(self._compare, but=set())

    def _until_equal(self, look: Callable[[], None], *, but: set[str]) -> None:
        # Whatever was carried out late has been by now: a tenth of a second at most.
        for _ in range(ROUNDS):
            self.now += timedelta(seconds=30)
            look()
            schedule.recover(now=self.now)
            for target in schedule.due_targets(now=self.now):
                push.push(target, clock=lambda: self.now)
            if not (apart := [found for found in self._apart() if found[0] not in but]):
                return
        raise AssertionError(f"Never equal: {apart}")

    def _apart(self) -> list[Any]:
        remote, apart = self._remote(), []
        for target in SyncTarget.objects.select_related("phone_number__policy__current_revision"):
            e164 = target.phone_number.e164
            if e164 not in remote:
                continue
            wanted = lists.desired_of(target, now=self.now).as_json()
            shown = {"inbound": remote[e164].get(LISTS[0]), "outbound": remote[e164].get(LISTS[1])}
            decided = target.state == SyncTarget.State.DRIFT and not target.due_at  # a person has to say
            if not decided and (not same(wanted, shown) or target.applied_generation != target.desired_generation):
                apart.append((e164, target.state, target.error, wanted, shown))
        return apart

    def _compare(self) -> None:
        with _no_trouble():
            drift.check(self.workspace.pk, clock=lambda: self.now)

    def _import(self) -> None:
        with _no_trouble():
            importing.import_numbers(workspace=self.workspace, **self._acting())

    def _acting(self) -> dict[str, Any]:
        self.now += timedelta(milliseconds=1)
        return {"acting_user": None, "now": self.now}

    def _admit(self, *others: str) -> None:
        self.uponai.post("settings", api_keys=[self.key, *others])

    def _remote(self) -> dict[str, Any]:
        self.uponai.post("faults", **QUIET)
        headers = {"Authorization": f"Bearer {self.key}"}
        items = self.uponai.http.get("/v2/list-phone-numbers", headers=headers).json()["items"]
        return {item["phone_number"]: item for item in items}

    def _behind_our_back(self, method: str, path: str, body: Any = None) -> None:
        self.meddled.add(path.rpartition("/")[2])
        headers = {"Authorization": f"Bearer {self.key}"}
        if self.uponai.http.request(method, path, json=body, headers=headers).is_success:
            self.foreign.append(self.uponai.get("log")[-1]["n"])


def _no_trouble() -> contextlib.suppress:
    return contextlib.suppress(UponaiTrouble, drift.Busy, workspaces.NoUponaiKey)


def test_whatever_happens_in_whatever_order(uponai: Sandbox) -> None:
    """S10."""
    Sync.uponai, Sync.made = uponai, 0
    run_state_machine_as_test(
        Sync,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not NIGHTLY,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink] if NIGHTLY else [Phase.generate],
        ),
    )
    say(f"S10: {Sync.made} runs of up to {STEPS} steps, equal at the end of each")
