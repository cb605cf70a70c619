"""The gate's own paths beside UponAI's: judge what is dialled elsewhere, tell what became of it, show a form."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from policies.gate.judging import form as forms
from policies.gate.judging import judge_door
from policies.gate.judging import outcomes as outcome_notes
from policies.gate.outbound.credentials import Caller
from policies.gate.outbound.doors import Work, serve
from policies.gate.outbound.refusals import Refused


@csrf_exempt
def judge(request: HttpRequest) -> HttpResponse:
    return serve(request, _of_backend(judge_door.judge))


@csrf_exempt
def outcomes(request: HttpRequest) -> HttpResponse:
    return serve(request, _of_backend(outcome_notes.note))


@csrf_exempt
def form(request: HttpRequest) -> HttpResponse:
    response = serve(request, forms.show, method="GET")
    patch_vary_headers(response, ["Authorization"])  # each gate key has a form of its own
    return response


def _of_backend(work: Work) -> Work:
    def checked(request: HttpRequest, caller: Caller) -> HttpResponse:
        if caller.is_page:
            raise Refused(403, "token_required", "This is for backends: show an API token, fc_…", tells_page=True)
        return work(request, caller)

    return checked
