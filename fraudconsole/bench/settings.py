"""The console's settings, and what the rivals it is measured against need beside them."""

from fraudconsole.settings import *  # noqa: F403
from fraudconsole.settings import REDIS_URL

ROOT_URLCONF = "fraudconsole.bench.rivals"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
