"""Tokens: the whole secret opens, not its beginning."""

import pytest

from accounts import tokens
from tests.factories import make_token, moment

pytestmark = pytest.mark.django_db


def test_knows_a_token_by_its_whole_secret(workspace):
    text = make_token(workspace)
    body = text[: len(tokens.MARK) + tokens.IDENTIFIER_LENGTH] + "0" * tokens.SECRET_LENGTH
    forged = body + tokens._checksum(body)  # well formed, and known by its public part

    assert tokens.find_token(text, now=moment()).workspace == workspace
    assert tokens.find_token(forged, now=moment()) is None
