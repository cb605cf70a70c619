"""The console's pages about phone numbers, the policies they follow, what is held, and what was decided."""

from policies.admin import country_policies, decisions, holds, phone_numbers  # noqa: F401
