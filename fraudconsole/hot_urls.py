"""The addresses that UponAI and callers knock at, served by middleware.HotDoors."""

from monitoring.ingest.urls import urlpatterns as ingest
from policies.gate.urls import urlpatterns as gate

urlpatterns = [*gate, *ingest]
