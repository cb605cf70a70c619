"""The codes of refusals: what the guide says of each is what is answered."""

import re
from pathlib import Path

import pytest

from policies.engine.names import Reason
from policies.gate.outbound import refusals
from policies.gate.outbound.refusals import Refused

GUIDE = (Path(__file__).parents[4] / "docs" / "gate.md").read_text()
CODES = {reason.value: refusals.status_of(reason) for reason in Reason} | dict(refusals.REQUEST_CODES)


def _documented() -> dict[str, tuple[list[int], str]]:
    table = GUIDE.split("## Refusal codes")[1].split("\n## ")[0]
    found = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[0].startswith("`"):
            statuses = [int(status) for status in cells[1].split(",")]
            to_page = re.match("`([a-z_]+)`", cells[3])
            for code in re.findall("`([a-z_]+)`", cells[0]):
                found[code] = (statuses, to_page[1] if to_page else "")
    return found


def test_the_guide_lists_every_code_and_no_other():
    assert set(_documented()) == set(CODES)


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_guide_says_what_is_answered(code):
    statuses, to_page = _documented()[code]

    assert CODES[code] in statuses
    for status in statuses:
        body = Refused(status, code, "Why.", tells_page=True).body(to_page=True)
        assert to_page in (body["code"], "")
        assert body["code"] in refusals.PAGE_CODES
