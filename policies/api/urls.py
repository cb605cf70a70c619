"""REST addresses of what is allowed: phone numbers, country policies, holds, decisions, sync."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from policies.api import country_policies, decisions, holds, phone_numbers, sync

router = SimpleRouter()
router.register("phone-numbers", phone_numbers.PhoneNumbers, "phone-number")
router.register("country-policies", country_policies.CountryPolicies, "country-policy")
router.register("holds", holds.Holds, "hold")
router.register("decisions", decisions.Decisions, "decision")
router.register("blocked-calls", decisions.BlockedCalls, "blocked-call")

urlpatterns = [
    path("sync/", sync.SyncSummary.as_view(), name="sync"),
    path("brake/", holds.Brake.as_view(), name="brake"),
    *router.urls,
]
