"""What looks like a credential is not shown.

Rule: a net under the rule that nobody hands a credential to a text: it knows the forms that keys have, not the keys.
"""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "<hidden>"

_KEY = re.compile(
    r"""sk-[A-Za-z0-9][\w-]{6,}           # Anthropic's and others' keys
    | \b(?:AKIA|ASIA)[A-Z0-9]{8,}         # AWS: key ids
    | \bABSK[\w+/=]{8,} | bedrock-api-key-[\w+/=]+   # AWS: bearer tokens
    | \bya29\.[\w.-]+                     # Google: access tokens
    | \beyJ[\w-]{8,}(?:\.[\w-]+)*         # a JWT
    | (?i:\b(?:bearer|basic))\s+[\w.~+/=-]{4,}
    | (?<=://)[^\s/@]*:[^\s/@]*(?=@)      # a password in a URL
    """,
    re.VERBOSE,
)
_TELLING = re.compile(r"(?i)(key|token|secret|password|credential|authorization|cookie)")
_NAMING = ("_env", "_file")


def hidden(text: str) -> str:
    """The text, without what looks like a credential."""
    return _KEY.sub(HIDDEN, text)


def without_secrets(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table as it may be printed: what a telling name holds is hidden, unless it names a variable or a file."""
    shown: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            shown[name] = without_secrets(value)
        elif isinstance(value, str):
            shown[name] = HIDDEN if _TELLING.search(name) and not name.endswith(_NAMING) else hidden(value)
        else:
            shown[name] = value
    return shown
