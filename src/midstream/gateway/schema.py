"""What a setting may be, and how it is spelt on the command line, in the environment and in a file.

Rule: every value that comes in is checked by a kind from here, wherever it comes from; what is wrong with it is said
in one sentence that names where it came from.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from midstream.gateway.hiding import hidden


class SettingsError(ValueError):
    """A setting, or a file that holds some, makes no sense. One sentence that names the thing and the cure."""


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False  # a name: who knows where it leads


class Kind(Protocol):
    """What a setting may be."""

    @property
    def metavar(self) -> str:
        """What the help calls the value."""

    def parsed(self, text: str) -> object:
        """A flag's or a variable's text as the value it stands for; the text itself where it stands for none."""

    def checked(self, value: object, label: str) -> object:
        """The value as the setting holds it. Raises `SettingsError`; ``label`` says where the value came from."""

    def plain(self, value: object) -> object:
        """A held value as a file spells it; ``None`` where a file leaves it out."""


def wrong(label: str, value: object, allowed: str) -> SettingsError:
    """The sentence for a value that a setting may not have."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python prints
        text = "a number of thousands of digits"
    text = hidden(text)
    return SettingsError(f"{label} must be {allowed}; it is {text if len(text) <= 80 else text[:77] + '...'}")


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a range. The upper end only keeps out what cannot be meant."""

    low: float
    high: float
    whole: bool = False
    above_low: bool = False
    metavar: str = "N"

    def __str__(self) -> str:
        start = f"above {self.low:,.15g}" if self.above_low else f"from {self.low:,.15g}"
        return f"{'a whole number' if self.whole else 'a number'} {start} to {self.high:,.15g}"

    def parsed(self, text: str) -> object:
        """As `Kind`."""
        try:
            return int(text) if self.whole else float(text)
        except ValueError:
            return text

    def checked(self, value: object, label: str) -> object:
        """As `Kind`."""
        if isinstance(value, bool) or not isinstance(value, int | float) or (self.whole and isinstance(value, float)):
            raise wrong(label, value, str(self))
        # NaN is in no range: every comparison with it is false.
        if not self.low <= value <= self.high or (self.above_low and value == self.low):
            raise wrong(label, value, str(self))
        return value if self.whole else float(value)

    def plain(self, value: object) -> object:
        """As `Kind`."""
        return value


def seconds(low: float = 0, *, above_low: bool = True) -> Number:
    """A time. 1,000,000 s is 11 days; timers overflow at 2**32 ms, which is 49."""
    return Number(low, 1e6, above_low=above_low, metavar="SECONDS")


def size(low: int = 1) -> Number:
    """A number of bytes, up to a tebibyte."""
    return Number(low, 1 << 40, whole=True, metavar="BYTES")


def count(high: float = 1e6) -> Number:
    """A number of things, at least one."""
    return Number(1, high, whole=True)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def metavar(self) -> str:
        """As `Kind`."""
        return "|".join(self.words)

    def parsed(self, text: str) -> object:
        """As `Kind`."""
        return text.lower()

    def checked(self, value: object, label: str) -> object:
        """As `Kind`."""
        if not isinstance(value, str) or value not in self.words:
            raise wrong(label, value, f"{', '.join(self.words[:-1])} or {self.words[-1]}")
        return value

    def plain(self, value: object) -> object:
        """As `Kind`."""
        return value


_TRUTHS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class Switch:
    """Yes or no."""

    metavar: str = ""

    def parsed(self, text: str) -> object:
        """As `Kind`."""
        return _TRUTHS.get(text.lower(), text)

    def checked(self, value: object, label: str) -> object:
        """As `Kind`."""
        if not isinstance(value, bool):
            raise wrong(label, value, "true or false")
        return value

    def plain(self, value: object) -> object:
        """As `Kind`."""
        return value


@dataclass(frozen=True, slots=True)
class Place:
    """An address to listen at."""

    off: bool = False
    """Whether ``off`` is one too: held as ``None``."""
    metavar: str = "HOST:PORT"

    def __str__(self) -> str:
        return f"HOST:PORT, such as 127.0.0.1:8100 or [::1]:8100{', or off' if self.off else ''}"

    def parsed(self, text: str) -> object:
        """As `Kind`."""
        return text

    def checked(self, value: object, label: str) -> object:
        """As `Kind`."""
        if not isinstance(value, str):
            raise wrong(label, value, str(self))
        if self.off and value.lower() == "off":
            return None
        host, colon, port = value.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        good = colon and host and host.isprintable() and " " not in host and (":" in host) == bracketed
        if not good or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
            raise wrong(label, value, str(self))
        return Address(host, int(port))

    def plain(self, value: object) -> object:
        """As `Kind`."""
        return "off" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class File:
    """The path of a file; ``~`` is the home of who runs the gateway."""

    word: str | None = None
    """A word that is no path, held as ``None``."""
    metavar: str = "FILE"

    def __str__(self) -> str:
        return "the path of a file" + (f", or {self.word}" if self.word else "")

    def parsed(self, text: str) -> object:
        """As `Kind`."""
        return text

    def checked(self, value: object, label: str) -> object:
        """As `Kind`."""
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise wrong(label, value, str(self))
        if value == self.word:
            return None
        try:
            return Path(value).expanduser()
        except RuntimeError:
            raise SettingsError(
                f"{label} starts with ~, but the home directory is not known; give a whole path"
            ) from None

    def plain(self, value: object) -> object:
        """As `Kind`."""
        return self.word if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Names:
    """A list of names, in order; separated by commas in the environment."""

    metavar: str = "NAME"

    def __str__(self) -> str:
        return "a list of names"

    def parsed(self, text: str) -> object:
        """As `Kind`."""
        return [name.strip() for name in text.split(",")]

    def checked(self, value: object, label: str) -> object:
        """As `Kind`."""
        names = value if isinstance(value, list) else [value]
        for name in names:
            if not isinstance(name, str) or not name.strip() or not name.isprintable():
                raise wrong(label, value, "a list of names")
            if names.count(name) > 1:
                raise SettingsError(f"{label} names {hidden(name)} twice; each is asked once, in the order given")
        if not names:
            raise wrong(label, value, "a list of names, at least one")
        return tuple(names)

    def plain(self, value: object) -> object:
        """As `Kind`."""
        return list(value) if isinstance(value, tuple) else value
