"""Countries however they are written, against the sanctioned seven; and what may be said about a name."""

from datetime import date

import pytest

from accounts import countries
from accounts.kyc import machine_readable, screening
from accounts.kyc.screening import CLEAR, HIT, UNCLEAR, NameAnswer, country_of
from accounts.models import KycDocument, KycRecord
from tests.accounts.kyc import cases
from tests.accounts.kyc.test_machine_readable import TD3

OF_NORTH_KOREA = machine_readable.read(TD3.replace("P<UTO", "P<PRK"), today=date(2026, 11, 21))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("RU", "RU"),
        (" ru ", "RU"),
        ("RUS", "RU"),
        ("Russian Federation", "RU"),
        ("SUN", "RU"),
        ("SU", "RU"),
        ("Korea (the Democratic People's Republic of)", "KP"),
        ("PRK", "KP"),
        ("north korea", "KP"),
        ("KOR", "KR"),
        ("Iran (Islamic Republic of)", "IR"),
        ("BYS", "BY"),
        ("Venezuela", "VE"),
        ("D<<", "DE"),
        ("GBN", "GB"),
        ("UK", "GB"),
        ("Côte d’Ivoire", "CI"),
        ("cote d'ivoire", "CI"),
        ("YU", "RS"),
        ("CS", None),
        ("XXA", None),
        ("stateless", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_a_country_is_understood_or_said_to_be_unknown(text, code):
    assert country_of(text) == code


def test_every_sanctioned_country_is_found_by_each_of_its_codes_and_names():
    for code in countries.SANCTIONED_SET:
        for text in (code, screening.iso.alpha3(code), countries.NAMES[code], str(dict(screening.iso)[code])):
            assert country_of(text) == code


def screened(workspace, now, **subject):
    return screening.screen_countries(cases.draft(workspace, now, subject=subject))


def test_every_nationality_and_the_residence_count(in_workspace, now):
    assert screened(in_workspace, now).outcome == CLEAR
    assert screened(in_workspace, now, nationalities=["US", "CU"]).outcome == HIT
    assert screened(in_workspace, now, country_of_residence="SY").outcome == HIT
    assert screened(in_workspace, now, nationalities=[]).outcome == UNCLEAR
    assert screened(in_workspace, now, country_of_residence="").outcome == UNCLEAR


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({"issuing_country": "RU"}, HIT),
        ({"reading": OF_NORTH_KOREA.as_facts()}, HIT),
        ({"reading": {"nationality": "IRN"}}, HIT),
        ({"reading": {"nationality": "XXA"}}, UNCLEAR),
        ({"issuing_country": "DE"}, CLEAR),
    ],
)
def test_the_country_that_issued_a_document_counts(in_workspace, now, facts, outcome):
    record = cases.draft(in_workspace, now)
    KycDocument.objects.create(record=record, **facts)

    assert screening.screen_countries(record).outcome == outcome


def test_papers_that_say_the_same_are_one_finding(in_workspace, now):
    record = cases.draft(in_workspace, now)
    for _ in range(2):
        KycDocument.objects.create(record=record, issuing_country="IR", reading={"issuer": "IRN", "nationality": "IRN"})

    assert [(hit.field, hit.value) for hit in screening.screen_countries(record).hits] == [("issuing_country", "IR")]


class Lists:
    name = "lists"

    def __init__(self, *, list_version="2026-11-20", fails=False):
        self.list_version, self.fails = list_version, fails

    def screen(self, **person):
        if self.fails:
            raise TimeoutError
        return NameAnswer("passed", self.list_version, "case-1", {"name": person["name"]})


@pytest.fixture
def provider():
    yield screening.use
    screening.use(None)


def screen(record, now):
    screening.screen_name(record=record, acting_user=None, now=now)
    return screening.name_screening(KycRecord.objects.get(pk=record.pk))


def test_a_name_is_screened_against_a_list_that_is_named(in_workspace, now, provider):
    record = cases.submitted(in_workspace, now)
    assert record.screening["name"] == {"outcome": "not_screened"}
    provider(Lists())

    said = screen(record, now)

    assert (said["outcome"], said["list_version"]) == ("passed", "2026-11-20")


@pytest.mark.parametrize("lists", [None, Lists(fails=True), Lists(list_version="")])
def test_what_was_not_screened_is_never_said_to_be(in_workspace, now, provider, lists):
    provider(lists)

    assert screen(cases.submitted(in_workspace, now), now) == {"outcome": "not_screened"}


def test_another_name_is_not_screened(in_workspace, now, provider):
    from accounts.kyc import records

    provider(Lists())
    record = cases.submitted(in_workspace, now)
    screen(record, now)

    records.edit_subject(subject=record.subject, name="Somebody Else", acting_user=None, now=now)

    assert screening.name_screening(KycRecord.objects.get()) == {"outcome": "not_screened"}
