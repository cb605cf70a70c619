"""What the verbs of KYC refuse, as answers of the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rest_framework import status
from rest_framework.exceptions import APIException

from accounts.kyc.transitions import Conflict, NotEntitled


class Refused(APIException):
    """What a verb refused, in its own words."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.status_code = code


@contextmanager
def telling_refusals() -> Iterator[None]:
    try:
        yield
    except Conflict as refusal:
        raise Refused(status.HTTP_409_CONFLICT, str(refusal)) from None
    except NotEntitled as refusal:
        raise Refused(status.HTTP_403_FORBIDDEN, str(refusal)) from None
