"""Addresses of KYC outside of REST: the subject's page, a provider's door, and documents as reviewers see them."""

from django.urls import path

from accounts.kyc import document_page, provider_door, upload_page

urlpatterns = [
    path("kyc/upload/<str:token>/", upload_page.upload, name="kyc_upload"),
    path("kyc/provider-results/<str:endpoint>/", provider_door.receive, name="kyc_provider_results"),
    path("admin/kyc/documents/<str:ticket>", document_page.show, name="kyc_document"),
]
