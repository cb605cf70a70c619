"""What `accounts` itself can loosen, settings and public keys, and the second person it needs. Lent by `gate_rules`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from django.core.exceptions import ValidationError

from accounts import keys
from accounts.audit import Acting
from accounts.models import PublicKey, Workspace
from policies import approvals, widening
from policies.engine.widenings import EVERY_COUNTRY, Other, Widening
from policies.widening import NeedsApproval, Wish

_SECRET_WAITS = "Save the secret by itself first: what waits for a second person is kept without secrets."  # noqa: S105


def ask_about_settings(
    before: Mapping[str, Any], changes: Mapping[str, Any], workspace: Workspace, *, acting_user: Acting, now: datetime
) -> None:
    """To ask for less is a widening itself, or one person could do it and then all else; so is another home country,
    whose calls are normal from then on. Raises NeedsApproval for all of `changes`; `before` tells what they were.

    Where nobody else could ever agree it is done at once, and the audit log says by whom.
    """
    from_tier = str(before.get("approval_tier", workspace.approval_tier))
    others = []
    if from_tier > workspace.approval_tier:
        others.append(Other("changes that would not wait any more", from_tier))
    if str(before.get("home_country", workspace.home_country)) != str(workspace.home_country):
        others.append(Other("calls to and from what would be the home country", from_tier))
    if not others or not approvals.could_anybody_approve(acting_user, now=now):
        return
    wish = Wish(
        "change_settings",
        about="Settings: fewer changes that need a second person",
        arguments={name: _plain(value) for name, value in changes.items()},
        base_version=version_of({name: before[name] for name in changes}),
    )
    loosened = Widening("This workspace", "", {}, tuple(others))
    widening.require(wish, [loosened], acting_user=acting_user, now=now, from_tier=from_tier)


def ask_to_observe_key(
    public_key: PublicKey,
    before: Mapping[str, Any] | None,
    changes: Mapping[str, Any],
    *,
    acting_user: Acting,
    now: datetime,
) -> None:
    """Nothing is enforced of attempts with a key that is only observed, so it reaches every country. Raises
    NeedsApproval. `before`: None for a key that was just minted."""
    given: dict[str, Any] = {name: value for name, value in changes.items() if name != "captcha_secret"}
    about = f"Public key “{public_key.name}” is only observed"
    if before is None:
        wish = Wish("mint_public_key", about=about, arguments={"changes": given})
    else:
        wish = Wish(
            "edit_public_key",
            about=about,
            arguments={"public_key": public_key.pk, "changes": given},
            base_version=version_of({name: before[name] for name in keys.EDITABLE}),
            about_model="publickey",
            about_id=public_key.pk,
        )
    found = widening.of_countries(EVERY_COUNTRY, about=public_key.name, directions=["outbound"])
    try:
        widening.require(wish, found, acting_user=acting_user, now=now)
    except NeedsApproval:
        if changes.get("captcha_secret"):
            raise ValidationError({"captcha_secret": _SECRET_WAITS}) from None
        raise


def version_of(values: Mapping[str, Any]) -> str:
    """Changes whenever one of these does."""
    said = orjson.dumps(dict(values), default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(said).hexdigest()[:16]


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | dict | list) else str(value)
