"""The gate as its outbound doors are tested with, and a captcha verifier beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from policies.gate import captcha
from tests import verifier as verifiers
from tests.policies.gate.outbound.conftest import Gate, gate, sandbox_of_gate, uponai
from tests.verifier import Verifier

__all__ = ["Gate", "gate", "sandbox_of_gate", "uponai"]

JUDGE, OUTCOMES, FORM = "/gate/v1/judge", "/gate/v1/outcomes", "/gate/v1/form"
CAPTCHA = {"captcha": "recaptcha_v3", "captcha_site_key": "site-key", "captcha_secret": verifiers.SECRET}


@pytest.fixture
def verifier(settings: Any) -> Iterator[Verifier]:
    with verifiers.running() as running:
        settings.CAPTCHA_VERIFY_URLS = dict.fromkeys(captcha.KINDS, running.url)
        yield running
    captcha.forget()
