"""All settings, from the environment alone. Every variable is explained in `.env.example`."""

from urllib.parse import urlsplit

import dj_database_url

from fraudconsole import navigation
from fraudconsole.env import DEFAULT_WEB_THREADS, PROJECT_ROOT, BadSetting, Environment, data_dir, embedded_redis_url

environment = Environment.load()

BASE_DIR = PROJECT_ROOT
DATA_DIR = data_dir()

# --- Who may reach it -----------------------------------------------------------------------------

DEBUG = environment.flag("DEBUG")
SECRET_KEY = environment.text("SECRET_KEY")
if not SECRET_KEY:
    raise BadSetting("SECRET_KEY is not set. `make run` makes one for the demo; elsewhere set it yourself.")
ENCRYPTION_KEYS = environment.words("ENCRYPTION_KEYS")
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
TRUSTED_PROXIES = environment.networks("TRUSTED_PROXIES")
CONSOLE_URL = environment.text("CONSOLE_URL", "http://127.0.0.1:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = [CONSOLE_URL]

_served_over_tls = CONSOLE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _served_over_tls
SESSION_COOKIE_NAME = "__Host-session" if _served_over_tls else "session"
SECURE_HSTS_SECONDS = 31_536_000 if _served_over_tls else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- UponAI ---------------------------------------------------------------------------------------

UPONAI_API_URL = environment.text("UPONAI_API_URL", "https://api.uponai.com").rstrip("/")
# UponAI's own name first, then that of its upstream; both present and different is refused.
UPONAI_SIGNATURE_HEADERS = environment.words("UPONAI_SIGNATURE_HEADERS", "X-UponAI-Signature,X-Retell-Signature")

# Where people look up what no API tells. UponAI's pages name its dashboard, and never its address.
UPONAI_DASHBOARD_URL = environment.text("UPONAI_DASHBOARD_URL", "https://uponai.com")
# UponAI has no API for public keys and KYC statuses. "sandbox": the one that is assumed, which the sandbox has.
UPONAI_MANAGEMENT = environment.choice("UPONAI_MANAGEMENT", ("", "sandbox"))
if UPONAI_MANAGEMENT and (urlsplit(UPONAI_API_URL).hostname or "").endswith("uponai.com"):
    raise BadSetting("UPONAI_MANAGEMENT must be empty with UponAI itself: what it would be told, it has no API for.")

# --- Captcha --------------------------------------------------------------------------------------

CAPTCHA_VERIFY_URLS = environment.addresses(
    "CAPTCHA_VERIFY_URLS",
    {
        "recaptcha_v3": "https://www.google.com/recaptcha/api/siteverify",
        "recaptcha_v2": "https://www.google.com/recaptcha/api/siteverify",
        "hcaptcha": "https://api.hcaptcha.com/siteverify",
        "turnstile": "https://challenges.cloudflare.com/turnstile/v0/siteverify",
    },
)

# A customer's own webhook is on the public internet. The demo's may be on this machine, as the demo itself is.
CHAINED_WEBHOOKS_ON_LOOPBACK = (urlsplit(CONSOLE_URL).hostname or "") in ("localhost", "127.0.0.1", "::1")

# --- Mail -----------------------------------------------------------------------------------------

globals().update(environment.mail("EMAIL_URL", DATA_DIR / "mail"))
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = SERVER_EMAIL = environment.text("DEFAULT_FROM_EMAIL", "fraudconsole@localhost")

# --- Threads of a web process ----------------------------------------------------------------------

WEB_THREADS = environment.number("WEB_THREADS", DEFAULT_WEB_THREADS)
# How many processes there are is known to whoever starts them; `checks` looks whether the database bears it.
WORKER_PROCESSES = environment.number("WORKER_PROCESSES", 1)
WEB_CONCURRENCY = environment.number("WEB_CONCURRENCY", 1)
# Of those that judge inbound calls, so many at most wait for webhooks of customers.
MOST_CHAINED_AT_ONCE = max(1, WEB_THREADS // 8)

# --- The demo -------------------------------------------------------------------------------------

# Both are read by `seed_demo` alone; `make run` makes them on its first start.
SANDBOX_API_KEY = environment.text("SANDBOX_API_KEY", "key_sandbox")
DEMO_PASSWORD = environment.text("DEMO_PASSWORD")

# --- The house ------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "fraudconsole",
    "accounts",
    "policies",
    "monitoring",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_countries",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    # First, so that UponAI's webhooks pay for nothing they do not use.
    "fraudconsole.middleware.HotDoors",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.CurrentWorkspace",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "policies.middleware.SecondPerson",
]

ROOT_URLCONF = "fraudconsole.urls"
WSGI_APPLICATION = "fraudconsole.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.middleware.workspace_context",
            ],
        },
    },
]

# --- Data -----------------------------------------------------------------------------------------


def _database() -> dict[str, object]:
    url = environment.text("DATABASE_URL")
    if url:
        database = dict(dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True))
        if str(database["ENGINE"]).endswith("postgresql"):
            # A webhook must not wait for a database that does not answer: UponAI would let the agent answer.
            options = {"connect_timeout": 3, **dict(database.get("OPTIONS") or {})}
            return database | {"OPTIONS": options}
        return database
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "fraudconsole.sqlite3",
        "OPTIONS": {
            # A transaction that reads before it writes would otherwise fail at once with
            # "database is locked" when a second process writes meanwhile.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        },
    }


DATABASES = {"default": _database()}
REDIS_URL = environment.text("REDIS_URL") or embedded_redis_url(DATA_DIR)

# What subjects hand in: sealed, and outside of everything that has an address.
DOCUMENTS_DIR = environment.text("DOCUMENTS_DIR") or str(DATA_DIR / "documents")
# A clamd: unix:///run/clamav/clamd.ctl or tcp://127.0.0.1:3310. Where it is set and does not answer, no file is taken.
DOCUMENT_SCANNER = environment.text("DOCUMENT_SCANNER")

# --- People ---------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

# --- Language, time, static files -----------------------------------------------------------------

LANGUAGE_CODE = "en-us"
TIME_ZONE = environment.text("TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = True
STATIC_URL = "static/"
STATIC_ROOT = environment.text("STATIC_ROOT") or None
# Served straight from the packages: compressing them once took minutes, finding them takes a moment.
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600

# --- Work in the background -----------------------------------------------------------------------


def _broker_url(redis_url: str) -> str:
    if redis_url.startswith("unix://"):
        return "redis+socket://" + redis_url.removeprefix("unix://")
    return redis_url


CELERY_BROKER_URL = _broker_url(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": "celery:",
    "visibility_timeout": 300,
    "socket_connect_timeout": 2,
    "socket_timeout": 30,
    "unacked_restore_throttle": 1,
    # Without these a web request would try for 6 s to ring the bell of a dead broker, each time.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
# `expires`: a bell that nobody heard in time is worth nothing, the next one rings soon.
CELERY_BEAT_SCHEDULE = {
    "record decisions": {
        "task": "policies.tasks.record_decisions",
        "schedule": 1.0,
        "options": {"expires": 5},
    },
    "publish snapshots": {
        "task": "policies.tasks.publish_snapshots",
        "schedule": 1.0,
        "options": {"expires": 5},
    },
    "sweep sync targets": {
        "task": "policies.tasks.sweep_sync_targets",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "sweep drift": {"task": "policies.tasks.sweep_drift", "schedule": 15.0, "options": {"expires": 15}},
    "sweep dials": {"task": "policies.tasks.sweep_dials", "schedule": 5.0, "options": {"expires": 5}},
    "sweep holds": {"task": "policies.tasks.sweep_holds", "schedule": 2.0, "options": {"expires": 5}},
    "sweep declared use": {
        "task": "policies.tasks.sweep_declared_use",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "forget erased subjects": {
        "task": "policies.tasks.forget_erased_subjects",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "retire public keys": {"task": "policies.tasks.retire_public_keys", "schedule": 60.0, "options": {"expires": 60}},
    "sweep KYC": {"task": "accounts.tasks.sweep_kyc", "schedule": 15.0, "options": {"expires": 15}},
    "deliver KYC webhooks": {
        "task": "accounts.tasks.deliver_kyc_webhooks",
        "schedule": 2.0,
        "options": {"expires": 5},
    },
    "forget KYC": {"task": "accounts.tasks.forget_kyc", "schedule": 3600.0, "options": {"expires": 600}},
    "forget answers": {"task": "accounts.tasks.forget_answers", "schedule": 3600.0, "options": {"expires": 600}},
    "roll up": {"task": "monitoring.tasks.roll_up", "schedule": 2.0, "options": {"expires": 10}},
    "list blocked calls": {
        "task": "monitoring.tasks.list_blocked_calls",
        "schedule": 1.0,
        "options": {"expires": 5},
    },
    "count parties": {"task": "monitoring.tasks.count_parties", "schedule": 10.0, "options": {"expires": 10}},
    "sweep events": {"task": "monitoring.tasks.sweep_events", "schedule": 2.0, "options": {"expires": 10}},
    "watch for alerts": {"task": "monitoring.tasks.watch_for_alerts", "schedule": 5.0, "options": {"expires": 5}},
    "mail messages": {"task": "monitoring.tasks.mail_messages", "schedule": 10.0, "options": {"expires": 10}},
    "sweep relays": {"task": "monitoring.tasks.sweep_relays", "schedule": 2.0, "options": {"expires": 5}},
    "write digests": {"task": "monitoring.tasks.write_digests", "schedule": 60.0, "options": {"expires": 60}},
    "forget messages": {"task": "monitoring.tasks.forget_messages", "schedule": 3600.0, "options": {"expires": 600}},
    "sweep pulls": {"task": "monitoring.tasks.sweep_pulls", "schedule": 10.0, "options": {"expires": 10}},
    "sweep concurrency": {"task": "monitoring.tasks.sweep_concurrency", "schedule": 15.0, "options": {"expires": 15}},
    "forget samples": {"task": "monitoring.tasks.forget_samples", "schedule": 3600.0, "options": {"expires": 600}},
    "forget attempts": {"task": "policies.tasks.forget_attempts", "schedule": 3600.0, "options": {"expires": 600}},
    "forget history": {"task": "monitoring.tasks.forget_history", "schedule": 3600.0, "options": {"expires": 600}},
    "forget minutes": {"task": "monitoring.tasks.forget_minutes", "schedule": 900.0, "options": {"expires": 600}},
}
if UPONAI_MANAGEMENT:
    CELERY_BEAT_SCHEDULE["sweep managed records"] = {
        "task": "policies.tasks.sweep_managed_records",
        "schedule": 5.0,
        "options": {"expires": 5},
    }

# --- REST -----------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.api.authentication.ApiTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.api.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "accounts.api.pagination.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["accounts.api.inputs.KnownParameters"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "policies.api.approvals.as_answer",
    "PAGE_SIZE": 50,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "fraudconsole",
    "DESCRIPTION": "Stop toll fraud and abuse of voice agents: policies, keys, calls and their verdicts.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "fraudconsole.gate_openapi.describe_gate",
    ],
    # Each of these is a list of its own though all are called scope.
    "ENUM_NAME_OVERRIDES": {
        "KycState": "accounts.kyc.states.State",
        "KnownSenderKind": "monitoring.models.KnownSender.Kind",
        "KycDocumentKind": "accounts.models.KycDocument.Kind",
        "AlertKind": "monitoring.models.Alert.Kind",
        "PublicKeyKind": "accounts.models.PublicKey.Kind",
        "SyncState": "policies.models.SyncTarget.State",
        "UponaiConnectionState": "policies.api.uponai.STATES",
        "HoldScope": "policies.models.Hold.Scope",
        "OpenScope": "policies.api.opens.SCOPES",
        "TrustedScope": "policies.api.trusted.SCOPES",
        "BlockedCallerScope": "policies.api.blocked_callers.SCOPES",
    },
}

# --- The console's look ---------------------------------------------------------------------------

UNFOLD = navigation.UNFOLD

# --- Log ------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"refused": {"()": "fraudconsole.log_lines.RefusedIsNoFailure"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["refused"]}},
    "root": {"handlers": ["stderr"], "level": environment.text("LOG_LEVEL", "INFO")},
    "loggers": {
        # Beat rings every second; each ring would be four lines.
        "celery.beat": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
    },
}
