"""What a plan says: what opens and closes, for whom, and every field that cannot be."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import keys
from accounts.scoping import scoped
from policies.models import PhoneNumber
from policies.policy_file import difference, words
from policies.policy_file.problems import BadPolicyFile
from policies.policy_file.reading import read_text
from tests.factories import make_phone_number, make_policy, moment
from tests.policies.policy_file.files import NUMBER, applied, everything, planned

pytestmark = pytest.mark.django_db


@pytest.fixture
def policy(in_workspace):
    return make_policy(in_workspace, name="home")


@pytest.fixture
def number(in_workspace, policy):
    return make_phone_number(in_workspace, NUMBER, policy=policy)


@pytest.fixture
def key(in_workspace):
    return keys.mint_public_key(
        workspace=in_workspace,
        acting_user=None,
        now=moment(),
        name="website",
        domains=["example.com"],
        channels=["phone_call"],
    )


def _text(plan):
    return "\n".join(line.text for line in words.lines(plan))


def _refused(workspace, rest):
    before = everything(workspace)
    with pytest.raises(BadPolicyFile) as refusal:
        planned(workspace, rest)
    assert everything(workspace) == before
    return [(problem.field, problem.code, problem.line) for problem in refusal.value.problems]


def test_says_what_an_edit_opens_and_closes_and_for_whom(in_workspace, number):
    plan = planned(in_workspace, "policies: {home: {outbound: {countries: [US, SO, NO]}}}")

    (change,) = plan.policies
    outbound = change.directions["outbound"]
    assert (change.revision, change.phone_numbers) == (1, (NUMBER,))
    assert (outbound.opens, outbound.closes, outbound.widens) == (("NO", "SO"), ("CA",), True)
    assert not change.directions["inbound"]
    said = _text(plan)
    assert "~ country policy “home”, revision 1 → 2, for 1 number: +1 415-555-0100" in said
    assert "+ Somalia (SO), exposure tier T1: denied by default  WIDENS" in said
    assert "- Canada (CA)" in said
    assert "THIS WIDENS what gets through." in said
    assert plan.as_json()["opens"]["outbound"] == [
        {"country": "NO", "name": "Norway", "exposure_tier": "T3"},
        {"country": "SO", "name": "Somalia", "exposure_tier": "T1"},
    ]


def test_leaves_alone_what_the_file_does_not_name(in_workspace, number):
    rest = "policies: {home: {outbound: {class_rules: {premium_rate: allow}}}}"

    (change,) = planned(in_workspace, rest).policies

    assert change.after["outbound"]["countries"] == ["CA", "US"]
    assert change.after["inbound"]["countries"] == ["CA", "US"]
    assert [(part.part, part.widens) for part in change.directions["outbound"].parts] == [
        ("class_rules.premium_rate", True)
    ]


def test_has_nothing_to_do_where_all_is_so(in_workspace, number, key):
    plan = planned(
        in_workspace,
        f"policies: {{home: {{inbound: {{countries: [US, CA]}}}}}}\n"
        f"phone_numbers: {{{NUMBER}: home}}\npublic_keys: {{website: {{domains: [Example.com]}}}}",
    )

    assert not plan
    assert plan.as_json()["state"] == "nothing_to_do"
    assert _text(plan).startswith("Nothing to do")


def test_says_what_a_number_gets_from_a_policy_that_is_yet_to_be(in_workspace, number):
    plan = planned(
        in_workspace,
        f"""
policies:
  world:
    inbound: {{unrestricted: true, reason: A help line.}}
    outbound: {{countries: [US]}}
phone_numbers:
  {NUMBER}: world
""",
    )

    (move,) = plan.assignments
    assert (move.before, move.after, move.phone_numbers) == ("home", "world", (NUMBER,))
    assert move.directions["inbound"].lifts
    assert move.directions["outbound"].closes == ("CA",)
    assert "no restriction any more" in _text(plan)
    assert plan.widens
    (change,) = plan.policies
    assert (change.revision, change.reason) == (None, "A help line.")


def test_narrows_quietly(in_workspace, number):
    plan = planned(in_workspace, "policies: {home: {inbound: {countries: [US], class_rules: {mobile: block}}}}")

    assert plan
    assert not plan.widens
    assert "WIDENS" not in _text(plan)


@pytest.mark.parametrize(
    "part",
    [
        "observing: true",
        "observed_classes: [premium_rate]",
        "class_rules: {premium_rate: guard}",
        "prefix_rules: [{prefix: '+979', action: challenge}]",
        "limits: {ip: null}",
        "limits: {call_seconds: {limit: 3600}}",
        "captcha: false",
        "kyc_rules: {}",
        "unrestricted: true, reason: Because",
    ],
)
def test_says_of_every_part_whether_it_widens(in_workspace, policy, part):
    strict = "captcha: true, kyc_rules: {channels: {sms: 2}}, limits: {call_seconds: {limit: 60}}"
    applied(in_workspace, f"policies: {{home: {{outbound: {{{strict}}}}}}}")

    plan = planned(in_workspace, f"policies: {{home: {{outbound: {{{part}}}}}}}")

    assert plan.widens
    assert "WIDENS" in _text(plan)


def test_says_what_changes_about_a_key_and_nothing_secret(in_workspace, key):
    plan = planned(
        in_workspace,
        "public_keys: {website: {domains: [example.com, b.example], fraud_protection: false, kyc_level: 1}}",
    )

    (change,) = plan.public_keys
    assert {part.part: (part.before, part.after, part.widens) for part in change.fields} == {
        "domains": (["example.com"], ["b.example", "example.com"], True),
        "fraud_protection": (True, False, True),
        "kyc_level": (0, 1, False),
    }
    assert "~ fraud_protection: on → off  WIDENS" in _text(plan)


@pytest.mark.parametrize(
    ("inbound", "part", "code"),
    [
        ("{countries: []}", "countries", "empty"),
        ("{countries: }", "countries", "invalid_country"),
        ("{countries: US}", "countries", "invalid_country"),
        ("{countries: [US, us]}", "countries.1", "invalid_country"),
        ("{countries: [USA]}", "countries.0", "invalid_country"),
        ("{countries: [ZZ]}", "countries.0", "unknown_country"),
        ("{countries: [IR]}", "countries.0", "sanctioned_country"),
        ("{countries: [false]}", "countries.0", "invalid_country"),
        ("{countries: [1]}", "countries.0", "invalid_country"),
        ("{unrestricted: true}", "unrestricted", "unrestricted_unconfirmed"),
        ("{unrestricted: true, reason: ' '}", "unrestricted", "unrestricted_unconfirmed"),
        ("{unrestricted: true, reason: x, countries: [US]}", "countries", "conflict"),
        ("{unrestricted: 1}", "unrestricted", "invalid"),
        ("{mode: unrestricted}", "mode", "unknown_field"),
        ("{countrys: [US]}", "countrys", "unknown_field"),
        ("{captcha: true}", "captcha", "conflict"),
        ("{class_rules: {fax: block}}", "class_rules", "invalid"),
        ("{prefix_rules: [{prefix: 44}]}", "prefix_rules", "invalid"),
        ("{limits: {ip: null}}", "limits.ip", "invalid"),
        ("{reason: 5, countries: [US]}", "reason", "invalid"),
    ],
)
def test_refuses_naming_the_part_of_a_direction(in_workspace, number, inbound, part, code):
    refused = _refused(in_workspace, f"policies: {{home: {{inbound: {inbound}}}}}")

    assert refused == [(f"policies.home.inbound.{part}", code, 3)]


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("policies: {home: {inbound: [US]}}", ("policies.home.inbound", "invalid", 3)),
        ("policies: {home: {sideways: {countries: [US]}}}", ("policies.home.sideways", "unknown_field", 3)),
        ("policies: {home: }", ("policies.home", "invalid", 3)),
        ("policies: [home]", ("policies", "invalid", 3)),
        ("policies: {fresh: {inbound: {countries: [US]}}}", ("policies.fresh.outbound", "required", 3)),
        (f"policies: {{{'x' * 81}: {{inbound: {{countries: [US]}}}}}}", (f"policies.{'x' * 60}…", "invalid", 3)),
        ("phone_numbers: {+14155550199: home}", ("phone_numbers.+14155550199", "unknown_number", 3)),
        (f"phone_numbers:\n  {NUMBER}: nowhere", (f"phone_numbers.{NUMBER}", "unknown_policy", 4)),
        ("phone_numbers: {14155550100: home}", ("phone_numbers.14155550100", "invalid_number", 3)),
        ("phone_numbers: {+1 415 555 0100: home}", ("phone_numbers.+1 415 555 0100", "invalid_number", 3)),
        ("phone_numbers: {me: home}", ("phone_numbers.me", "invalid_number", 3)),
        (f"phone_numbers: {{{NUMBER}: 5}}", (f"phone_numbers.{NUMBER}", "invalid", 3)),
        ("public_keys: {website: {domains: example.com}}", ("public_keys.website.domains", "not_a_list", 3)),
        ("public_keys: {website: {domains: ['not a host']}}", ("public_keys.website.domains", "invalid", 3)),
        ("public_keys: {website: {domains: []}}", ("public_keys.website.domains", "invalid", 3)),
        ("public_keys: {website: {channels: [fax]}}", ("public_keys.website.channels", "invalid", 3)),
        ("public_keys: {website: {captcha: maybe}}", ("public_keys.website.captcha", "invalid_choice", 3)),
        ("public_keys: {website: {captcha_secret: abc}}", ("public_keys.website.captcha_secret", "secret", 3)),
        ("public_keys: {website: {name: other}}", ("public_keys.website.name", "unknown_field", 3)),
        ("public_keys: {website: {colour: red}}", ("public_keys.website.colour", "unknown_field", 3)),
        ("public_keys: {website: {phone_number: '+14155550199'}}", ("public_keys.website.phone_number", "invalid", 3)),
        ("public_keys: {website: {limits: {nothing: 1}}}", ("public_keys.website.limits", "invalid", 3)),
        ("public_keys: {website: 5}", ("public_keys.website", "invalid", 3)),
        ("rules: {}", ("rules", "unknown_field", 3)),
    ],
)
def test_refuses_naming_the_field_and_the_line(in_workspace, number, key, rest, problem):
    assert _refused(in_workspace, rest) == [problem]


@pytest.mark.parametrize(
    ("head", "field", "words_of_it"),
    [
        ("version: 2\nworkspace: {slug}", "version", "Write version: 1"),
        ("version: true\nworkspace: {slug}", "version", "Write version: 1"),
        ("workspace: {slug}", "version", "Write version: 1"),
        ("version: 1", "workspace", "Name the workspace"),
        ("version: 1\nworkspace: [a]", "workspace", "Name the workspace"),
        ("version: 1\nworkspace: another", "workspace", "The file is for the workspace 'another'"),
        ("- 1", "", "A policy file is a mapping"),
        ("hello", "", "A policy file is a mapping"),
    ],
)
def test_refuses_a_file_that_is_not_for_here(in_workspace, head, field, words_of_it):
    with pytest.raises(BadPolicyFile, match=words_of_it) as refusal:
        difference.plan(workspace=in_workspace, source=read_text(head.replace("{slug}", in_workspace.slug)))

    assert refusal.value.problems[0].field == field


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("us", "write US for United States"),
        ("DEU", "write DE for Germany"),
        ("UK", "United Kingdom is GB"),
        ("false", 'write "NO"'),
        ("KP", "no setting can open it"),
    ],
)
def test_says_what_to_write_instead(in_workspace, policy, code, hint):
    with pytest.raises(BadPolicyFile, match=hint):
        planned(in_workspace, f"policies: {{home: {{inbound: {{countries: [{code}]}}}}}}")


def test_names_every_field_at_once(in_workspace, number):
    rest = (
        "policies:\n  home:\n    inbound: {countries: [USA, XX]}\n    outbound: {countries: []}\n"
        "phone_numbers:\n  '+14155550177': home\ncolour: red\n"
    )

    assert sorted(_refused(in_workspace, rest)) == [
        ("colour", "unknown_field", 9),
        ("phone_numbers.+14155550177", "unknown_number", 8),
        ("policies.home.inbound.countries.0", "invalid_country", 5),
        ("policies.home.inbound.countries.1", "unknown_country", 5),
        ("policies.home.outbound.countries", "empty", 6),
    ]


def test_refuses_a_key_that_is_revoked(in_workspace, key):
    keys.revoke_public_key(public_key=key, acting_user=None, now=moment())

    assert _refused(in_workspace, "public_keys: {website: {kyc_level: 1}}") == [("public_keys.website", "revoked", 3)]


def test_asks_the_database_as_often_for_many_numbers_as_for_few(in_workspace):
    assert _queries_for(in_workspace, 3, "+141555501{:02d}") == _queries_for(in_workspace, 60, "+141555502{:02d}")


def _queries_for(workspace, count, pattern):
    policies = [make_policy(workspace, name=f"{pattern} {number}") for number in range(count)]
    e164s = [pattern.format(number) for number in range(count)]
    with scoped(workspace.pk):
        PhoneNumber.objects.bulk_create(
            PhoneNumber(e164=e164, policy=policy) for e164, policy in zip(e164s, policies, strict=True)
        )
    named = "".join(f"  '{e164}': {pattern} 0\n" for e164 in e164s)
    edited = "".join(f"  {policy.name}: {{inbound: {{countries: [GB]}}}}\n" for policy in policies)
    with CaptureQueriesContext(connection) as queries:
        plan = planned(workspace, f"policies:\n{edited}phone_numbers:\n{named}")
    assert len(plan.policies) == count
    assert sum(len(move.phone_numbers) for move in plan.assignments) == count - 1
    return len(queries)


def test_one_bad_field_hides_no_other_and_none_is_invented(in_workspace, key):
    found = _refused(
        in_workspace,
        "public_keys: {website: {domains: [not a domain], channels: [pigeon], fraud_protection: 7, captcha: magic}}\n"
        "policies:\n"
        "  new:\n"
        "    inbound: {unrestricted: 'yes'}\n"
        "    outbound: {countries: [US], prefix_rules: 5}",
    )

    assert {field for field, *_ in found} == {
        *(f"public_keys.website.{name}" for name in ("domains", "channels", "fraud_protection", "captcha")),
        "policies.new.inbound.unrestricted",
        "policies.new.outbound.prefix_rules",
    }
