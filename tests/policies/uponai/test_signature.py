"""The webhook signature: the contract's vector, everything that must fail, and both edges of the time."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.uponai.signature import HEADER_NAMES, SignatureProblem, sign, verify

OURS, STOCK = HEADER_NAMES
KEY = "key_test_0123456789abcdef"
BODY = b'{"event":"call_inbound","call_inbound":{"from_number":"+14155550123","to_number":"+14155550100"}}'
NOW = 1_700_000_000_000
VALUE = "v=1700000000000,d=b534ce07a825bbb2dc972f0c7053915c1efbcaa212b1016ebb16f5152fb6b517"


def check(
    *,
    body: bytes = BODY,
    headers: dict[str, str] | None = None,
    secrets: tuple[str | bytes, ...] = (KEY,),
    now_ms: int = NOW,
) -> SignatureProblem | None:
    return verify(body=body, headers={OURS: VALUE} if headers is None else headers, secrets=secrets, now_ms=now_ms)


def test_signs_as_the_contract_says() -> None:
    assert len(BODY) == 97
    assert sign(body=BODY, secret=KEY, now_ms=NOW) == VALUE
    assert sign(body=BODY, secret=KEY.encode(), now_ms=NOW) == VALUE


def test_accepts_the_contracts_vector() -> None:
    assert check() is None


@pytest.mark.parametrize("offset", [0, 300_000, -300_000])
def test_accepts_up_to_five_minutes_both_ways(offset: int) -> None:
    assert check(now_ms=NOW + offset) is None


@pytest.mark.parametrize("offset", [300_001, -300_001, 10**12])
def test_refuses_beyond_five_minutes_both_ways(offset: int) -> None:
    assert check(now_ms=NOW + offset) == SignatureProblem.STALE


@pytest.mark.parametrize("headers", [{OURS: VALUE}, {STOCK: VALUE}, {OURS: VALUE, STOCK: VALUE}])
def test_accepts_either_header_and_both_when_they_agree(headers: dict[str, str]) -> None:
    assert check(headers=headers) is None


def test_refuses_two_headers_that_differ_even_when_one_is_right() -> None:
    other = sign(body=BODY, secret=KEY, now_ms=NOW + 1)

    assert check(headers={OURS: VALUE, STOCK: other}) == SignatureProblem.CONFLICTING
    assert check(headers={OURS: VALUE, STOCK: ""}) == SignatureProblem.CONFLICTING


def test_refuses_a_missing_header() -> None:
    assert check(headers={}) == SignatureProblem.MISSING


@pytest.mark.parametrize("body", [BODY.replace(b"0100", b"0101"), BODY[:-1] + b" }", b"{}"])
def test_refuses_a_changed_body(body: bytes) -> None:
    assert check(body=body) == SignatureProblem.MISMATCH


@pytest.mark.parametrize("body", [BODY + b" ", BODY + b"\n", b"", BODY + b"1"])
def test_refuses_a_body_that_does_not_end_with_a_brace(body: bytes) -> None:
    value = sign(body=body, secret=KEY, now_ms=NOW)

    assert check(body=body, headers={OURS: VALUE}) == SignatureProblem.MALFORMED
    assert check(body=body, headers={OURS: value}) == SignatureProblem.MALFORMED


@pytest.mark.parametrize("secrets", [(KEY + "x",), (KEY[:-1],), ("other",), (), ("",), (b"",)])
def test_refuses_another_key(secrets: tuple[str | bytes, ...]) -> None:
    assert check(secrets=secrets) == SignatureProblem.MISMATCH


def test_never_accepts_what_an_empty_secret_signed() -> None:
    digest = hmac.new(b"", BODY + str(NOW).encode(), hashlib.sha256).hexdigest()

    assert check(headers={OURS: f"v={NOW},d={digest}"}, secrets=("", KEY)) == SignatureProblem.MISMATCH


@pytest.mark.parametrize("secrets", [("new", KEY), (KEY, "new"), ("a", "b", KEY.encode())])
def test_accepts_any_of_several_keys_during_rotation(secrets: tuple[str | bytes, ...]) -> None:
    assert check(secrets=secrets) is None


_DIGEST = VALUE.split("d=")[1]


@pytest.mark.parametrize(
    "value",
    [
        VALUE.replace(_DIGEST, _DIGEST.upper()),
        f"d={_DIGEST},v=1700000000000",
        VALUE + " ",
        " " + VALUE,
        VALUE + "\n",
        VALUE.replace(",", ", "),
        VALUE + "," + VALUE,
        VALUE[:-1],
        VALUE + "0",
        VALUE.replace("v=1700000000000", "v=1700000000"),
        VALUE.replace("v=1700000000000", "v=17000000000000"),
        VALUE.replace("v=1700000000000", "v=-170000000000"),
        VALUE.replace("v=1700000000000", "v=١٧٠٠٠٠٠٠٠٠٠٠٠"),
        VALUE.replace("v=", "V="),
        "",
        "v=,d=",
        _DIGEST,
    ],
)
def test_refuses_a_header_of_another_form(value: str) -> None:
    assert check(headers={OURS: value}) == SignatureProblem.MALFORMED


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40).filter(str.isascii), st.integers(0, 96))
def test_accepts_what_it_signed_and_nothing_with_a_flipped_byte(filling: bytes, secret: str, where: int) -> None:
    body = b"{" + filling + b"}"
    headers = {STOCK: sign(body=body, secret=secret, now_ms=NOW)}
    place = where % (len(body) - 1)
    flipped = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]

    assert verify(body=body, headers=headers, secrets=[secret], now_ms=NOW) is None
    assert verify(body=flipped, headers=headers, secrets=[secret], now_ms=NOW) == SignatureProblem.MISMATCH


def test_agrees_with_the_stock_client_library() -> None:
    from retell.lib.webhook_auth import symmetric

    assert symmetric["sign"](BODY.decode(), KEY, NOW) == VALUE
