"""Readiness: says what is away, and to strangers no more than that."""

import pytest


@pytest.mark.django_db
def test_names_what_is_away_and_keeps_the_reason_to_itself(client, settings, caplog):
    assert client.get("/readyz").json() == {"status": "ok"}
    settings.REDIS_URL = "unix:///tmp/nobody-listens.sock"

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"status": "degraded", "troubles": ["live store"]}
    assert "nobody-listens" in caplog.text
