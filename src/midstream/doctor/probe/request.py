"""One question as it goes out, in whatever version of HTTP.

Rule: it is whole before anything is opened, and says itself when to stop listening.
"""

from dataclasses import dataclass

from midstream._version import __version__

# More than any answer that is asked for; what comes beyond it is not kept, and ends the listening.
BODY_BYTES_MAX = 8 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """A POST, or what else is asked."""

    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    """Beside those that every request has."""
    wait_s: float = 20.0
    """Listen no longer."""
    leave_at_s: float | None = None
    """Leave in the middle of the answer, so long after the question was begun."""
    gzip: bool = False
    """Whether a compressed answer is welcome."""

    def all_headers(self) -> list[tuple[str, str]]:
        """Everything but what the version of HTTP needs for itself. What was given replaces what is usual."""
        usual = {
            "user-agent": f"midstream-probe/{__version__}",
            "accept": "text/event-stream, application/json",
            "accept-encoding": "gzip" if self.gzip else "identity",
            "content-type": "application/json",
            "content-length": str(len(self.body)),
        }
        given = [(name.lower(), value) for name, value in self.headers]
        names = {name for name, _ in given}
        return [*((name, value) for name, value in usual.items() if name not in names), *given]
