"""Random walks through the states, by whoever comes along: no approval without its people, no illegal move."""

from __future__ import annotations

import itertools
import os
import random
import threading
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections

from accounts import members, roles
from accounts.kyc import claims, due, evidence, records, review, rules
from accounts.kyc.states import LEGAL, State
from accounts.kyc.transitions import Conflict, NotEntitled
from accounts.models import KycRecord, KycTransition, Membership
from accounts.roles import Role
from accounts.scoping import scoped
from tests import factories
from tests.accounts.kyc import cases

WALKS = 20_000 if os.environ.get("NIGHTLY") else 1_000
ON_POSTGRESQL = 0.1
"""Of them: the same walks say the same there, at several times the cost."""
STEPS = 11
PEOPLE_AT_ONCE = 4
WALKS_AT_ONCE = 40
"""One walk in so many is done by several people at once."""
WALKS_OF_A_COMPANY = 50
ENTITLED = ("owner", "kyc_reviewer", "second_reviewer")
FACTS = (
    {},
    {"level": 2},
    {"level": 3},
    {"declared_countries": ["SO"]},
    {"subject": {"nationalities": ["IR"]}},
)
_purposes = itertools.count()


class Company:
    """One workspace with its people, some of whom have no business here."""

    def __init__(self, now):
        self.workspace = factories.make_workspace(uponai_key="")
        wanted = [Role.OWNER, *[Role.KYC_REVIEWER] * 2, *[Role.SECOND_REVIEWER] * 2, Role.VIEWER]
        self.people = [factories.make_member(self.workspace, role) for role in wanted]
        self.now = now

    def verbs(self, record, person, moment):
        acting = {"acting_user": person, "now": moment}
        on = {"record": record, **acting}
        row = record
        seen = {"seen_evidence": evidence.hash_of(row) if random.random() < 0.9 else "0" * 64}
        ticked = {"override_reason": "Known."} if random.random() < 0.3 else {}
        return {
            "submit": lambda: review.submit(**on),
            "claim": lambda: claims.claim(**on),
            "claim_next": lambda: claims.claim_next(workspace=self.workspace, **acting),
            "release": lambda: claims.release(**on),
            "hand_over": lambda: claims.hand_over(**on, to=random.choice(self.people)),
            "ask": lambda: review.request_information(
                **on, reason_codes=["data_missing"], text_for_subject="More, please."
            ),
            "answer": lambda: review.provide_information(**on),
            "approve": lambda: self._tick_and_approve(on, row, seen, ticked),
            "reject": lambda: review.reject(
                **on, **seen, reason_codes=["fraud"], rejection=random.choice(["retry", "final"])
            ),
            "confirm": lambda: review.confirm(**on, **seen),
            "refuse": lambda: review.refuse_proposal(**on, text_for_colleagues="No."),
            "suspend": lambda: review.suspend(**on, reason_codes=["complaint"]),
            "reopen": lambda: review.reopen(**on, text_for_colleagues="Again."),
            "withdraw": lambda: review.withdraw(**on) if random.random() < 0.1 else None,
            "erase": lambda: review.mark_erased(**on) if random.random() < 0.05 else None,
            "edit": lambda: records.edit_kyc_record(**on, declared_purpose=f"Use {next(_purposes)}"),
            "expire": lambda: due.expire_due(now=moment + timedelta(days=400)),
            "role": lambda: self._change_a_role(moment) if random.random() < 0.1 else None,
        }

    def _tick_and_approve(self, on, row, seen, override):
        if not override:
            for item in rules.CHECKLISTS[row.level]:
                review.tick(**on, item=item, done=True)
        review.approve(**on, **seen, **override)

    def _change_a_role(self, moment):
        row = random.choice(list(Membership.objects.filter(user__in=self.people[1:])))
        members.change_role(
            membership=row,
            role=random.choice([Role.KYC_REVIEWER, Role.SECOND_REVIEWER, Role.VIEWER]),
            acting_user=None,
            now=moment,
        )


# What people usually do next, so that most walks get far.
USUAL = {
    State.DRAFT: ["submit"],
    State.SUBMITTED: ["claim", "claim_next"],
    State.IN_REVIEW: ["approve", "approve", "reject", "ask"],
    State.NEEDS_INFORMATION: ["answer"],
    State.PROPOSED_APPROVE: ["confirm", "confirm", "edit"],
    State.PROPOSED_REJECT: ["confirm"],
    State.REJECTED: ["reopen", "submit"],
    State.APPROVED: ["suspend", "reopen", "expire"],
    State.SUSPENDED: ["claim"],
    State.EXPIRED: ["submit"],
}


def step(company, record, moment):
    """One attempt by somebody. Answers whether it was refused in words; anything else that is raised is a fault."""
    row = KycRecord.objects.select_related("subject").get(pk=record.pk)
    person = random.choice(company.people)
    if row.claimed_by and random.random() < 0.6:
        person = next(one for one in company.people if f"user:{one.pk}" == row.claimed_by)
    verbs = company.verbs(row, person, moment)
    usual = USUAL.get(State(row.state), [])
    name = random.choice(usual) if usual and random.random() < 0.7 else random.choice(list(verbs))
    with suppress(Conflict, NotEntitled, ValidationError):
        verbs[name]()


def check(record):
    """The whole history again, by rules written down a second time."""
    moves = list(KycTransition.objects.filter(record=record).order_by("sequence"))
    row = KycRecord.objects.get(pk=record.pk)
    assert [move.sequence for move in moves] == list(range(1, row.moves + 1))
    state, submitters, proposer, proposed_evidence = "draft", set(), None, ""
    for move in moves:
        assert move.from_state == state, "the chain is broken"
        assert move.to_state in [after.value for after in LEGAL[State(state)]], "an illegal move"
        if move.verb in ("submit", "reopen"):
            submitters.add(move.actor)
        if move.verb.startswith("propose_"):
            proposer, proposed_evidence = move.actor, move.evidence
        if move.verb in ("approve", "reject", "confirm"):
            assert move.actor.startswith("user:")
            assert move.actor not in submitters, "their own case"
            assert move.evidence
        if move.verb == "confirm":
            assert move.from_state.startswith("proposed_")
            assert proposer not in {None, move.actor}, "one person twice"
            assert proposer not in submitters
            assert move.evidence == proposed_evidence
        if move.to_state == "approved" and needs_two(record, moves[: move.sequence]):
            assert move.verb == "confirm", "one person where two are needed"
        state = move.to_state
    assert row.state == state


def needs_two(record, history):
    row = KycRecord.objects.select_related("subject").get(pk=record.pk)
    return (
        row.level == 3
        or "SO" in [country.code for country in row.declared_countries]
        or "IR" in [country.code for country in row.subject.nationalities]
        or any(move.to_state == "suspended" for move in since_submission(history))
    )


def since_submission(history):
    last = max((place for place, move in enumerate(history) if move.verb == "submit"), default=0)
    return history[last:]


@pytest.mark.timeout(900 if WALKS == 1_000 else 18_000)
@pytest.mark.django_db
def test_random_walks_never_cheat(now):
    random.seed(6)
    reached = Counter()
    walks = int(WALKS * (ON_POSTGRESQL if connection.vendor == "postgresql" else 1))
    for _ in range(walks // WALKS_OF_A_COMPANY):
        company = Company(now)
        with scoped(company.workspace.pk):
            for number in range(WALKS_OF_A_COMPANY):
                walk(company, now + timedelta(minutes=number))
            for record in KycRecord.objects.all():
                check(record)
                moves = record.transitions.all()
                reached.update({move.to_state for move in moves} | {move.verb for move in moves})
    assert reached["approved"] > walks / 8, "the walks must get far to prove anything"
    assert reached["rejected"] > walks / 20
    assert min(reached[verb] for verb in ("confirm", "cancel_proposal", "expire")) > 0


def walk(company, moment):
    record = cases.draft(company.workspace, moment, **random.choice(FACTS))
    for _ in range(STEPS):
        moment += random.choice([timedelta(seconds=5), timedelta(minutes=20), timedelta(days=5)])
        step(company, record, moment)


@pytest.mark.timeout(900 if WALKS == 1_000 else 18_000)
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite lets one writer in at a time: see the walks above")
def test_walks_of_reviewers_who_work_on_the_same_cases_at_once_never_cheat(now):
    """Each of them picks any case at every step, so that most steps meet somebody else's."""
    random.seed(7)
    company, faults = Company(now), []
    with scoped(company.workspace.pk):
        cases_ = [cases.draft(company.workspace, now, **random.choice(FACTS)) for _ in range(WALKS // WALKS_AT_ONCE)]

    def work():
        try:
            with scoped(company.workspace.pk):
                for number in range(STEPS * len(cases_) // PEOPLE_AT_ONCE):
                    step(company, random.choice(cases_), now + timedelta(minutes=number))
        except BaseException as fault:
            faults.append(fault)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(PEOPLE_AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    with scoped(company.workspace.pk):
        for record in cases_:
            check(record)
        reached = set(KycTransition.objects.values_list("to_state", flat=True))
    assert {"approved", "rejected", "proposed_approve"} <= reached


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("level", [1, 3])
def test_of_people_who_decide_at_once_one_does_and_the_others_are_told(level, now):
    """All have looked at it. On SQLite, where one writer at a time is let in, one after the other decides."""
    workspace = factories.make_workspace(uponai_key="")
    seconds = [cases.second_reviewer(workspace) for _ in range(4)]
    for round_ in range(5):
        with scoped(workspace.pk):
            case = cases.in_review(workspace, now, level=level)
            seen = evidence.hash_of(case.record)
            if level == 3:
                cases.approve(case, now)
        done, told, gate = [], [], threading.Barrier(4)

        def decide(person, case=case, seen=seen, done=done, told=told, gate=gate):
            if connection.vendor != "sqlite":
                gate.wait()
            try:
                with scoped(workspace.pk):
                    common = {"record": case.record, "seen_evidence": seen, "now": now}
                    if level == 3:
                        review.confirm(**common, acting_user=person)
                    else:
                        review.approve(**common, acting_user=case.reviewer)
                done.append(person)
            except Conflict as refusal:
                told.append(str(refusal))
            finally:
                if threading.current_thread() is not threading.main_thread():
                    connections.close_all()

        everybody_at_once(decide, seconds)
        assert (len(done), len(told)) == (1, 3), (round_, connection.vendor)
        assert all("approved" in words for words in told)
        with scoped(workspace.pk):
            assert case.record.transitions.filter(to_state="approved").count() == 1
            check(case.record)


def everybody_at_once(decide, people):
    if connection.vendor == "sqlite":
        for person in people:
            decide(person)
        return
    threads = [threading.Thread(target=decide, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_everybody_who_may_decide_is_known_to_the_walks():
    assert {role.value for role in Role if roles.allows(role, "accounts.review_kycrecord")} == set(ENTITLED)
