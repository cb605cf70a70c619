"""The addresses that UponAI and callers knock at, served by middleware.HotDoors."""

from policies.gate.urls import urlpatterns as gate

urlpatterns = [*gate]
