"""REST addresses of who: workspace, public keys, end users, KYC records, audit log."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api import end_user_tokens, kyc, kyc_webhooks, public_keys, resources, workspace

router = SimpleRouter()
router.register("public-keys", public_keys.PublicKeys, "public-key")
router.register("subjects", kyc.Subjects, "subject")
router.register("kyc-records", kyc.KycRecords, "kyc-record")
router.register("kyc-webhooks", kyc_webhooks.KycWebhooks, "kyc-webhook")
router.register("audit-log", resources.AuditLog, "audit-entry")

urlpatterns = [
    path("workspace/", workspace.WorkspaceSettings.as_view(), name="workspace"),
    path("end-user-tokens/", end_user_tokens.EndUserTokens.as_view(), name="end-user-tokens"),
    *router.urls,
]
