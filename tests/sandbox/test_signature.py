from __future__ import annotations

import pytest
from retell.lib import verify

from fraudconsole.sandbox.signature import HEADER_NAMES, sign, signature_headers

KEY = "key_test_0123456789abcdef"
BODY = b'{"event":"call_inbound","call_inbound":{"from_number":"+14155550123","to_number":"+14155550100"}}'
VECTOR = "v=1700000000000,d=b534ce07a825bbb2dc972f0c7053915c1efbcaa212b1016ebb16f5152fb6b517"


def test_signs_as_the_published_vector_says() -> None:
    assert len(BODY) == 97
    assert sign(BODY, KEY, 1_700_000_000_000) == VECTOR


@pytest.mark.parametrize(("body", "key"), [(BODY + b" ", KEY), (BODY, KEY + "0")], ids=["another body", "another key"])
def test_changes_with_every_byte(body: bytes, key: str) -> None:
    assert sign(body, key, 1_700_000_000_000) != VECTOR


def test_satisfies_the_stock_library_under_both_header_names() -> None:
    headers = signature_headers(BODY, KEY)

    assert set(headers) == set(HEADER_NAMES)
    assert all(verify(BODY.decode(), KEY, value) for value in headers.values())
    assert not verify(BODY.decode() + " ", KEY, headers["X-Retell-Signature"])
