"""REST addresses of who: workspace, public keys, subjects, KYC records, audit log."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api import public_keys, resources

router = SimpleRouter()
router.register("public-keys", public_keys.PublicKeys, "public-key")
router.register("subjects", resources.Subjects, "subject")
router.register("kyc-records", resources.KycRecords, "kyc-record")
router.register("audit-log", resources.AuditLog, "audit-entry")

urlpatterns = [
    path("workspace/", resources.WorkspaceSettings.as_view(), name="workspace"),
    *router.urls,
]
