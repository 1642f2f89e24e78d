"""What all tests share.

Rule: only what every test must have. A helper that some tests use is a module that they import.
"""

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")  # No timed tests: how fast examples come is the machine's affair.


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The policies and keys of whoever runs the tests decide nothing in them; proxies are for no socket of ours."""
    for name in list(os.environ):
        if name.startswith(("MIDSTREAM_", "ANTHROPIC_", "AWS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    # Without this, botocore looks for credentials at an address that only exists in the cloud, and waits for it.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
