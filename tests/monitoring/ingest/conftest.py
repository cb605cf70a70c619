"""What the tests of the ingest share."""

from tests.policies.sync.conftest import uponai

__all__ = ["uponai"]
