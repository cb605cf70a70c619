"""An export says everything of a workspace that a policy file can, in one order, and planning it finds nothing."""

import pytest
import yaml

from accounts import keys
from policies import actions
from policies.policy_file import difference
from policies.policy_file.exporting import content_of, export
from policies.policy_file.reading import read_object, read_text
from tests.factories import make_phone_number, make_policy, moment
from tests.policies.policy_file.files import NUMBER

pytestmark = pytest.mark.django_db

SECRET = "0x-very-secret-1234"


@pytest.fixture
def full(in_workspace):
    """A workspace in which every part of a policy and key says something."""
    home = make_policy(in_workspace, name="home", inbound=None, outbound=["NO", "US"])
    actions.edit_country_policy(
        policy=home,
        outbound={
            "class_rules": {"satellite": "block"},
            "prefix_rules": [{"prefix": "+4470", "action": "block", "observing": True}],
            "observed_classes": ["premium_rate"],
            "captcha": True,
            "kyc_rules": {"channels": {"sms": 1}, "exposure_tiers": {"T2": 2}},
            "limits": {"call_seconds": {"limit": 60}, "ip": None},
        },
        acting_user=None,
        now=moment(),
        reason="Kürzer: “60 s”\nand so on",
    )
    make_phone_number(in_workspace, NUMBER, policy=home)
    make_phone_number(in_workspace, "+447400123456", policy=make_policy(in_workspace, name="no"))
    website = keys.mint_public_key(
        workspace=in_workspace,
        acting_user=None,
        now=moment(),
        name="website",
        domains=["b.example", "a.example"],
        channels=["chat", "phone_call"],
        phone_number=NUMBER,
        captcha="turnstile",
        captcha_site_key="site",
        captcha_secret=SECRET,
        limits={"ip": {"limit": 5, "window": 600}},
    )
    keys.rotate_public_key(public_key=website, acting_user=None, now=moment())
    return in_workspace


def test_goes_round_without_a_change(full):
    for source in (read_text(export(full)), read_object(content_of(full))):
        assert not difference.plan(workspace=full, source=source)


def test_looks_the_same_every_time_and_hides_secrets(full):
    text = export(full)

    assert text == export(full)
    assert SECRET not in text
    assert "captcha_secret" not in text
    assert "#" not in text


def test_has_the_agreed_shape(full):
    text = export(full)
    said = yaml.safe_load(text)

    assert text.startswith(f"version: 1\nworkspace: {full.slug}\npolicies:\n  home:\n    inbound:")
    assert f"\nphone_numbers:\n  '{NUMBER}': home\n  '+447400123456': 'no'\n" in text
    assert list(said) == ["version", "workspace", "policies", "phone_numbers", "public_keys"]
    assert list(said["policies"]) == ["home", "no"]
    assert said["policies"]["home"]["inbound"] == {"unrestricted": True, "reason": "Kürzer: “60 s”\nand so on"}
    assert said["policies"]["home"]["outbound"]["countries"] == ["NO", "US"]
    assert said["policies"]["no"] == {"inbound": {"countries": ["CA", "US"]}, "outbound": {"countries": ["CA", "US"]}}
    assert said["phone_numbers"] == {NUMBER: "home", "+447400123456": "no"}
    (name,) = said["public_keys"]
    assert said["public_keys"][name] == {
        "domains": ["a.example", "b.example"],
        "channels": ["phone_call", "chat"],
        "fraud_protection": True,
        "captcha": "turnstile",
        "phone_number": NUMBER,
        "limits": {"ip": {"limit": 5, "window": 600}},
        "captcha_site_key": "site",
    }


def test_exports_a_workspace_that_has_nothing(in_workspace):
    assert yaml.safe_load(export(in_workspace)) == {
        "version": 1,
        "workspace": in_workspace.slug,
        "policies": {},
        "phone_numbers": {},
        "public_keys": {},
    }
