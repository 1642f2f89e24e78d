"""What is said and done once, when the gateway starts, and when it is told to read its tokens again.

Rule: told is where things are and what becomes of contents, never a credential.
"""

from collections.abc import Sequence

from midstream._version import __version__
from midstream.gateway.config import Settings
from midstream.gateway.hiding import hidden
from midstream.gateway.log import Log
from midstream.gateway.schema import Address, SettingsError
from midstream.gateway.tokens import Tokens
from midstream.gateway.upstreams.port import Upstream
from midstream.usual import COMPILED

FILES_BESIDES_STREAMS = 100
"""Open files that are no connections: the journal, logs, libraries, the loop's own."""


def announce(log: Log, settings: Settings, listen: Address, control: Address | None) -> None:
    """Tells that the gateway listens; ``listen`` and ``control`` with the ports that they got."""
    if log.form == "text":
        log.block(banner(settings, listen, control))
        return
    log.started(
        version=__version__,
        compiled=COMPILED,
        listen=str(listen),
        control=str(control) if control else None,
        upstreams=list(settings.upstream),
        journal=_journal(settings),
        journal_sync=settings.journal_sync,
        clients="tokens" if settings.tokens else "pass_credentials" if settings.pass_credentials else "loopback",
    )


def banner(settings: Settings, listen: Address, control: Address | None) -> list[str]:
    """What a person wants to know first."""
    url = f"http://{_reachable(listen)}"
    key = "ANTHROPIC_AUTH_TOKEN=<a token of the file>" if settings.tokens else "and the key as before"
    kept = (
        "prompts and replies are in memory only, and gone when the gateway ends"
        if settings.journal is None
        else f"prompts and replies are stored there in clear, for {_hours(settings.retention_age_s)} after the end"
    )
    return [
        f"midstream {__version__} listens at {listen}",
        f"  in clients   ANTHROPIC_BASE_URL={url}  ({key})",
        f"  upstreams    {hidden(', then '.join(settings.upstream))}",
        f"  journal      {_journal(settings)}  ({kept})",
        f"  control      {f'http://{_reachable(control)}/readyz /metrics /streams' if control else 'off'}",
    ]


def bare_upstreams(settings: Settings, upstreams: Sequence[Upstream]) -> str | None:
    """A warning, where neither the gateway nor a client with a token can have credentials for an upstream."""
    names = [upstream.name for upstream in upstreams if not upstream.holds_credentials]
    # A service of one's own, at a URL, may need none.
    bare = [hidden(name) for name in names if not name.startswith(("http://", "https://"))]
    if settings.tokens is None or not bare:
        return None
    return (
        f"the gateway has no credentials for {', '.join(bare)}, and clients with tokens bring none, so that every "
        "request would be refused; set the key in the gateway's environment, or name its variable as key_env in the "
        "file of settings"
    )


def reload_tokens(tokens: Tokens, log: Log) -> None:
    """What SIGHUP asks for: the file is read again; a broken one changes nothing, and is told of once."""
    try:
        tokens.reload()
    except SettingsError as problem:
        log.failed(f"{problem}; the tokens from before still count")
        return
    log.line("info", "tokens_read", tokens=len(tokens))
    if tokens.warning:
        log.warned(tokens.warning)


def raise_file_limit(streams_max: int) -> str | None:
    """Lets the process open as many files as the system allows it; a warning if that is too few for the streams."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A client and an upstream for each stream.
    wanted = 2 * streams_max + FILES_BESIDES_STREAMS
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed >= wanted:
        return None
    return (
        f"{streams_max:,} streams need {wanted:,} open files and the system allows {allowed:,}; "
        "raise it (LimitNOFILE= of systemd, ulimit -n), or lower streams_max"
    )


def _reachable(address: Address) -> Address:
    """An address that can be asked, for one that stands for all of them."""
    everywhere: Sequence[str] = ("0.0.0.0", "::")
    return address._replace(host="127.0.0.1") if address.host in everywhere else address


def _journal(settings: Settings) -> str:
    return "memory" if settings.journal is None else str(settings.journal)


def _hours(age_s: float) -> str:
    hours = age_s / 3600
    return f"{hours:,.3g} hour{'' if hours == 1 else 's'}" if hours >= 1 else f"{age_s:,.3g} seconds"
