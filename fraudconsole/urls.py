"""Every address of the console, except those that UponAI and callers knock at (see middleware.HotDoors)."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts.api.problems_page import ProblemsPage
from fraudconsole import health
from monitoring.admin import ungated_page
from policies.admin import exposure_page

api_v1 = [
    path("", include("accounts.api.urls")),
    path("", include("policies.api.urls")),
    path("", include("monitoring.api.urls")),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("", include("accounts.kyc.urls")),
    path("admin/", include("monitoring.dashboards.urls")),
    path("admin/exposure/", admin.site.admin_view(exposure_page.view), name="exposure-page"),
    path("admin/ungated/", admin.site.admin_view(ungated_page.view), name="ungated-page"),
    path("admin/", admin.site.urls),
    path("api/v1/", include((api_v1, "api"))),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/problems", ProblemsPage.as_view(), name="problems"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
