"""REST addresses of what is allowed: phone numbers, country policies, what holds beside them, decisions, sync."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from policies.api import (
    approvals,
    attestations,
    blocked_callers,
    country_policies,
    decisions,
    drift,
    exposure,
    holds,
    opens,
    phone_numbers,
    policy_file,
    sync,
    trusted,
    uponai,
)

router = SimpleRouter()
router.register("phone-numbers", phone_numbers.PhoneNumbers, "phone-number")
router.register("country-policies", country_policies.CountryPolicies, "country-policy")
router.register("holds", holds.Holds, "hold")
router.register("opens", opens.Opens, "open")
router.register("approvals", approvals.Approvals, "approval")
router.register("trusted", trusted.TrustedEntries, "trusted")
router.register("blocked-callers", blocked_callers.BlockedCallers, "blocked-caller")
router.register("decisions", decisions.Decisions, "decision")

urlpatterns = [
    path("sync/", sync.SyncSummary.as_view(), name="sync"),
    path("sync/check/", drift.SyncCheck.as_view(), name="sync-check"),
    path("apply/", policy_file.ApplyView.as_view(), name="apply"),
    path("exposure/", exposure.ExposureOfWorkspace.as_view(), name="exposure"),
    path("public-keys/<str:pk>/attestations/", attestations.KeyAttestations.as_view(), name="key-attestations"),
    path("workspace/attestations/", attestations.AccountAttestations.as_view(), name="account-attestations"),
    path("plan/", policy_file.PlanView.as_view(), name="plan"),
    path("policy-file/", policy_file.ExportView.as_view(), name="policy-file"),
    path("brake/", holds.Brake.as_view(), name="brake"),
    path("uponai/", uponai.Connection.as_view(), name="uponai"),
    path("uponai/connect/", uponai.ConnectView.as_view(), name="uponai-connect"),
    path("uponai/import/", uponai.ImportView.as_view(), name="uponai-import"),
    path("uponai/webhooks/", uponai.WebhooksView.as_view(), name="uponai-webhooks"),
    path("uponai/disconnect/", uponai.DisconnectView.as_view(), name="uponai-disconnect"),
    *router.urls,
]
