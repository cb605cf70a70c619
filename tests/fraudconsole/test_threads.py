"""Threads of a web process: whatever else is asked of it, UponAI's inbound webhooks find one."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from fraudconsole import middleware
from fraudconsole.middleware import HotDoors
from tests.servers import free_port

# Closing a response looks at the database's connection.
pytestmark = pytest.mark.django_db

THREADS = 16


def doors(answer=None, threads=THREADS, settings=None):
    settings.WEB_THREADS = threads
    return HotDoors(answer or (lambda request: HttpResponse(b"page")))


def get(path):
    return RequestFactory().get(path)


def test_beyond_its_share_a_request_is_sent_away_at_once(settings):
    serve = doors(settings=settings)
    held = [serve(get("/admin/")) for _ in range(3)]

    refused = serve(get("/admin/"))

    assert [response.status_code for response in held] == [200] * 3
    assert (refused.status_code, refused["Retry-After"]) == (503, "1")
    held[0].close()
    assert serve(get("/admin/")).status_code == 200


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/api/v1/calls/", "application/problem+json"),
        ("/gate/x", "application/json"),
        ("/hooks/x/events", "application/json"),
    ],
)
def test_says_it_in_the_words_of_each_door(settings, path, content_type):
    serve = doors(settings=settings, threads=1)
    kind = middleware._kind(path)
    place = middleware._Place(serve.places[kind])

    refused = serve(get(path))

    assert (refused.status_code, refused["Content-Type"]) == (503, content_type)
    assert "busy" in json.loads(refused.content).get("message", json.loads(refused.content).get("detail"))
    place.leave()


def test_a_place_is_held_until_the_last_byte_is_sent(settings):
    serve = doors(lambda request: StreamingHttpResponse(iter([b"a", b"b"])), settings=settings, threads=6)
    streaming = serve(get("/admin/export/"))
    assert serve(get("/admin/")).status_code == 503

    list(streaming)
    assert serve(get("/admin/")).status_code == 503
    streaming.close()

    assert serve(get("/admin/")).status_code == 200


def test_a_place_is_given_back_once_and_also_when_nobody_closes_the_response(settings):
    serve = doors(settings=settings, threads=6)
    response = serve(get("/admin/"))
    response.close()
    response.close()
    del response
    forgotten = serve(get("/admin/"))
    del forgotten

    assert serve(get("/admin/")).status_code == 200


def test_a_request_that_fails_gives_its_place_back(settings):
    def fail(request):
        raise RuntimeError

    serve = doors(fail, settings=settings, threads=6)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            serve(get("/admin/"))


@pytest.mark.parametrize("path", ["/healthz", "/hooks/anything/inbound"])
def test_inbound_webhooks_and_the_sign_of_life_are_never_counted(settings, path):
    serve = doors(settings=settings, threads=1)
    kept = [middleware._Place(places) for places in serve.places.values()]

    assert all(serve(get(path)).status_code != 503 for _ in range(5))
    assert all(place.taken for place in kept)


@pytest.mark.parametrize("threads", [6, 8, 16, 32, 64])
def test_a_quarter_is_always_left(settings, threads):
    serve = doors(settings=settings, threads=threads)

    assert sum(places._value for places in serve.places.values()) <= threads - threads // 4


# --- A real server --------------------------------------------------------------------------------

SLOW_SERVER = """
import os, time
os.environ["DJANGO_SETTINGS_MODULE"] = "fraudconsole.settings"
import django
django.setup()
from django.http import HttpResponse
from django.urls import path
from fraudconsole import hot_urls
from pathlib import Path

def slow(request, **kwargs):
    Path(os.environ["ENTERED"]).open("a").write("x")
    while not Path(os.environ["OVER"]).exists():
        time.sleep(0.02)
    return HttpResponse(b"{}")

def quick(request, **kwargs):
    return HttpResponse(b"judged")

hot_urls.urlpatterns[:] = [
    path("gate/slow", slow),
    path("hooks/<str:endpoint>/events", slow),
    path("hooks/<str:endpoint>/inbound", quick),
]
from fraudconsole.wsgi import application
"""


@pytest.fixture
def server(tmp_path):
    (tmp_path / "slow_server.py").write_text(SLOW_SERVER)
    port = free_port()
    environment = os.environ | {
        "WEB_THREADS": str(THREADS),
        "ENTERED": str(tmp_path / "entered"),
        "OVER": str(tmp_path / "over"),
        "PYTHONPATH": f"{tmp_path}:{os.getcwd()}",
    }
    command = [sys.executable, "-m", "gunicorn", "slow_server:application", "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "gthread", "--workers", "1", "--threads", str(THREADS), "--no-control-socket"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
    yield port, tmp_path
    (tmp_path / "over").touch()
    process.terminate()
    process.wait(20)


def ask(port, path, into=None, *, method="POST"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body=b"{}")
    status = connection.getresponse().status
    connection.close()
    if into is not None:
        into.append(status)
    return status


def test_slow_outbound_requests_and_events_fill_their_shares_and_webhooks_are_still_answered(server):
    port, folder = server
    done: list[int] = []
    paths = ["/gate/slow"] * 40 + ["/hooks/x/events"] * 40
    asking = [threading.Thread(target=ask, args=(port, path, done)) for path in paths]
    for one in asking:
        one.start()
    shares = 3 + 6  # of sixteen threads, for the gate and for events
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (
        len(done) < len(paths) - shares or len((folder / "entered").read_text()) < shares
    ):
        time.sleep(0.05)

    # All the others were sent away, while those that have a place are still at it.
    assert done == [503] * (len(paths) - shares)
    assert [ask(port, "/hooks/x/inbound") for _ in range(50)] == [200] * 50
    assert ask(port, "/healthz", method="GET") == 200

    (folder / "over").touch()
    for one in asking:
        one.join(30)
    assert sorted(done) == [200] * shares + [503] * (len(paths) - shares)
    assert ask(port, "/gate/slow") == 200
