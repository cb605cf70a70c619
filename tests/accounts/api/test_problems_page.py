"""Every problem's `type` leads to words about it."""

import pytest

from accounts.api.problems import KINDS, OTHER_KINDS, PROBLEMS_PAGE


@pytest.mark.parametrize("name", [*(name for name, _ in KINDS.values()), *OTHER_KINDS])
def test_explains_every_kind_of_problem(client, name):
    page = client.get(PROBLEMS_PAGE)

    assert page.status_code == 200
    assert f'id="{name}"' in page.content.decode()
