"""What the real API refuses in a resume request, with its wording.

Rule: a table of checks, each of which answers with the API's own sentence, or with nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from midstream.faults.catalogue import Wire
from midstream.faults.reply import Reply


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what the API knows besides it."""

    request: Mapping[str, Any]
    reply: Reply
    first: Mapping[str, Any] | None
    model: str
    wire: Wire
    headers: Mapping[str, str]


def refusal(asked: Asked) -> str | None:
    """What the API has against this request."""
    return None
