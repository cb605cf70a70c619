"""REST addresses of what is allowed: phone numbers, country policies, decisions, sync."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from policies.api import country_policies, decisions, phone_numbers, sync

router = SimpleRouter()
router.register("phone-numbers", phone_numbers.PhoneNumbers, "phone-number")
router.register("country-policies", country_policies.CountryPolicies, "country-policy")
router.register("decisions", decisions.Decisions, "decision")
router.register("blocked-calls", decisions.BlockedCalls, "blocked-call")

urlpatterns = [path("sync/", sync.SyncSummary.as_view(), name="sync"), *router.urls]
