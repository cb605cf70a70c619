"""What the verbs of KYC refuse, as answers of the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rest_framework import status
from rest_framework.exceptions import APIException

from accounts.api.problems import Refused
from accounts.kyc.transitions import Conflict, EvidenceChanged, NotEntitled, TakesAnother, WrongState


class Conflicting(APIException):
    status_code = status.HTTP_409_CONFLICT


@contextmanager
def telling_refusals() -> Iterator[None]:
    try:
        yield
    except EvidenceChanged as refusal:
        raise Refused("evidence-changed", str(refusal)) from None
    except WrongState as refusal:
        raise Refused("wrong-state", str(refusal)) from None
    except Conflict as refusal:
        raise Conflicting(str(refusal)) from None
    except TakesAnother as refusal:
        raise Refused("four-eyes", str(refusal)) from None
    except NotEntitled as refusal:
        raise Refused("role-missing", str(refusal)) from None
