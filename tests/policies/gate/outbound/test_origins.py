"""What a browser is told: it may ask, and its page may read the answer where its web site is one of the key's."""

import pytest
from django.test import Client

from tests.policies.gate.outbound.conftest import CALL, CHAT, DIAL, PEER, SAY, SITE, SMS, WEB

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", [CALL, SMS, WEB, CHAT, SAY])
@pytest.mark.parametrize("origin", [SITE, "https://evil.example", "null"])
def test_answers_a_preflight_alike_for_every_page(gate, path, origin):
    asked = "Authorization, Content-Type, Idempotency-Key, X-Captcha-Token, X-Stainless-Lang, X-Evil"

    response = Client().options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": asked,
        },
    )

    assert (response.status_code, response.content) == (204, b"")
    assert response["Access-Control-Allow-Origin"] == "*"
    assert "POST" in response["Access-Control-Allow-Methods"]
    allowed = response["Access-Control-Allow-Headers"].split(", ")
    for name in ("authorization", "content-type", "idempotency-key", "x-captcha-token", "x-end-user-token"):
        assert name in allowed
    assert "x-stainless-lang" in allowed
    assert "x-evil" not in allowed
    assert "Access-Control-Allow-Credentials" not in response


def test_lets_the_keys_own_page_read_answers_and_refusals(gate, uponai):
    key = gate.key()

    for body in ({"to_number": PEER}, {"to_number": "nonsense"}, {"to_number": PEER, "metadata": {}}):
        response = gate.page(CALL, key, body)
        assert response["Access-Control-Allow-Origin"] == SITE
        assert {"X-Decision-Id", "Retry-After"} <= set(response["Access-Control-Expose-Headers"].split(", "))
        assert response["Vary"] == "Origin"


def test_lets_no_other_page_read_anything(gate, uponai):
    key = gate.key()
    answers = [
        gate.page(CALL, key, {"to_number": PEER}, origin="https://evil.example"),
        gate.page(CALL, key, b"not json", origin="https://evil.example"),
        gate.post(CALL, DIAL, Origin=SITE),  # an API token belongs into no page
        gate.post(CALL, DIAL, credential="pk_" + "a" * 32, Origin=SITE),
    ]

    for response in answers:
        assert "Access-Control-Allow-Origin" not in response
        assert response["Vary"] == "Origin"
