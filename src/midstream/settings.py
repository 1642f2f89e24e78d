"""The policy as users make it: an explicit argument beats the environment, which beats the default.

Rule: reads the environment for those who make a policy in Python (the gateway's are `gateway.sources`'s matter);
`recovery` is handed the result.
"""

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from midstream.recovery import policy as pure

if TYPE_CHECKING:
    from midstream.recovery.policy import Policy as Policy
else:

    class Policy(pure.Policy):
        """Every limit of a stream. What is not given comes from the environment, then from the default.

        Raises `PolicyError`, which names the field or the variable, for a value that makes no sense.
        """

        __slots__ = ()

        def __init__(self, **explicit: Any) -> None:
            merged = pure.Policy.from_environ(os.environ, **explicit)
            super().__init__(**{field.name: getattr(merged, field.name) for field in fields(pure.Policy)})


Policy.__module__ = "midstream"
