"""The page of one case in tests: how it is asked for, read and answered, and a case in a reviewer's hands."""

import re
from html import unescape

import pytest
from django.urls import reverse

from tests.accounts.kyc import cases

PREFIX = "admin:accounts_kycrecord_"


def address(name, record):
    return reverse(PREFIX + name, args=[record.pk])


def page_of(client, record):
    return client.get(address("change", record))


def text_of(response):
    plain = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", unescape(plain))


def as_user(client, user):
    client.force_login(user)
    return client


def verbs_on(response):
    return [choice.verb for choice in response.context["choices"]]


def decide(client, record, verb, **form):
    """Posts the form as the page shows it to this person."""
    seen = page_of(client, record).context
    hidden = {"verb": verb, "seen_evidence": seen["seen_evidence"], "seen_pieces": seen["seen_pieces"]}
    return client.post(address("decide", record), hidden | form)


@pytest.fixture
def case(in_workspace, now):
    return cases.in_review(in_workspace, now, level=2, declared_countries=["GB", "DE"], declared_calls_per_day=50)


@pytest.fixture
def reviewer(client, case):
    return as_user(client, case.reviewer)
