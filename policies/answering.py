"""How a phone number is answered, beside its countries: enforced or observed, the guarded agent, chained webhooks."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from accounts.audit import Acting
from accounts.models import Workspace
from accounts.workspaces import taking_turns
from policies.changes import tell
from policies.models import PhoneNumber
from policies.rules_input import KEEP, FieldProblem, Refused
from policies.wishes import Asking

URL_FIELDS: Final = ("chained_webhook_url", "chained_sms_webhook_url")
FIELDS: Final = ("mode", "guarded_agent", *URL_FIELDS)
LONGEST_URL: Final = PhoneNumber._meta.get_field("chained_webhook_url").max_length
LONGEST_AGENT: Final = PhoneNumber._meta.get_field("guarded_agent").max_length


def edit_answering(
    *,
    phone_number: PhoneNumber,
    acting_user: Acting,
    now: datetime,
    mode: Any = KEEP,
    guarded_agent: Any = KEEP,
    chained_webhook_url: Any = KEEP,
    chained_sms_webhook_url: Any = KEEP,
) -> bool:
    """Changes what is given; an empty text takes it away. False where all was so already. Raises Refused."""
    given = {
        "mode": mode,
        "guarded_agent": guarded_agent,
        "chained_webhook_url": chained_webhook_url,
        "chained_sms_webhook_url": chained_sms_webhook_url,
    }
    wanted = _checked({name: value for name, value in given.items() if value is not KEEP}, phone_number.workspace_id)
    with taking_turns(phone_number.workspace_id):
        number = PhoneNumber.objects.select_for_update().get(pk=phone_number.pk)
        before = {name: getattr(number, name) for name in wanted}
        changed = {name: value for name, value in wanted.items() if before[name] != value}
        if not changed:
            return False
        PhoneNumber.objects.filter(pk=number.pk).update(**changed)
        tell(
            number.workspace_id,
            action="phone_number.edit_answering",
            subject=number,
            acting_user=acting_user,
            now=now,
            before={name: without_secrets(before[name]) for name in changed},
            after={name: without_secrets(value) for name, value in changed.items()},
        )
        if changed.get("mode") == PhoneNumber.Mode.OBSERVING:
            Asking(acting_user=acting_user, now=now).to_observe_number(number)
    return True


def _checked(given: dict[str, Any], workspace_id: int) -> dict[str, str]:
    problems, wanted = [], {}
    for name, value in given.items():
        text = value.strip() if isinstance(value, str) else value
        problem = _problem(name, text, workspace_id)
        if problem:
            problems.append(FieldProblem(name, "invalid", problem))
        wanted[name] = text
    if problems:
        raise Refused(problems)
    return wanted


def _problem(name: str, text: Any, workspace_id: int) -> str:
    if name == "mode":
        return "" if text in PhoneNumber.Mode.values else 'mode is either "enforcing" or "observing".'
    longest = LONGEST_URL if name in URL_FIELDS else LONGEST_AGENT
    if not isinstance(text, str) or len(text) > longest or not text.isprintable():
        return f"{name} must be text of at most {longest} characters, in one line."
    return url_problem(name, text, workspace_id) if name in URL_FIELDS and text else ""


def url_problem(name: str, text: str, workspace_id: int) -> str:
    """Why this address cannot be asked behind the console's; empty where it can."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or any(character.isspace() for character in text):
        return f"{name} must be a whole address that begins with https:// or http://."
    endpoint = Workspace.objects.values_list("endpoint", flat=True).get(pk=workspace_id)
    ours = urlsplit(settings.CONSOLE_URL)
    if f"/hooks/{endpoint}/" in parts.path or (parts.netloc == ours.netloc and parts.path.startswith("/hooks/")):
        return f"{name} is this console's own webhook: it would ask itself, again and again. Name your own webhook."
    if _is_inside(host):
        return f"{name} must be on the public internet; {host} is not."
    return ""


def _is_inside(host: str) -> bool:
    """Where the address is written out. A name is looked up when it is asked."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" and not settings.CHAINED_WEBHOOKS_ON_LOOPBACK
    if address.is_loopback:
        return not settings.CHAINED_WEBHOOKS_ON_LOOPBACK
    return not address.is_global


def without_secrets(value: str) -> str:
    """An address for the audit log and for readers: without user, password and query."""
    if "://" not in value:
        return value
    parts = urlsplit(value)
    secret = "…" if parts.query or "@" in parts.netloc else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{secret}"
