"""REST addresses of what happened: calls and usage. The last of the API's, so it also answers for what is nothing."""

from django.urls import path, re_path
from rest_framework.routers import SimpleRouter

from accounts.api.views import NoSuchAddress
from monitoring.api import calls, usage

router = SimpleRouter()
router.register("calls", calls.Calls, "call")

urlpatterns = [
    path("usage/", usage.Usage.as_view(), name="usage"),
    *router.urls,
    re_path(r"^.*\Z", NoSuchAddress.as_view(), name="nothing"),
]
