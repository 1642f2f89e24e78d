"""What each model allows when a reply is continued.

Rule: one table. A name that is not in it, an ARN or a deployment's name means *turn*, which works on every model.
"""

import re
from typing import Literal

Mode = Literal["prefix", "turn"]

_CLOUD = re.compile(r"^(?:(?:us|eu|apac|jp|au|ca|sa|us-gov|global)\.)?(?:anthropic[./])?")

# Models that take a partial reply as the last assistant turn: the 4.5 generation and what came before it. All later
# ones answer 400. Source: platform.claude.com/docs/en/api/errors#prefill-not-supported.
_PREFIX = re.compile(
    r"""claude-(?:
        (?:haiku|opus|sonnet)-4-5 | (?:opus|sonnet)-4(?:-[01])? |
        3(?:-[57])?-(?:haiku|opus|sonnet) | 2(?:\.\d)? | v2(?:\.\d)? | v1 | instant(?:-v?1(?:\.\d)?)?
    )(?:-\d{8}|-latest)?(?:-v\d)?(?:@(?:\d{8}|latest))?(?::\d+)?(?::\d+k)?""",
    re.VERBOSE,
)


def mode_of(model: str) -> Mode:
    """How a reply of this model is continued, by its name on any of the clouds."""
    name = _CLOUD.sub("", model, count=1)
    return "prefix" if _PREFIX.fullmatch(name) else "turn"


class Memory:
    """What was learned from the API's own refusals: models that do not take a prefix after all. Bounded."""

    NAMES_MAX = 1000
    """More models than anyone uses from one process."""

    def __init__(self) -> None:
        self._no_prefix: set[str] = set()

    def mode_of(self, model: str) -> Mode:
        """As `mode_of`, with what was learned."""
        return "turn" if model in self._no_prefix else mode_of(model)

    def refused_prefix(self, model: str) -> None:
        """The API answered 400 to a prefix."""
        if len(self._no_prefix) < self.NAMES_MAX:
            self._no_prefix.add(model)
