"""Numbers that appeared at UponAI, as they were found there, until somebody says that this is how they may stay."""

from __future__ import annotations

from datetime import datetime

from accounts.audit import Acting
from accounts.workspaces import taking_turns
from policies.changes import tell
from policies.models import PhoneNumber


def confirm(*, phone_number: PhoneNumber, acting_user: Acting, now: datetime) -> bool:
    """Says that the number may stay as it is. False where somebody has said so already."""
    with taking_turns(phone_number.workspace_id):
        number = PhoneNumber.objects.select_for_update().select_related("policy").get(pk=phone_number.pk)
        if number.flagged_since is None:
            return False
        PhoneNumber.objects.filter(pk=number.pk).update(flagged_since=None)
        tell(
            number.workspace_id,
            action="phone_number.confirm",
            subject=number,
            acting_user=acting_user,
            now=now,
            before={"flagged_since": number.flagged_since},
            after={"policy": number.policy.name},
        )
    return True
