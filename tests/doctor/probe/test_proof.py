"""A probe through real proxies: it finds each limit, calls each illness by its name, and no healthy path ill."""

import asyncio
import dataclasses
import datetime
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as Folder

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from midstream.doctor.probe.asking import Asking, NoFarEnd
from midstream.doctor.probe.limits import Limit
from midstream.doctor.probe.observations import Observations
from midstream.doctor.probe.road import target
from midstream.doctor.probe.run import Plan, probe
from midstream.doctor.probe.verdicts import Judged, judge
from midstream.faults.probe import FarEnd
from tests.doctor.behind import behind
from tests.doctor.probe.paths import PATHS, Path

pytestmark = [pytest.mark.sockets]

# Most of a probe is waiting; more at once make each other late on two cores.
AT_ONCE = 8

TIMED = frozenset({"BUFFERED", "COMPRESSION", "GATHERED", "TAIL", "LEAVING"})

# How far what is found may be from the limit that is set.
SLACK = 0.1

# Several processes are one after another as late as the one that looks.
BUSY_SHARE = 4.0


# A machine of which others have all: what takes time there says nothing about time.
BUSY_S = 0.03

# A busy machine may be less so in a moment; a proxy's fault stays.
TRIES = 3


def probed(path: Path) -> tuple[Observations, Judged]:
    """What a probe says of one setting."""
    with FarEnd() as far_end, behind(path.kind, path.text, far_end.port) as base_url:
        asking = Asking(target(base_url), margin_s=4.0)
        seen = asyncio.run(probe(asking, Plan(path.up_to_s, quick=True)))
        return seen, judge(seen)


def complaints(name: str, path: Path) -> list[str]:
    """What the probe of one setting got wrong, each time that it was tried."""
    for _ in range(TRIES):
        if not (wrong := _complaints(name, path)):
            return []
    return wrong


def _complaints(name: str, path: Path) -> list[str]:
    seen, judged = probed(path)
    said = {finding.id.removeprefix("PROBE-") for finding in judged.findings}
    # Where this machine itself was busy, what only time tells is not told.
    missed = frozenset() if seen.late_s < BUSY_S else TIMED
    wrong = [] if said - missed == path.finds - missed else [f"finds {sorted(said)} and not {sorted(path.finds)}"]
    for what, limits, expected in (
        ("idle", list(judged.limits.idle), path.idle),
        ("total", [judged.limits.total] if judged.limits.total else [], path.total),
        ("header", [judged.limits.before] if judged.limits.before else [], path.before),
    ):
        slack_s = SLACK * path.limit_s + BUSY_SHARE * seen.late_s
        within_s = (path.limit_s - slack_s, path.limit_s + path.late_s + slack_s)
        wrong += _limits_wrong(what, limits, expected, within_s)
    family = path.family or path.kind
    if family != "-" and not missed and family not in [fit.family for fit in judged.fits]:
        wrong.append(f"does not find {family}, but {judged.fits}")
    evidence = [line for finding in judged.findings for line in (finding.id, *finding.evidence)]
    return [f"{path.kind}, {name}: {complaint}; it saw {evidence}" for complaint in wrong]


def _limits_wrong(what: str, limits: Iterable[Limit], expected: bool, within_s: tuple[float, float]) -> list[str]:
    seconds = [limit.seconds for limit in limits]
    if expected is not bool(seconds):
        return [f"{what} limits: {seconds}"]
    return [f"the {what} limit is {each:.2f} s" for each in seconds if not within_s[0] <= each <= within_s[1]]


def all_complaints(some: Iterable[tuple[str, Path]]) -> list[str]:
    """What went wrong in any of them, all at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [complaint for found in pool.map(lambda each: complaints(*each), some) for complaint in found]


# One for each sort: by default, healthy, and each illness once.
FAST = [
    ("nginx", "default"),
    ("nginx", "right, long"),
    ("nginx", "gzip"),
    ("haproxy", "default"),
    ("caddy", "default"),
    ("apache", "default"),
    ("envoy", "route timeout"),
    ("envoy", "right, long"),
]


def test_a_probe_calls_each_path_what_it_is() -> None:
    assert all_complaints((name, PATHS[kind][name]) for kind, name in FAST) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", PATHS)
def test_a_probe_calls_every_setting_what_it_is(kind: str) -> None:
    assert all_complaints(PATHS[kind].items()) == []


# --- over TLS ---


def self_signed(folder: Folder) -> Folder:
    """A certificate that nobody vouches for, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    file = folder / "server.pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem) + secret)
    return file


def test_over_tls_both_versions_of_http_are_probed_and_a_certificate_is_checked(tmp_path: Folder) -> None:
    file = self_signed(tmp_path)
    text = f"""\
server {{
    listen 127.0.0.1:8080 ssl http2;
    ssl_certificate {file};
    ssl_certificate_key {file};
    location / {{ proxy_pass http://127.0.0.1:8100; proxy_buffering off; client_max_body_size 64m; }}
}}
"""
    with FarEnd() as far_end, behind("nginx", text, far_end.port) as base_url:
        asking = Asking(target(base_url.replace("http:", "https:")), margin_s=4.0)
        with pytest.raises(NoFarEnd, match=r"TLS with .* fails: CERTIFICATE_VERIFY_FAILED"):
            asyncio.run(asking.hello())
        seen = asyncio.run(probe(dataclasses.replace(asking, insecure=True), Plan(3.0, quick=True)))
    assert seen.protocols == ("http/1.1", "h2") and {each.protocol for each in seen.cuts} == {"http/1.1", "h2"}
    # Asked in HTTP/1.0, it hides a FIN from both.
    silent = {each.protocol for each in seen.cuts if each.end == "complete" and each.question == "cut by FIN"}
    assert silent == {"http/1.1", "h2"}
