"""A POST with an idempotency key is carried out once, and answered as often as it is asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection

from accounts.api import repeats
from accounts.kyc import privacy
from accounts.models import KeptAnswer, KycWebhook, Subject
from accounts.scoping import scoped, unscoped
from policies.models import CountryPolicy
from tests.factories import moment
from tests.rest import assert_problem, client_of

POLICIES = "/api/v1/country-policies/"
SUBJECTS = "/api/v1/subjects/"
WEBHOOKS = "/api/v1/kyc-webhooks/"
RULES = {"mode": "list", "countries": ["US"]}
BODY = {"name": "Retail", "inbound": RULES, "outbound": RULES}
HEADER = "Idempotency-Key"


def ask(client, body=BODY, key="one", path=POLICIES):
    return client.post(path, body, format="json", headers={HEADER: key})


@pytest.mark.django_db
def test_the_same_request_gets_the_first_answer_and_is_carried_out_once(workspace):
    client = client_of(workspace)

    first, again = ask(client), ask(client)

    assert (first.status_code, again.status_code) == (201, 201), first.content
    assert again.content == first.content
    assert [again[name] for name in repeats.HEADERS] == [first[name] for name in repeats.HEADERS]
    with scoped(workspace.pk):
        assert CountryPolicy.objects.count() == 1
    assert_problem(client.post(POLICIES, BODY, format="json"), 422, "name")
    refused = ask(client, {**BODY, "name": ""}, "two")
    assert (refused.status_code, ask(client, {**BODY, "name": ""}, "two").content) == (422, refused.content)


@pytest.mark.django_db
def test_a_key_is_for_one_request_of_one_token(workspace):
    client = client_of(workspace)
    ask(client)

    assert_problem(ask(client, {**BODY, "name": "Other"}), 422, HEADER)
    assert_problem(ask(client, {"url": "https://example.com"}, path=WEBHOOKS), 422, HEADER)
    assert_problem(ask(client, key="x" * 256), 422, HEADER)
    assert ask(client_of(workspace), {**BODY, "name": "Other"}).status_code == 201


@pytest.mark.django_db
def test_what_still_runs_or_died_is_not_begun_again(workspace):
    client = client_of(workspace)
    ask(client)
    with scoped(workspace.pk):
        KeptAnswer.objects.update(status=None, answer="")

    assert_problem(ask(client), 409, HEADER)
    with unscoped(reason="the test turns the clock"):
        KeptAnswer.objects.update(at=moment() - repeats.KEPT_FOR - timedelta(seconds=1))
    assert_problem(ask(client), 422, "name")  # after a day the key is free: it was asked for as a new request


@pytest.mark.django_db
def test_secrets_of_an_answer_are_kept_sealed_and_no_longer_than_a_day(workspace):
    client = client_of(workspace)
    body = {"url": "https://hooks.example.com/kyc"}

    secret = ask(client, body, path=WEBHOOKS).json()["secret"]

    assert ask(client, body, path=WEBHOOKS).json()["secret"] == secret
    with scoped(workspace.pk):
        assert KycWebhook.objects.count() == 1
        assert secret not in KeptAnswer.objects.get().answer
    assert repeats.forget_old(now=moment()) == 0
    assert repeats.forget_old(now=moment() + repeats.KEPT_FOR + timedelta(minutes=1)) == 1


@pytest.mark.django_db
def test_answers_about_an_erased_person_are_not_given_again(workspace):
    client, body = client_of(workspace), {"reference": "customer-1", "name": "Ada Example"}
    assert ask(client, body, path=SUBJECTS).status_code == 201

    with scoped(workspace.pk):
        privacy.erase(subject=Subject.objects.get(), reason="asked for", acting_user=None, now=moment())

    assert_problem(ask(client, body, path=SUBJECTS), 409, HEADER)
    with scoped(workspace.pk):
        assert KeptAnswer.objects.get().answer == ""


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's test database cannot be shared by threads")
@pytest.mark.django_db(transaction=True)
def test_of_many_at_the_same_moment_one_is_carried_out(workspace):
    clients = [client_of(workspace)] * 4

    def asked(client):
        try:
            return ask(client, key="at once").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(clients)) as pool:
        answers = set(pool.map(asked, clients))

    assert answers <= {201, 409}
    assert 201 in answers
    with scoped(workspace.pk):
        assert CountryPolicy.objects.filter(name=BODY["name"]).count() == 1
