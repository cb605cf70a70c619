"""The API for public keys and KYC statuses that UponAI is assumed to have one day. Nothing else knows its paths.

UponAI documents none: its dashboard alone shows and changes these. `UPONAI_MANAGEMENT` says which form is assumed:
"" for none, which is how UponAI is, or "sandbox" for what the sandbox offers under /sandbox/.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import httpx
from django.conf import settings

from policies.uponai.client import UNAUTHORISED, UponaiClient, UponaiTrouble

PUBLIC_KEY: Final = "public_key"
KYC_STATUS: Final = "kyc_status"

CALLED: Final = {"sandbox": "UponAI (sandbox, assumed API)"}
KEYS_PATH: Final = "/sandbox/public-keys"
KYC_PATH: Final = "/sandbox/kyc-status"

Facts = dict[str, Any]


def is_assumed() -> bool:
    """Whether there is any API to talk to."""
    return bool(settings.UPONAI_MANAGEMENT)


def called() -> str:
    """How pages call what was asked, so that nobody takes it for UponAI itself."""
    return CALLED[settings.UPONAI_MANAGEMENT]


def public_key_facts(*, domains: list[str], fraud_protection: bool, recaptcha_threshold: float | None) -> Facts:
    """What a public key is to be like there; `recaptcha_threshold` None for no Abuse Prevention."""
    facts: Facts = {
        "domains": sorted(domain.lower() for domain in domains),
        "fraud_protection": fraud_protection,
        "abuse_prevention": recaptcha_threshold is not None,
    }
    return facts if recaptcha_threshold is None else facts | {"score_threshold": recaptcha_threshold}


def kyc_facts(level: int) -> Facts:
    """What is told of a subject; level 0 for who is not approved (any more)."""
    return {"approved": level > 0, "level": level}


def read(client: UponaiClient, kind: str, name: str) -> Facts | None:
    """What UponAI has of it, None where it has nothing. Raises UponaiTrouble."""
    if kind == KYC_STATUS:
        return _subject(_ask(client, "GET", KYC_PATH, params={"subject": name}), name)
    try:
        return _key(_ask(client, "GET", _key_path(name)))
    except UponaiTrouble as trouble:
        if trouble.status == httpx.codes.NOT_FOUND:
            return None
        raise


def write(client: UponaiClient, kind: str, name: str, wanted: Facts | None, *, is_there: bool) -> None:
    """Has UponAI keep `wanted`, or forget it where that is None. What it answers proves nothing: read it again."""
    if kind == KYC_STATUS:
        _ask(client, "PATCH", KYC_PATH, params={"subject": name}, json={"subjects": {name: wanted}})
    elif wanted is None:
        _ask(client, "DELETE", _key_path(name))
    elif is_there:
        _ask(client, "PATCH", _key_path(name), json=wanted)
    else:
        _ask(client, "POST", KEYS_PATH, json={"key": name, **wanted})


def same(wanted: Facts | None, seen: Facts | None) -> bool:
    """Whether UponAI has what is wanted; what it has beside that is its own affair."""
    if wanted is None or seen is None:
        return wanted is seen
    return all(seen.get(name) == value for name, value in wanted.items())


def _ask(client: UponaiClient, method: str, path: str, **arguments: Any) -> Any:
    """A refused key is said to be refused here: what is documented may well take it."""
    try:
        return client.ask(method, path, **arguments)
    except UponaiTrouble as trouble:
        if trouble.status != UNAUTHORISED:
            raise
        sentence = f"{called()} refuses the workspace's key (401). Nothing else waits for that."
        raise UponaiTrouble(sentence, status=trouble.status) from None


def _key_path(key: str) -> str:
    # A dot is written out as well: "..", as the last part of a path, would be another path.
    return f"{KEYS_PATH}/{quote(key, safe='').replace('.', '%2E')}"


def _key(body: Any) -> Facts:
    if not isinstance(body, dict) or not isinstance(body.get("domains"), list):
        raise UponaiTrouble("UponAI's public key is not in the assumed form.", ambiguous=True)
    return body | {"domains": sorted(str(domain).lower() for domain in body["domains"])}


def _subject(body: Any, name: str) -> Facts | None:
    subjects = body.get("subjects") if isinstance(body, dict) else None
    found = subjects.get(name) if isinstance(subjects, dict) else None
    if not isinstance(subjects, dict) or not isinstance(found, dict | None):
        raise UponaiTrouble("UponAI's KYC status is not in the assumed form.", ambiguous=True)
    return found
