"""What all tests of the doctor share.

Rule: only what every one of them must have.
"""

import pytest

from midstream.faults.probe import THINKS_S
from midstream.faults.server import FaultServer


@pytest.fixture(autouse=True)
def services_think(monkeypatch: pytest.MonkeyPatch) -> None:
    """As services do; who answers at once brings out a race in Traefik that is nobody's configuration."""
    monkeypatch.setattr(FaultServer, "thinks_s", THINKS_S)
