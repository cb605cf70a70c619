"""The console's pages about phone numbers, the policies they follow, what stands beside these, and what was decided."""

from policies.admin import (  # noqa: F401
    approvals,
    attestations,
    connections,
    country_policies,
    decisions,
    holds,
    list_entries,
    opens,
    phone_numbers,
    sync_page,
)
