"""What gunicorn serves, called as a server calls it: hot doors beside Django's own way."""

import io

import orjson
import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from fraudconsole import middleware, wsgi
from policies.uponai import signature
from tests import factories

pytestmark = pytest.mark.django_db


def ask(path, *, method="POST", body=b"", close=True, **headers):
    """Status, headers and body, as `application` gives them to a server."""
    environ = RequestFactory(headers=headers).generic(method, path, body, content_type="application/json").environ
    environ["wsgi.input"] = io.BytesIO(body)
    started = []
    answer = wsgi.application(environ, lambda status, headers: started.append((status, dict(headers))))
    content = b"".join(answer)
    if close:
        answer.close()
    [(status, answered)] = started
    return status, answered, content


@pytest.fixture
def broken_door(monkeypatch):
    def break_down(request):
        raise RuntimeError("this door is broken")

    monkeypatch.setattr(wsgi.application.hot_doors, "_serve", break_down)


def test_judges_an_inbound_call():
    workspace = factories.make_workspace()
    number = factories.make_phone_number(workspace)
    call = {"call_id": "call_1", "from_number": "+18765550123", "to_number": number.e164}
    body = orjson.dumps({"event": "call_inbound", "call_inbound": call})
    signed = signature.sign(body=body, secret=factories.UPONAI_KEY, now_ms=int(factories.moment().timestamp() * 1000))

    status, headers, content = ask(f"/hooks/{workspace.endpoint}/inbound", body=body, **{"X-UponAI-Signature": signed})

    assert (status, headers["Content-Type"]) == ("200 OK", "application/json")
    assert orjson.loads(content) == {"call_inbound": {"reject": True}}


def test_says_of_a_hot_path_that_there_is_none():
    status, headers, content = ask("/hooks/x/nothing")

    assert (status, headers["Content-Type"]) == ("404 Not Found", "application/json")
    assert orjson.loads(content)["message"] == "There is no such path."


def test_all_other_paths_are_djangos():
    assert ask("/healthz", method="GET")[0] == "200 OK"
    assert ask("/admin/", method="GET")[0] == "302 Found"


def test_a_door_that_breaks_answers_with_an_error_and_tells_nothing(broken_door, caplog):
    status, _, content = ask("/hooks/x/inbound", body=b"{}")

    assert status == "500 Internal Server Error"
    assert b"broken" not in content
    assert "this door is broken" in caplog.text


def test_sends_every_header_and_cookie_that_a_door_sets(monkeypatch):
    answer = HttpResponse(b"{}", status=429, headers={"Retry-After": "3"})
    answer.set_cookie("seen", "1")
    monkeypatch.setattr(wsgi.application.hot_doors, "_serve", lambda request: answer)

    status, headers, _ = ask("/hooks/x/inbound")

    assert (status, headers["Retry-After"]) == ("429 Too Many Requests", "3")
    assert headers["Set-Cookie"].strip().startswith("seen=1")


def test_a_place_is_held_until_the_answer_is_sent_and_given_back_then(monkeypatch):
    doors = wsgi.application.hot_doors
    monkeypatch.setattr(doors, "places", {kind: middleware.threading.BoundedSemaphore(1) for kind in doors.places})
    monkeypatch.setattr(doors, "_serve", lambda request: HttpResponse(b"{}"))

    slow = RequestFactory().post("/gate/v2/create-phone-call").environ
    under_way = wsgi.application(slow, lambda status, headers: None)
    while_it_is_sent, _, _ = ask("/gate/v2/create-phone-call")
    under_way.close()
    afterwards, _, _ = ask("/gate/v2/create-phone-call")

    assert (while_it_is_sent, afterwards) == ("503 Service Unavailable", "200 OK")


def test_leaves_no_stale_connection_to_the_database(monkeypatch):
    closed = []
    monkeypatch.setattr(
        "django.db.backends.base.base.BaseDatabaseWrapper.close_if_unusable_or_obsolete",
        lambda connection: closed.append(connection.alias),
    )

    ask("/hooks/nowhere/inbound", body=b"{}")

    assert closed == ["default"]
