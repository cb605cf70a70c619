"""The console's pages about people, keys, KYC and the audit log."""

from accounts.admin import audit, keys, kyc, people, tokens, workspaces  # noqa: F401
