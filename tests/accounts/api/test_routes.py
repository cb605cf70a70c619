"""The whole map of /api/v1/: nothing is reachable without a scope, nothing answers in another shape."""

import re
from collections.abc import Iterator

import pytest
import yaml
from django.core.management import call_command
from django.urls import URLPattern, get_resolver
from rest_framework.test import APIClient

from accounts.api.permissions import HasScope, scope_of
from accounts.api.views import NoSuchAddress
from accounts.tokens import EVERYTHING, RESOURCES
from policies.engine.names import Reason
from tests.factories import make_phone_number, make_workspace
from tests.rest import assert_problem, client_of

METHODS = ("get", "post", "put", "patch", "delete")


def _patterns(patterns, prefix="") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield path, pattern
        else:
            yield from _patterns(pattern.url_patterns, path)


def routes() -> list[tuple[str, type, dict[str, str]]]:
    """Every address of the API with its view class and, for a set of views, what each method does."""
    found = []
    for path, pattern in _patterns(get_resolver().url_patterns):
        if path.startswith("api/v1/") and pattern.callback.cls is not NoSuchAddress:
            example = re.sub(r"\(\?P<\w+>.*?\+\)", "1", path).replace("^", "").replace(r"\Z", "").replace("$", "")
            found.append((f"/{example}", pattern.callback.cls, getattr(pattern.callback, "actions", {}) or {}))
    return found


ROUTES = [pytest.param(*route, id=route[0]) for route in routes()]


def test_knows_the_addresses():
    addresses = {address for address, _view, _actions in routes()}

    assert {"/api/v1/phone-numbers/", "/api/v1/phone-numbers/1/retry/", "/api/v1/usage/"} <= addresses


@pytest.mark.parametrize(("address", "view", "actions"), ROUTES)
def test_declares_a_scope_for_every_method(address, view, actions):
    assert view.scope_resource in RESOURCES
    assert view.permission_classes == [HasScope]
    for method in METHODS:
        instance = view()
        instance.action = actions.get(method)
        assert scope_of(instance, method.upper()).partition(":")[0] == view.scope_resource


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "view", "actions"), ROUTES)
def test_lets_nobody_in_without_token_or_scope(address, view, actions, workspace):
    foreign = "gate:read" if view.scope_resource != "gate" else "calls:read"
    stranger, poor = APIClient(), client_of(workspace, foreign)

    for method in METHODS:
        assert_problem(getattr(stranger, method)(address), 401)
        assert_problem(getattr(poor, method)(address), 403)


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "view", "actions"), ROUTES)
def test_answers_a_method_it_does_not_have_with_a_problem(address, view, actions, workspace):
    client = client_of(workspace, EVERYTHING)

    response = client.put(address, {})

    assert_problem(response, 405)
    assert "PUT" not in response["Allow"]
    assert client.options(address).status_code == 204


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["98765", "999999999999999999999999", "abc", "%00", "+14155550199", "..%2F", "１"])
@pytest.mark.parametrize(
    "list_address",
    sorted({address for address, _view, actions in routes() if "list" in actions.values()}),
)
def test_answers_alike_for_the_absent_and_the_foreign(list_address, name, workspace):
    make_phone_number(make_workspace(), "+14155550199")

    response = client_of(workspace).get(f"{list_address}{name}/")

    problem = assert_problem(response, 404)
    assert problem["detail"] == "There is nothing with this name in this workspace."


def test_describes_itself_without_a_warning(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yml"))

    schema = yaml.safe_load((tmp_path / "schema.yml").read_text())
    assert schema["components"]["schemas"]["Reason"]["enum"] == [reason.value for reason in Reason]
    assert schema["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    ours = {path: operations for path, operations in schema["paths"].items() if path.startswith("/api/v1/")}
    for path, operations in ours.items():
        for operation in operations.values():
            assert operation["security"] == [{"token": []}], path
            problem = operation["responses"]["401"]["content"]["application/problem+json"]
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert "Needs the scope `" in operation["description"]
