"""The gate in OpenAPI: every door is described, and says no only as it is described."""

import ast
from pathlib import Path

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from policies.engine.names import Reason
from policies.gate.outbound import refusals
from policies.gate.urls import urlpatterns
from tests.policies.gate.outbound.conftest import SITE, gate

__all__ = ["gate"]

DOORS = sorted(f"/{entry.pattern}" for entry in urlpatterns if str(entry.pattern).startswith("gate/"))
GATE = Path(refusals.__file__).parents[1]


@pytest.fixture(scope="module")
def schema():
    return SchemaGenerator().get_schema(request=None, public=True)


def _operation(schema, door):
    ((method, operation),) = schema["paths"][door].items()
    return method, operation


def test_describes_every_door_and_no_other(schema):
    assert [path for path in sorted(schema["paths"]) if path.startswith("/gate/")] == DOORS
    assert len(DOORS) == 8


def test_has_both_credentials(schema):
    schemes = schema["components"]["securitySchemes"]
    assert {name: scheme["bearerFormat"] for name, scheme in schemes.items()} == {"token": "fc_…", "gate_key": "pk_…"}

    asked = {door: [*map(tuple, _operation(schema, door)[1]["security"])] for door in DOORS}
    assert asked.pop("/gate/v1/form") == [("gate_key",)]
    assert asked.pop("/gate/v1/judge") == asked.pop("/gate/v1/outcomes") == [("token",)]
    assert {tuple(schemes) for schemes in asked.values()} == {(("token",), ("gate_key",))}


def test_names_the_headers(schema):
    named = {parameter["name"] for parameter in _operation(schema, "/gate/v2/create-phone-call")[1]["parameters"]}

    assert named == {
        *("Idempotency-Key", "X-Captcha-Token", "Origin"),
        *("X-End-User-Id", "X-End-User-IP", "X-End-User-Token"),
    }


def test_names_every_code_that_the_gate_gives(schema):
    schemas = schema["components"]["schemas"]
    codes = set(schemas["GateTokenCode"]["enum"])

    assert {reason.value for reason in Reason} <= codes
    assert codes >= set(_codes_in_source())
    assert set(_codes_in_source()) - {reason.value for reason in Reason} == set(refusals.REQUEST_CODES)
    assert schemas["GateKeyCode"]["enum"] == [
        *("blocked", "challenge_captcha", "challenge_kyc", "try_later", "invalid_number")
    ]


def _codes_in_source():
    """The codes that stand as text in calls of Refused and unprocessable."""
    for file in GATE.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name == "Refused" and len(call.args) > 1 and isinstance(call.args[1], ast.Constant):
                yield call.args[1].value
    yield "invalid_request"


@pytest.mark.django_db
@pytest.mark.parametrize("door", DOORS)
def test_every_door_refuses_as_it_is_described(schema, gate, door):
    method, operation = _operation(schema, door)
    other = "get" if method == "post" else "post"
    shown = {"Authorization": f"Bearer {gate.key().key}", "Origin": SITE}
    as_backend = {"Authorization": f"Bearer {gate.token}"}
    refused = [
        getattr(Client(), other)(door, headers=as_backend),
        getattr(Client(), method)(door),
        getattr(Client(), method)(door, headers=as_backend | {"X-End-User-Token": "eu_"}),
        getattr(Client(), method)(door, headers=shown | {"X-End-User-Id": "u_1"}),
        Client().generic(method.upper(), door, "[]", content_type="application/json", headers=as_backend),
    ]

    for response in refused:
        described = operation["responses"][str(response.status_code)]
        assert described["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/GateRefusal"}
        _is_a_refusal(schema, response.json())
        assert response["x-should-retry"] == "false"


def _is_a_refusal(schema, body):
    described = schema["components"]["schemas"]["GateRefusal"]
    codes = [schema["components"]["schemas"][name]["enum"] for name in ("GateTokenCode", "GateKeyCode")]
    assert set(body) == set(described["required"])
    assert body["status"] == "error"
    assert body["code"] in [code for some in codes for code in some]
