"""What settings must be together: who may reach the gateway, and what does not fit.

Rule: each refusal is one sentence that names the setting as it was given, and the cure.
"""

import os
import re
from collections.abc import Mapping

from midstream.gateway.config import Settings
from midstream.gateway.hiding import hidden
from midstream.gateway.schema import Address, SettingsError

_PASSWORD = re.compile(r"^[A-Za-z][\w+.-]*://[^/?#]*@")


def check_rules(settings: Settings, labels: Mapping[str, str]) -> None:
    """Raises `SettingsError` for the first rule that is broken. ``labels``: where each given setting came from."""
    named = {name: labels.get(name, name) for name in Settings.__struct_fields__}
    _check_addresses(settings, named)
    _check_upstreams(settings, labels, named)
    if settings.bodies_bytes_max < settings.body_bytes_max:
        raise SettingsError(
            f"{named['bodies_bytes_max']} ({settings.bodies_bytes_max:,}) is less than {named['body_bytes_max']} "
            f"({settings.body_bytes_max:,}), so the largest body would never be let in; raise the first, or lower the "
            "second"
        )


def _check_addresses(settings: Settings, named: Mapping[str, str]) -> None:
    if settings.tokens is not None and settings.pass_credentials:
        raise SettingsError(
            f"{named['tokens']} and {named['pass_credentials']} exclude each other: "
            "with tokens of their own, clients do not bring the upstream's credentials"
        )
    if not settings.listen.loopback and settings.tokens is None and not settings.pass_credentials:
        raise SettingsError(
            f"{named['listen']} {settings.listen} can be reached by others; give --tokens FILE (clients have tokens of "
            "their own, the gateway holds the upstream's credentials) or --pass-credentials (clients bring them)"
        )
    control = settings.control_listen
    if control is None:
        return
    if not control.loopback and not settings.control_public:
        raise SettingsError(
            f"{named['control_listen']} {control} can be reached by others, and it asks for no token; "
            "say --control-public if that is meant, or listen on 127.0.0.1"
        )
    if control.port and control == settings.listen:
        raise SettingsError(
            f"{named['listen']} and {named['control_listen']} are both {control}; give one of them another port"
        )


def _check_upstreams(settings: Settings, labels: Mapping[str, str], named: Mapping[str, str]) -> None:
    for name in (*settings.upstream, *settings.upstreams):
        if _PASSWORD.match(name):
            raise SettingsError(
                f"{named['upstream']}: a URL holds no user or password; name the variable with the key as key_env "
                'in the file, under [upstreams."…"]'
            )
    # One that a flag or a variable leaves out for once is no mistake; one that the file itself does not name is.
    if labels.get("upstream", "").startswith(("--", "MIDSTREAM_")):
        return
    for name in settings.upstreams:
        if name not in settings.upstream:
            raise SettingsError(
                f"there is a table for the upstream {hidden(name)}, but upstream names only "
                f"{hidden(', '.join(settings.upstream))}; add it there, or remove the table"
            )


def busy(label: str, address: Address, problem: OSError) -> SettingsError:
    """The sentence for an address that cannot be listened at."""
    # asyncio puts the address into the text of its own errors once more, and since 3.13 the number too.
    # What is wrong with a name has a number of its own, below zero, that the system has no words for.
    number = problem.errno or 0
    reason = os.strerror(number) if number > 0 else problem.strerror or str(problem)
    return SettingsError(f"{label} {address} cannot be listened at: {reason.lower()}; give another one")
