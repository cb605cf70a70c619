"""The one way in which the sandbox says no."""

from __future__ import annotations

BAD_REQUEST = "Invalid request format, please check API reference."
UNAUTHORISED = "API key is missing or invalid."
NOT_FOUND = "The requested resource was not found."
NO_ASSET = "Cannot find requested asset under given api key."
RATE_LIMITED = "Account rate limited, please throttle your requests."
SERVER_ERROR = "An unexpected server error occurred."


class Refusal(Exception):
    """An answer with an error status; `message` is the whole of what the caller is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def malformed(field: str, expectation: str) -> Refusal:
    return Refusal(400, f"{BAD_REQUEST} {field}: {expectation}.")


def missing_asset() -> Refusal:
    """The older of the two ways UponAI says "not found": phone numbers and version 2 calls."""
    return Refusal(422, NO_ASSET)


def not_found() -> Refusal:
    return Refusal(404, NOT_FOUND)
