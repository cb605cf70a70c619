"""Makes the wiring package known to Django: static files, deployment checks, the Celery application."""

from django.apps import AppConfig


class FraudconsoleConfig(AppConfig):
    name = "fraudconsole"

    def ready(self) -> None:
        # Both register themselves. The sandbox imports this package too, so they are not in its __init__.
        from fraudconsole import celery, checks  # noqa: F401
