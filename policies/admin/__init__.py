"""The console's pages about phone numbers, the policies they follow, and what was decided."""

from policies.admin import country_policies, decisions, phone_numbers  # noqa: F401
