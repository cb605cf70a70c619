"""What is allowed: phone numbers, the policies they follow, what UponAI has of it, and what was decided."""

from policies.models.attestations import Attestation, ManagedRecord
from policies.models.calls_to_end import CallToEnd
from policies.models.connections import UponaiConnection
from policies.models.country_policies import CountryPolicy, PolicyRevision, every_country
from policies.models.decisions import Decision, DecisionOutcome, Dial, KnownPrefix, RefusedWebhook
from policies.models.exceptions import BlockedCaller, Hold, ListEntry, Open, Trusted
from policies.models.judged_requests import JudgedRequest
from policies.models.phone_numbers import PhoneNumber, SyncTarget
from policies.models.proposals import ProposedChange

__all__ = [
    "Attestation",
    "BlockedCaller",
    "CallToEnd",
    "CountryPolicy",
    "Decision",
    "DecisionOutcome",
    "Dial",
    "Hold",
    "JudgedRequest",
    "KnownPrefix",
    "ListEntry",
    "ManagedRecord",
    "Open",
    "PhoneNumber",
    "PolicyRevision",
    "ProposedChange",
    "RefusedWebhook",
    "SyncTarget",
    "Trusted",
    "UponaiConnection",
    "every_country",
]
