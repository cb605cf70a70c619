"""The pages of subjects, of the queue of their KYC records, and of one case. Decisions are verbs of accounts.kyc."""

from accounts.admin.kyc import records, subjects  # noqa: F401
