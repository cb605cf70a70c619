"""REST addresses of what happened. The last of the API's, so it also answers for what is nothing."""

from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from accounts.api.views import NoSuchAddress
from monitoring.api import blocked_calls, calls, events, known_senders, messages, usage

router = SimpleRouter()
router.register("blocked-calls", blocked_calls.BlockedCalls, "blocked-call")
router.register("calls", calls.Calls, "call")
router.register("events", events.Events, "event")
router.register("known-senders", known_senders.KnownSenders, "known-sender")
router.register("alerts", messages.Alerts, "alert")
router.register("relays", messages.Relays, "relay")
router.register("digests", messages.Digests, "digest")

urlpatterns = [
    path("usage/", usage.Usage.as_view(), name="usage"),
    *router.urls,
    re_path(r"^.*\Z", NoSuchAddress.as_view(), name="nothing"),
]
