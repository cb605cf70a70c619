"""The Celery application. Celery is the bell that makes due rows prompt; the rows are the queue of record."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fraudconsole.settings")

app = Celery("fraudconsole")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
