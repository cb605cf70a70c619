"""Is it alive, and can it do its work?"""

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from redis import Redis
from redis.exceptions import RedisError

STORE_TIMEOUT_SECONDS = 1


def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers. Nothing else is asked, so that a restart is never caused by somebody else's trouble."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Database and live store answer; 503 names the one that does not."""
    troubles = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as problem:
        troubles["database"] = str(problem)
    store = Redis.from_url(settings.REDIS_URL, socket_timeout=STORE_TIMEOUT_SECONDS)
    try:
        store.ping()
    except RedisError as problem:
        troubles["live store"] = str(problem)
    finally:
        store.close()
    status = {"status": "degraded", "troubles": troubles} if troubles else {"status": "ok"}
    return JsonResponse(status, status=503 if troubles else 200)
