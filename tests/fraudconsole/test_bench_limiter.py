"""The limiters that `make bench` measures beside each other count what they are said to count."""

import pytest

from fraudconsole.bench import limiter
from policies.engine.limits import Limit


@pytest.fixture
def limiters(workspace):
    found, _ = limiter._limiters(workspace.pk)
    return found


@pytest.mark.parametrize("name", [limiter.OURS, limiter.CACHE, limiter.REST])
def test_lets_through_as_many_as_the_limit_says(limiters, name):
    admit = limiters[name](Limit(5, 3600))

    assert [admit("somebody") for _ in range(7)] == [True] * 5 + [False] * 2
    assert admit("somebody_else")


def test_says_of_what_is_not_installed_how_to_get_it(workspace, monkeypatch):
    monkeypatch.setattr(limiter.importlib.util, "find_spec", lambda name: None)

    found, missing = limiter._limiters(workspace.pk)

    assert set(found) == {limiter.OURS, limiter.CACHE, limiter.REST}
    assert "django-ratelimit: not measured, since it is not installed (pip install django-ratelimit)." in missing
