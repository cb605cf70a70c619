"""The table of number edge cases, row by row, and the flood of random strings against an own prefix table."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.countries import CODES
from policies.engine.numbers import calling_prefix, sanctioned_country, understand
from policies.engine.types import NumberProblem
from tests.engine.worlds import OPEN, judge, make_rules, make_snapshot

# --- Everything under a sanctioned calling code, valid or not, however it is written ---

SANCTIONED_ROWS = [
    ("russian mobile", "+79161234567", "RU"),
    ("russian fixed", "+74951234567", "RU"),
    ("russian toll-free", "+78001234567", "RU"),
    ("russian premium", "+78091234567", "RU"),
    ("kazakh-looking, invalid 722", "+77221234567", "RU"),
    ("kazakh-looking, invalid 799", "+77997777777", "RU"),
    ("kazakh-looking, invalid 709", "+77091234567", "RU"),
    ("kazakh, too short", "+7700123456", "RU"),
    ("doubled seven", "+779161234567", "RU"),
    ("code 7, no region 600", "+76001234567", "RU"),
    ("code 7, no region 123", "+71234567890", "RU"),
    ("code 7, no region 000", "+70001234567", "RU"),
    ("russian, too short", "+7916123456", "RU"),
    ("kazakh only after a dropped 8", "+787012345678", "RU"),
    ("baikonur", "+73362212345", "RU"),
    ("glonass", "+79401234567", "RU"),
    ("abkhazia", "+78402123456", "RU"),
    ("russian 929", "+79291234567", "RU"),
    ("crimea, russian mobile", "+79781234567", "RU"),
    ("crimea, russian fixed", "+73652123456", "RU"),
    ("sevastopol, russian fixed", "+78692123456", "RU"),
    ("dnr mobile", "+79491234567", "RU"),
    ("dnr fixed", "+78562123456", "RU"),
    ("lnr mobile", "+79591234567", "RU"),
    ("cuban mobile", "+5351234567", "CU"),
    ("cuban fixed", "+5378301234", "CU"),
    ("cuban, invalid", "+5312345678", "CU"),
    ("guantanamo", "+5399123456", "CU"),
    ("guantanamo, short", "+539912", "CU"),
    ("north korean, invalid length", "+850212345678", "KP"),
    ("north korean", "+8501921234567", "KP"),
    ("iranian", "+989121234567", "IR"),
    ("syrian", "+963944567890", "SY"),
    ("belarusian", "+375291234567", "BY"),
    ("venezuelan", "+584121234567", "VE"),
    ("only the code 7", "+7", "RU"),
    ("only the code 53", "+53", "CU"),
    ("only the code 850", "+850", "KP"),
    ("letters after the code", "+53 7 FLOWERS", "CU"),
    ("american access code", "011 53 5 1234567", "CU"),
    ("european access code", "0079161234567", "RU"),
    ("russian access code", "8107916123456", "RU"),
    ("access code after a plus", "+0079161234567", "RU"),
    ("sip uri", "sip:+79161234567@10.0.0.1", "RU"),
    ("sips uri with user=phone", "sips:+79161234567@10.0.0.1;user=phone", "RU"),
    ("tel uri", "tel:+7-916-123-45-67", "RU"),
    ("tel uri with context", "tel:916-123-4567;phone-context=+7", "RU"),
    ("tel uri with extension", "tel:+79161234567;ext=99", "RU"),
    ("caller id blocking code", "#31#+79161234567", "RU"),
    ("inside a tag", "<script>+79161234567", "RU"),
    ("inside a sentence", "call +79161234567 or", "RU"),
    ("full-width digits", "+７９１６１２３４５６７", "RU"),
    ("arabic digits", "+٧٩١٦١٢٣٤٥٦٧", "RU"),
    ("devanagari digits", "+७९१६१२३४५६७", "RU"),
    ("full-width plus", "＋79161234567", "RU"),
    ("zero-width space inside", "+7916\u200b1234567", "RU"),
    ("bidi mark inside", "\u202a+79161234567\u202c", "RU"),
    ("soft hyphen inside", "+7916\u00ad1234567", "RU"),
    ("nul inside", "+7916123\x004567", "RU"),
    ("plus lost in form decoding", " 79161234567", "RU"),
    ("no plus", "79161234567", "RU"),
    ("restricted on a keypad, after a plus", "+7378742833", "RU"),
    ("beyond the length cap", "+79161234567" + "0" * 250, "RU"),
]


@pytest.mark.parametrize(("text", "country"), [row[1:] for row in SANCTIONED_ROWS], ids=[r[0] for r in SANCTIONED_ROWS])
@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_blocks_as_sanctioned_even_where_nothing_is_restricted(direction: str, text: str, country: str) -> None:
    verdict = judge(direction, text, OPEN)

    assert (verdict.verdict, verdict.reason) == ("block", "sanctioned_country")
    assert verdict.peer.country == country
    assert sanctioned_country(text) == country


# --- Valid numbers resolve to their own region and class, and the ordinary list applies ---

VALID_ROWS = [
    ("+77012345678", "KZ", "mobile"),
    ("+77172123456", "KZ", "fixed_line"),
    ("+380652123456", "UA", "fixed_line"),
    ("+380692123456", "UA", "fixed_line"),
    ("+380711234567", "UA", "mobile"),
    ("+380721234567", "UA", "mobile"),
    ("+380621234567", "UA", "fixed_line"),
    ("+380642123456", "UA", "fixed_line"),
    ("+14155551234", "US", "fixed_or_mobile"),
    ("+14165551234", "CA", "fixed_or_mobile"),
    ("+18765551234", "JM", "mobile"),
    ("+16585551234", "JM", None),
    ("+18095551234", "DO", "fixed_or_mobile"),
    ("+18495551234", "DO", "fixed_or_mobile"),
    ("+12423591234", "BS", "mobile"),
    ("+12642351234", "AI", "mobile"),
    ("+12843001234", "VG", "mobile"),
    ("+12684641234", "AG", "mobile"),
    ("+18682911234", "TT", "mobile"),
    ("+17672251234", "DM", "mobile"),
    ("+17875551234", "PR", "fixed_or_mobile"),
    ("+16713001234", "GU", "fixed_or_mobile"),
    ("+16847331234", "AS", "mobile"),
    ("+18002345678", "US", "toll_free"),
    ("+18882345678", "US", "toll_free"),
    ("+19002345678", "US", "premium_rate"),
    ("+15002345678", "US", "personal"),
    ("+15212345678", "US", "personal"),
    ("+15332345678", "US", "personal"),
    ("+16222345678", "CA", "personal"),
    ("+16002345678", "CA", "voip"),
    ("+447400123456", "GB", "mobile"),
    ("+447911123456", "GG", "mobile"),
    ("+447781123456", "GG", "mobile"),
    ("+447839123456", "GG", "mobile"),
    ("+441481256789", "GG", "fixed_line"),
    ("+447797712345", "JE", "mobile"),
    ("+447937123456", "JE", "mobile"),
    ("+441534456789", "JE", "fixed_line"),
    ("+447624123456", "IM", "mobile"),
    ("+447524123456", "IM", "mobile"),
    ("+441624756789", "IM", "fixed_line"),
    ("+447924123456", "GB", "mobile"),
    ("+447012345678", "GB", "personal"),
    ("+447640123456", "GB", "pager"),
    ("+449012345678", "GB", "premium_rate"),
    ("+448451234567", "GB", "premium_rate"),
    ("+443331234567", "GB", "uan"),
    ("+448001234567", "GB", "toll_free"),
    ("+445612345678", "GB", "voip"),
    ("+80012345678", None, "international_network"),
    ("+80812345678", None, "international_network"),
    ("+979123456789", None, "premium_rate"),
    ("+870773111632", None, "satellite"),
    ("+8816123456789", None, "satellite"),
    ("+881612345678", None, "satellite"),
    ("+881812345678", None, "satellite"),
    ("+882161234567", None, "satellite"),
    ("+883510012345", None, "international_network"),
    ("+61147123456", "AU", "satellite"),
    ("+390669812345", "VA", "fixed_line"),
    ("+212528812345", "MA", "fixed_line"),
    ("+905338512345", "TR", "mobile"),
    ("+903922123456", "TR", "fixed_line"),
    ("+37377812345", "MD", "mobile"),
    ("+995442123456", "GE", "fixed_line"),
    ("+37447123456", "AM", "fixed_line"),
    ("+4779123456", "SJ", "fixed_line"),
    ("+35818123456", "AX", "fixed_line"),
    ("+61891621234", "CC", "fixed_line"),
    ("+59995181234", "CW", "mobile"),
    ("+2908123", "SH", "fixed_line"),
    ("+24740123", "SH", "mobile"),
    ("+38343201234", "XK", "mobile"),
    ("+590690123456", "GP", "mobile"),
    ("+358457123456", "FI", "mobile"),
]


@pytest.mark.parametrize(("text", "country", "number_class"), VALID_ROWS, ids=[row[0] for row in VALID_ROWS])
@pytest.mark.parametrize("role", ["caller", "destination"])
def test_resolves_valid_numbers_to_their_own_country(
    role: str, text: str, country: str | None, number_class: str | None
) -> None:
    peer = understand(text, role=role)  # type: ignore[arg-type]

    assert (peer.e164, peer.country, peer.problem) == (text, country, None)
    assert number_class is None or peer.number_class == number_class


def test_judges_a_shared_code_by_the_number_and_never_by_the_code() -> None:
    united_states = make_snapshot(outbound=make_rules(countries=["US"]))
    united_kingdom = make_snapshot(outbound=make_rules(countries=["GB"]))

    reasons = [judge("outbound", text, united_states).reason for text in ("+18765551234", "+17875551234")]
    reasons.append(judge("outbound", "+447911123456", united_kingdom).reason)

    assert reasons == ["country_not_allowed"] * 3
    assert judge("outbound", "+447400123456", united_kingdom).verdict == "allow"


def test_lets_kazakhstan_be_opened_without_opening_russia() -> None:
    kazakhstan = make_snapshot(inbound=make_rules(countries=["KZ"]), outbound=make_rules(countries=["KZ"]))

    for direction in ("inbound", "outbound"):
        assert judge(direction, "+77012345678", kazakhstan).verdict == "allow"
        assert judge(direction, "+79161234567", kazakhstan).reason == "sanctioned_country"


# --- One number, many spellings ---

SPELLINGS = [
    ("spaces and brackets", "+44 (0) 7400 123456", "+447400123456"),
    ("national zero kept", "+4407400123456", "+447400123456"),
    ("two pluses", "++14155552671", "+14155552671"),
    ("dots", "+1.415.555.2671", "+14155552671"),
    ("full-width", "＋１４１５５５５２６７１", "+14155552671"),
    ("arabic digits", "+١٤١٥٥٥٥٢٦٧١", "+14155552671"),
    ("soft hyphen", "+1415\u00ad5552671", "+14155552671"),
    ("en dash", "+1415–555–2671", "+14155552671"),
    ("no-break space", "+1\u00a0415\u00a0555\u00a02671", "+14155552671"),
    ("tel uri", "tel:+1-415-555-2671", "+14155552671"),
]


@pytest.mark.parametrize(("text", "e164"), [row[1:] for row in SPELLINGS], ids=[row[0] for row in SPELLINGS])
def test_gives_every_spelling_of_a_number_the_same_key(text: str, e164: str) -> None:
    assert understand(text, role="destination") == understand(e164, role="destination")
    assert understand(text, role="destination").e164 == e164


# --- What is refused when it is to be dialled ---

REFUSED_OUTBOUND = [
    ("+997123456789", "invalid_number"),
    ("+17002345678", "unassigned_number"),
    ("+19765551234", "unassigned_number"),
    ("+17102345678", "unassigned_number"),
    ("+11234567890", "unassigned_number"),
    ("+19161234567", "unassigned_number"),
    ("+447700900123", "unassigned_number"),
    ("+262639123456", "unassigned_number"),
    ("+88213123456789", "unassigned_number"),
    ("+882345678901", None),
    ("+8781012345678", None),
    ("+888123456789", "invalid_number"),
    ("+210123456789", "invalid_number"),
    ("+999123456789", "invalid_number"),
    ("+991123456789", "invalid_number"),
    ("+379123456789", "invalid_number"),
    ("+1911", "emergency_number"),
    ("911", "emergency_number"),
    ("112", "emergency_number"),
    ("999", "emergency_number"),
    ("000", "emergency_number"),
    ("988", "emergency_number"),
    ("12345", "invalid_number"),
    ("729725", "invalid_number"),
    ("60060", "invalid_number"),
    ("118118", "invalid_number"),
    ("", "invalid_number"),
    ("anonymous", "invalid_number"),
    ("+266696687", "invalid_number"),
    ("+86282452253", "invalid_number"),
    ("+8656696", "invalid_number"),
    ("7378742833", "invalid_number"),
    ("+10000000000", "invalid_number"),
    ("+00000000000", "invalid_number"),
    ("sip:alice@example.com", "sip_without_number"),
    ("sip:+14155552671@10.0.0.1", "invalid_number"),
    ("tel:863-1234;phone-context=+1-914-555", "invalid_number"),
    ("+14155552671;npdi", "invalid_number"),
    ("+14155552671;rn=+79161234567", "invalid_number"),
    ("+14155552671@evil", "invalid_number"),
    ("+14155552671/+14155552672", "invalid_number"),
    ("+14155552671,,79161234567", "extension_not_allowed"),
    ("+14155552671x5", "extension_not_allowed"),
    ("+14155552671#31#", "extension_not_allowed"),
    ("tel:+14155552671;ext=99", "extension_not_allowed"),
    ("+14155552671 / x79161234567", "invalid_number"),
    ("+14155552671p123", "invalid_number"),
    ("*67+14155552671", "invalid_number"),
    ("*674155552671", "invalid_number"),
    ("%2B79161234567", "invalid_number"),
    ("9161234567", "invalid_number"),
    ("89161234567", "invalid_number"),
    ("14155552671", "invalid_number"),
    ("+1 (0) 415 555 2671", "invalid_number"),
    ("1-800-FLOWERS", "invalid_number"),
    ("MYBANK", "invalid_number"),
    ("BANK123", "invalid_number"),
    ("+1415555267\n1", "invalid_number"),
    ("+" + "1" * 250, "invalid_number"),
    (None, "invalid_number"),
    (123, "invalid_number"),
    (14155552671, "invalid_number"),
    (3.5, "invalid_number"),
    (True, "invalid_number"),
    ([], "invalid_number"),
    ({}, "invalid_number"),
    (b"+14155552671", "invalid_number"),
]


@pytest.mark.parametrize(("value", "reason"), REFUSED_OUTBOUND, ids=lambda part: repr(part)[:40])
def test_never_dials_what_is_not_a_complete_number(value: object, reason: str | None) -> None:
    verdict = judge("outbound", value, OPEN)

    assert verdict.verdict == "block"
    assert reason is None or verdict.reason == reason
    assert not verdict.degraded


# --- What a caller's number may be ---

LEFT_TO_LIST_INBOUND = [
    ("", "withheld_number"),
    (None, "withheld_number"),
    ("anonymous", "withheld_number"),
    ("Restricted", "withheld_number"),
    ("unknown", "withheld_number"),
    ("private", "withheld_number"),
    ("withheld", "withheld_number"),
    ("No Caller ID", "withheld_number"),
    ("+266696687", "withheld_number"),
    ("+86282452253", "withheld_number"),
    ("+8656696", "withheld_number"),
    ("7378742833", "withheld_number"),
    ("+10000000000", "withheld_number"),
    ("0000000000", "withheld_number"),
    ("+00000000000", "withheld_number"),
    ("sip:anonymous@anonymous.invalid", "withheld_number"),
    ("sip:alice@example.com", "sip_without_number"),
    ("sip:1000@pbx.example.com", "sip_without_number"),
    ("+17002345678", "unassigned_number"),
    ("+11234567890", "unassigned_number"),
    ("+999123456789", "invalid_number"),
    ("9161234567", "invalid_number"),
    ("12345", "invalid_number"),
    ("911", "emergency_number"),
]


@pytest.mark.parametrize(("value", "reason"), LEFT_TO_LIST_INBOUND, ids=lambda part: repr(part)[:40])
def test_leaves_callers_without_a_country_to_the_country_list(value: object, reason: str) -> None:
    listed = judge("inbound", value)
    unrestricted = judge("inbound", value, OPEN)

    assert (listed.verdict, listed.reason) == ("block", reason)
    assert unrestricted.verdict == "allow"
    assert unrestricted.peer.e164 is None


@pytest.mark.parametrize(
    "value",
    [
        "+14155552671;npdi",
        "+14155552671/+14155552672",
        "<b>14155552671</b>",
        "+1415555267\x001",
        "1-800-FLOWERS",
        "+" + "4" * 250,
        5,
        [],
        {},
    ],
    ids=lambda value: repr(value)[:30],
)
def test_refuses_what_no_network_sends_as_a_caller_even_unrestricted(value: object) -> None:
    assert (judge("inbound", value, OPEN).verdict, judge("inbound", value, OPEN).reason) == (
        "block",
        "invalid_number",
    )


def test_strips_and_flags_an_extension_of_a_caller() -> None:
    verdict = judge("inbound", "+14155552671x5")

    assert verdict.verdict == "allow"
    assert (verdict.peer.e164, verdict.peer.flags) == ("+14155552671", ("extension",))


def test_tries_a_lost_plus_once_for_callers_and_never_for_destinations() -> None:
    assert understand(" 14155552671", role="caller").e164 == "+14155552671"
    assert understand("sip:14155552671@10.0.0.1", role="caller").flags == ("plus_added", "sip")
    assert understand("14155552671", role="destination").problem == NumberProblem.NOT_INTERNATIONAL


def test_knows_sender_names_on_sms_only() -> None:
    for name in ("MYBANK", "Google", "BANK123"):
        assert judge("inbound", name, OPEN, channel="sms").verdict == "allow"
        assert judge("inbound", name, channel="sms").reason == "invalid_number"
        assert judge("inbound", name, OPEN).reason == "invalid_number"
        assert judge("outbound", name, OPEN, channel="sms").reason == "invalid_number"


def test_flags_what_a_person_would_want_to_know() -> None:
    assert understand("+18002345678", role="caller").flags == ("shared_toll_free",)
    assert understand("+445612345678", role="caller").flags == ("voip",)
    assert understand("+590690123456", role="caller").flags == ("shared_range",)


def test_names_the_prefix_people_recognise() -> None:
    assert [calling_prefix(text) for text in ("+18765551234", "+5351234567", "+77012345678", "+447400123456")] == [
        "+1 876",
        "+53",
        "+7",
        "+44",
    ]
    assert calling_prefix(None) == ""


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=90), st.sampled_from(["caller", "destination"]))
def test_understands_any_text_and_keeps_its_promises(text: str, role: str) -> None:
    peer = understand(text, role=role)  # type: ignore[arg-type]

    assert peer.country is None or peer.country in CODES
    if peer.e164 is not None:
        assert re.fullmatch(r"\+[1-9][0-9]{3,14}", peer.e164)
        again = understand(peer.e164, role=role)  # type: ignore[arg-type]
        assert (again.e164, again.country, again.number_class) == (peer.e164, peer.country, peer.number_class)
