"""The events' hot door."""

from django.urls import path

from monitoring.ingest import door

urlpatterns = [
    path("hooks/<str:endpoint>/events", door.events),
]
