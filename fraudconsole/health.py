"""Is it alive, and can it do its work?"""

import logging

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from redis import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

STORE_TIMEOUT_SECONDS = 1


def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers. Nothing else is asked, so that a restart is never caused by somebody else's trouble."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Database and live store answer; 503 names the one that does not; why is for the log, not for strangers."""
    troubles: list[str] = []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as problem:
        logger.warning("The database does not answer: %s", problem)
        troubles.append("database")
    store = Redis.from_url(settings.REDIS_URL, socket_timeout=STORE_TIMEOUT_SECONDS)
    try:
        store.ping()
    except RedisError as problem:
        logger.warning("The live store does not answer: %s", problem)
        troubles.append("live store")
    finally:
        store.close()
    status = {"status": "degraded", "troubles": troubles} if troubles else {"status": "ok"}
    return JsonResponse(status, status=503 if troubles else 200)
