"""`embedded.env`: the secrets and addresses that the first start makes and every later one keeps."""

import base64
import secrets

from fraudconsole.env import embedded_redis_url, read_file
from fraudconsole.launcher.family import write_whole
from fraudconsole.launcher.preflight import Plan

HEADING = """\
# Written by `make run`. Commands typed by hand (manage.py …) read it, so they find the running demo.
# The process environment and .env win over it. Keep it secret, and together with the database, whose secrets
# ENCRYPTION_KEYS open.
"""
# The sandbox answers to this machine alone, and its key is the one its documentation names.
SANDBOX_KEY = "key_sandbox"
COLOURS = (
    "amber",
    "azure",
    "coral",
    "crimson",
    "golden",
    "indigo",
    "ivory",
    "jade",
    "lilac",
    "olive",
    "pearl",
)
ANIMALS = (
    "badger",
    "beaver",
    "bison",
    "falcon",
    "ferret",
    "heron",
    "lynx",
    "otter",
    "puffin",
    "raven",
    "stork",
)


def prepare_environment(plan: Plan) -> dict[str, str]:
    """Add what is missing, put this start's addresses right, and give back all of it."""
    path = plan.data / "embedded.env"
    fresh = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
        "SANDBOX_API_KEY": SANDBOX_KEY,
        "DEMO_PASSWORD": make_password(),
    }
    values = fresh | read_file(path) | {"CONSOLE_URL": plan.console_url}
    for name, address, is_ours in (
        ("UPONAI_API_URL", plan.sandbox_url, plan.has_sandbox),
        # The demo's UponAI has an API for keys and KYC statuses; the real one has not.
        ("UPONAI_MANAGEMENT", "sandbox", plan.has_sandbox),
        ("REDIS_URL", embedded_redis_url(plan.data), plan.own_store),
    ):
        if is_ours:
            values[name] = address
        else:
            values.pop(name, None)
    write_whole(path, HEADING + "".join(f"{name}={value}\n" for name, value in values.items()))
    return values


def make_password() -> str:
    """Readable aloud, and unguessable enough for a console that only this machine can reach."""
    return f"{secrets.choice(COLOURS)}-{secrets.choice(ANIMALS)}-{secrets.randbelow(9000) + 1000}"
