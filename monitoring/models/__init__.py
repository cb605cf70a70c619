"""What happened: calls, chats and messages at UponAI, their counts, and what the console told of them."""

from monitoring.models.blocked_calls import BlockedCall
from monitoring.models.calls import AgentSeen, Call, EventBatch, KnownSender, PullProgress, WebhookEvent
from monitoring.models.messages import Alert, Digest, Relay, RelayDelivery
from monitoring.models.usage import (
    ConcurrencySample,
    HourTotal,
    MinuteBucket,
    PartyBucket,
    RollupProgress,
    UsageBucket,
)

__all__ = [
    "AgentSeen",
    "Alert",
    "BlockedCall",
    "Call",
    "ConcurrencySample",
    "Digest",
    "EventBatch",
    "HourTotal",
    "KnownSender",
    "MinuteBucket",
    "PartyBucket",
    "PullProgress",
    "Relay",
    "RelayDelivery",
    "RollupProgress",
    "UsageBucket",
    "WebhookEvent",
]
