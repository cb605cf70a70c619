"""A pytest plugin, loaded before Django's settings: an environment of its own for every run of the tests."""

import atexit
import base64
import contextlib
import os
import tempfile

from tests import servers

ending = contextlib.ExitStack()
atexit.register(ending.close)

os.environ["DATA_DIR"] = ending.enter_context(tempfile.TemporaryDirectory(prefix="fraudconsole-test-"))
os.environ["SECRET_KEY"] = "only for tests"
os.environ["ENCRYPTION_KEYS"] = base64.urlsafe_b64encode(b"only for tests, 32 bytes long...").decode()
os.environ["UPONAI_API_URL"] = "http://127.0.0.1:9"  # nobody listens there; tests that need UponAI start a sandbox
os.environ["CAPTCHA_VERIFY_URLS"] = "http://127.0.0.1:9/siteverify"  # the same; see tests/verifier.py
os.environ["SANDBOX_API_KEY"] = "key_sandbox"
os.environ["DEMO_PASSWORD"] = "amber-falcon-4821"
# Each process of a parallel run has a live store of its own: tests empty it after themselves.
if not os.environ.get("REDIS_URL") or os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["REDIS_URL"] = ending.enter_context(servers.valkey())
