"""Stars over the credentials of a request, wherever the reply repeats them.

Rule: as many stars as there were letters, and nothing is held back, so that each byte keeps its place and its time.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, urlsplit

from midstream.doctor.secrets import is_secret_header

LENGTH_MIN = 8
"""What is shorter stands in many replies by chance, and is no key."""


class Masking:
    """Looks through a body, piece by piece."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        longest_first = sorted({each for each in secrets if len(each) >= LENGTH_MIN}, key=len, reverse=True)
        self._secrets = [each.encode("utf-8", "surrogateescape") for each in longest_first]
        self._begun: list[tuple[bytes, int]] = []
        """Those that the last piece may have ended in, and with how many of their letters."""

    def mask(self, data: bytes) -> bytes:
        """The piece with stars. Of a credential that is cut in two, up to seven letters may have been written."""
        if not self._secrets or not data:
            return data
        data, begun = self._gone_on(data)
        for secret in self._secrets:
            data = data.replace(secret, b"*" * len(secret))
        ends = [(secret, length) for secret in self._secrets for length in _ends_in(data, secret)]
        longest = max((length for _, length in ends), default=0)
        if longest >= LENGTH_MIN:
            data = data[:-longest] + b"*" * longest
        self._begun = begun + ends
        return data

    def _gone_on(self, data: bytes) -> tuple[bytes, list[tuple[bytes, int]]]:
        """The piece with stars over what one before it began, and what may go on in the next."""
        covered, open_still = 0, []
        for secret, length in self._begun:
            rest = secret[length:]
            if data.startswith(rest):
                covered = max(covered, len(rest))
            elif rest.startswith(data):
                open_still.append((secret, length + len(data)))
                covered = len(data) if length + len(data) >= LENGTH_MIN else covered
        return b"*" * covered + data[covered:], open_still


def _ends_in(data: bytes, secret: bytes) -> list[int]:
    """With how many of the first letters of a secret the piece may end."""
    return [length for length in range(1, min(len(secret), len(data) + 1)) if data.endswith(secret[:length])]


def of_request(headers: Iterable[tuple[str, str]], url: str) -> list[str]:
    """The credentials in these headers and this URL."""
    found = []
    for name, value in headers:
        if is_secret_header(name):
            # `Bearer …`: the word before is none.
            found += [value.strip(), value.strip().rpartition(" ")[2]]
    try:
        split = urlsplit(url)
        found += [value for name, value in parse_qsl(split.query) if is_secret_header(name) or name == "key"]
        found += [split.password or ""]
    except ValueError:
        pass  # It is curl's to say so.
    return found


_HEADERS, _USERS, _TOKENS = ("-H", "--header"), ("-u", "--user"), ("--oauth2-bearer", "-b", "--cookie")


def of_curl(words: Sequence[str]) -> list[str]:
    """The credentials in the arguments of a curl command."""
    found: list[str] = []
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word.startswith(("-H", "-u", "-b")) and len(word) > 2:
            word, after = word[:2], word[2:]
        if word in _HEADERS:
            name, _, value = after.partition(":")
            found += of_request([(name.strip(), value)], "")
        elif word in _USERS:
            found.append(after.partition(":")[2])
        elif word in _TOKENS:
            found.append(after)
        elif word.lower().startswith(("http://", "https://")):
            found += of_request([], word)
    return found
