"""The gate's hot doors."""

from django.urls import path

from policies.gate import inbound

urlpatterns = [
    path("hooks/<str:endpoint>/inbound", inbound.inbound),
]
