"""The short way to the hot doors."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import Resolver404, get_resolver

HOT_PREFIXES = ("/hooks/", "/gate/")
HOT_URLS = "fraudconsole.hot_urls"


class HotDoors:
    """Serves `/hooks/` and `/gate/` before sessions, cookies and sign-in are looked at.

    UponAI answers the call when a webhook takes too long, so this way does nothing that a webhook does not need.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(HOT_PREFIXES):
            return self.get_response(request)
        try:
            match = get_resolver(HOT_URLS).resolve(request.path_info)
        except Resolver404:
            return JsonResponse({"status": "error", "message": "There is no such path."}, status=404)
        return match.func(request, *match.args, **match.kwargs)
